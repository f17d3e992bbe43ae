"""The strategies by name: the explicit registry. `balanced` with other weights is made by `strategy_named`."""

from routing.strategies.balanced import Balance, Balanced
from routing.strategies.base import Strategy
from routing.strategies.cost import Cost
from routing.strategies.latency import Latency
from routing.strategies.least_busy import LeastBusy
from routing.strategies.priority import Priority
from routing.strategies.round_robin import RoundRobin
from routing.strategies.weighted import Weighted

STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy
    for strategy in (Priority(), Weighted(), RoundRobin(), LeastBusy(), Latency(), Cost(), Balanced())
}
DEFAULT_STRATEGY = Priority.name


def strategy_named(name: str, balance: Balance | None = None) -> Strategy:
    """Raises KeyError for an unknown name. `balance` matters to `balanced` only."""
    if name == Balanced.name and balance is not None:
        return Balanced(balance)
    return STRATEGIES[name]


__all__ = ["DEFAULT_STRATEGY", "STRATEGIES", "Balance", "Strategy", "strategy_named"]
