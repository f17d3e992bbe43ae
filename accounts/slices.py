"""A worker's share of a budget, and the arithmetic of what it may admit. Pure."""

from dataclasses import dataclass

from accounts.records import BudgetRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Answer to a request for a slice. `left_…` is what remains for anybody after it; None where not limited."""

    lease_id: int
    period_id: int
    nano_usd: int
    tokens: int
    left_nano_usd: int | None
    left_tokens: int | None


class Slice:
    """This worker's share of one budget period."""

    __slots__ = (
        "debts", "ends_at", "fresh_until", "granted_nano", "granted_tokens", "held_nano", "held_tokens", "lease_id",
        "left_nano", "left_tokens", "low_nano", "low_tokens", "period", "period_id", "rule", "spent_nano", "spent_tokens",
        "used_at", "valid_until",
    )  # fmt: skip

    def __init__(self, rule: BudgetRule, period: str, ends_at: float) -> None:
        self.rule = rule
        self.period = period
        self.ends_at = ends_at
        self.lease_id = 0
        self.period_id = 0
        self.granted_nano = self.granted_tokens = 0
        self.held_nano = self.held_tokens = 0
        self.spent_nano = self.spent_tokens = 0
        self.left_nano: int | None = None
        self.left_tokens: int | None = None
        self.low_nano = self.low_tokens = 0
        self.valid_until = 0.0
        self.used_at = 0.0
        self.fresh_until = 0.0
        self.debts = 0
        """Calls that cost more than the slice could pay, and that may not be booked yet."""

    @property
    def free_nano(self) -> int:
        return self.granted_nano - self.held_nano - self.spent_nano

    @property
    def free_tokens(self) -> int:
        return self.granted_tokens - self.held_tokens - self.spent_tokens

    def covers(self, cost: int, tokens: int) -> bool:
        # Every call asks this: the sums are written out, because a property costs more than what it adds up.
        rule = self.rule
        return (rule.amount_nano_usd is None or self.granted_nano - self.held_nano - self.spent_nano >= cost) and (
            rule.tokens is None or self.granted_tokens - self.held_tokens - self.spent_tokens >= tokens
        )

    def is_beyond(self, cost: int, tokens: int) -> bool:
        """More than is free here and left in SQL, as far as known."""
        rule = self.rule
        return (rule.amount_nano_usd is not None and self.free_nano + (self.left_nano or 0) < cost) or (
            rule.tokens is not None and self.free_tokens + (self.left_tokens or 0) < tokens
        )

    def hold(self, cost: int, tokens: int, now: float) -> None:
        self.held_nano += cost
        self.held_tokens += tokens
        self.used_at = now

    def settle(self, held_cost: int, held_tokens: int, cost: int, tokens: int) -> tuple[int, int] | None:
        """The hold is replaced by what was really spent. None where the slice pays all of it, else what it pays: where the
        estimate was too low what is free as well, but never what other calls hold. The drain books the rest straight to
        the period, and before that SQL says too much is left: until then nothing is admitted."""
        self.held_nano -= held_cost
        self.held_tokens -= held_tokens
        self.spent_nano += cost
        self.spent_tokens += tokens
        over_nano = self.held_nano + self.spent_nano - self.granted_nano
        over_tokens = self.held_tokens + self.spent_tokens - self.granted_tokens
        if over_nano <= 0 and over_tokens <= 0:
            return None
        return self._pay_partly(cost, tokens, max(0, over_nano), max(0, over_tokens))

    def _pay_partly(self, cost: int, tokens: int, over_nano: int, over_tokens: int) -> tuple[int, int] | None:
        # What is not limited is granted as it comes.
        if self.rule.amount_nano_usd is None:
            self.granted_nano, over_nano = self.granted_nano + over_nano, 0
        if self.rule.tokens is None:
            self.granted_tokens, over_tokens = self.granted_tokens + over_tokens, 0
        if not over_nano and not over_tokens:
            return None
        over_nano, over_tokens = min(over_nano, cost), min(over_tokens, tokens)
        self.spent_nano -= over_nano
        self.spent_tokens -= over_tokens
        self.debts += 1
        self.valid_until = self.fresh_until = 0.0
        return cost - over_nano, tokens - over_tokens

    def take_over(self, former: "Slice") -> None:
        """The debts of a slice of the same period that nobody admits from any more."""
        self.debts, former.debts = self.debts + former.debts, 0
        if self.debts:
            self.valid_until = self.fresh_until = 0.0

    def runs_low(self) -> bool:
        return not self.covers(self.low_nano, self.low_tokens)

    def receive(self, grant: Grant, asked_nano: int, asked_tokens: int) -> None:
        if self.lease_id not in {0, grant.lease_id}:
            # The old lease was taken back while this worker could not renew it: what was free of it is void.
            self.granted_nano = self.held_nano + self.spent_nano
            self.granted_tokens = self.held_tokens + self.spent_tokens
        self.lease_id, self.period_id = grant.lease_id, grant.period_id
        self.granted_nano += grant.nano_usd
        self.granted_tokens += grant.tokens
        self.left_nano, self.left_tokens = grant.left_nano_usd, grant.left_tokens
        self.low_nano = max(0, grant.nano_usd - asked_nano) // 2
        self.low_tokens = max(0, grant.tokens - asked_tokens) // 2

    def take_free(self) -> tuple[int, int]:
        """Removes what is free from the slice, to be given back: nano-USD and tokens."""
        nano = max(0, self.free_nano) if self.rule.amount_nano_usd is not None else 0
        tokens = max(0, self.free_tokens) if self.rule.tokens is not None else 0
        self.granted_nano -= nano
        self.granted_tokens -= tokens
        self.low_nano = self.low_tokens = 0
        return nano, tokens

    @property
    def is_exceeded(self) -> bool:
        return (self.left_nano or 0) < 0 or (self.left_tokens or 0) < 0

    def take_exceeding(self) -> tuple[int, int]:
        """Removes of what is free as much as the budget is exceeded by, to be given back."""
        nano = min(max(0, self.free_nano), max(0, -(self.left_nano or 0)))
        tokens = min(max(0, self.free_tokens), max(0, -(self.left_tokens or 0)))
        self.granted_nano -= nano
        self.granted_tokens -= tokens
        if self.left_nano is not None:
            self.left_nano += nano
        if self.left_tokens is not None:
            self.left_tokens += tokens
        return nano, tokens
