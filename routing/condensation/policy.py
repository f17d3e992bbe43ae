"""What the `condensation` section makes of a window, who may switch it off, and the receipt a client gets. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from providers.types import JsonObject
from routing.configuration.document import Condensation

STEEPEST = 0.75
"""A factor near 1 would hardly tighten anything: each further round takes at most this share of the one before."""


def target_tokens(settings: Condensation, *, window: int, output: int | None, failures: int) -> int:
    """Input tokens to aim at in a window that also has to hold the answer. `output` is what the client allows for
    it, `failures` how many shortened conversations were refused before."""
    room = window - (settings.max_tokens_default if output is None else output)
    share = window * settings.adaptive_factor * min(settings.adaptive_factor, STEEPEST) ** failures
    return max(int(min(share, room)), 0)


def switched_on(*switches: bool | None, default: bool) -> bool:
    """Whoever says no is obeyed; then whoever says yes; then the gateway's setting."""
    if False in switches:
        return False
    return True in switches or default


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What was done to a conversation. `before` and `after` are estimated input tokens of the whole request."""

    before: int
    after: int
    steps: tuple[str, ...]
    result: str = "condensed"
    """`condensed`, or `failed` when no upstream took the shortened conversation either."""

    @property
    def header(self) -> bytes:
        """The value of `x-llm-proxy-condensed`."""
        return f"before={self.before};after={self.after};steps={','.join(self.steps)}".encode("ascii")

    def render(self) -> JsonObject:
        return {"before": self.before, "after": self.after, "steps": list(self.steps), "result": self.result}


def step(name: str, count: int) -> str:
    return f"{name}:{count}"


def merge_steps(earlier: Iterable[str], later: Iterable[str]) -> tuple[str, ...]:
    """Steps of several rounds, counts of the same step added up."""
    counts: dict[str, int | None] = {}
    for each in (*earlier, *later):
        name, _, count = each.partition(":")
        counts[name] = (counts.get(name) or 0) + int(count) if count else None
    return tuple(name if count is None else step(name, count) for name, count in counts.items())
