"""The `condensation` section of the settings in typed form, and the receipt a client gets. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from providers.types import JsonObject

DEFAULT_KEYWORDS = ("context_length_exceeded", "maximum context length")
STEEPEST = 0.75
"""A factor near 1 would hardly tighten anything: each further round takes at most this share of the one before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CondensationPolicy:
    """`adaptive_factor` is the share of the window that is aimed at; `cache_ttl_s` seconds for which a shortened
    conversation is remembered, 0 for not at all; `max_tokens_default` the room for an answer of unknown length, and for
    a summary."""

    enabled: bool = True
    max_tokens_default: int = 512
    error_keywords: tuple[str, ...] = DEFAULT_KEYWORDS
    adaptive_factor: float = 0.5
    cache_ttl_s: float = 300.0
    summary_model: str | None = None
    notice: bool = False

    @classmethod
    def read(cls, section: JsonObject) -> "CondensationPolicy":
        """What the settings hold was checked when it was written; keys that are absent have their defaults."""
        return cls(
            enabled=section.get("enabled", True) is not False,
            max_tokens_default=int(section.get("max_tokens_default") or 512),
            error_keywords=tuple(
                word.lower() for word in section.get("error_keywords", DEFAULT_KEYWORDS) or () if word.strip()
            ),
            adaptive_factor=float(section.get("adaptive_factor") or 0.5),
            cache_ttl_s=float(section.get("cache_ttl", 300) or 0),
            summary_model=section.get("summary_model") or None,
            notice=section.get("notice") is True,
        )

    def target_tokens(self, *, window: int, output: int | None, failures: int) -> int:
        """Input tokens to aim at in a window that also has to hold the answer. `output` is what the client allows for
        it, `failures` how many shortened conversations were refused before."""
        room = window - (self.max_tokens_default if output is None else output)
        share = window * self.adaptive_factor * min(self.adaptive_factor, STEEPEST) ** failures
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
