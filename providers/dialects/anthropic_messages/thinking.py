"""Reasoning effort → Anthropic's `thinking` and `output_config.effort`. Pure.

Two generations: newer models think adaptively and are steered by an effort; older ones get a budget of tokens, at
least 1024 and below `max_tokens`.
"""

from collections.abc import Sequence

from providers.dialects.anthropic_messages.messages import can_be_replayed
from providers.dialects.anthropic_messages.tools import forces_tool
from providers.dialects.anthropic_messages.traits import ModelTraits
from providers.types import ChatCall, JsonObject, Message

ADAPTIVE: JsonObject = {"type": "adaptive", "display": "summarized"}
DISABLED: JsonObject = {"type": "disabled"}
LEAST_BUDGET = 1024
BUDGETS = {"minimal": 1024, "low": 1024, "medium": 2048, "high": 4096, "xhigh": 8192, "max": 16384}
_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
_OFF = ("none", None)


def encode_thinking(call: ChatCall, traits: ModelTraits, max_tokens: int) -> tuple[JsonObject | None, str | None]:
    """The `thinking` object and the effort, either None where nothing is to be sent.

    A forced tool excludes thinking, and matters more to the client: its answer has to be that call.
    """
    effort = _effort(call.reasoning_effort, traits)
    if "thinking" in call.extra:
        return _own_words(call.extra["thinking"], effort, traits, max_tokens)
    if traits.adaptive_thinking:
        return _adaptive(call, traits), effort
    budget = BUDGETS.get(call.reasoning_effort or "")
    if budget is None or max_tokens <= LEAST_BUDGET or forces_tool(call, traits) or _history_forbids(call.messages):
        return None, effort
    return {"type": "enabled", "budget_tokens": min(budget, _most_budget(max_tokens))}, effort


def _most_budget(max_tokens: int) -> int:
    """The client's limit includes the reasoning: at least half of it stays for the answer."""
    return max(LEAST_BUDGET, max_tokens // 2)


def _own_words(
    thinking: JsonObject | None, effort: str | None, traits: ModelTraits, max_tokens: int
) -> tuple[JsonObject | None, str | None]:
    """`thinking` as the client wrote it, as far as the model takes it. `max_tokens` is not raised for a budget that is no
    less, which the upstream refuses: as much was reserved, and is the client's limit."""
    kind = thinking.get("type") if thinking is not None else None
    budget = thinking.get("budget_tokens") if thinking is not None else None
    if thinking == DISABLED and traits.always_thinking:
        return None, effort or "low"
    if kind != "enabled" or type(budget) is not int or thinking is None:
        return thinking, effort
    if not traits.budgets:
        display = thinking.get("display") or ADAPTIVE["display"]
        return {"type": "adaptive", "display": display}, effort or _effort(_nearest(budget), traits)
    if budget < max_tokens:
        return thinking, effort
    if max_tokens <= LEAST_BUDGET:
        return None, effort
    return {**thinking, "budget_tokens": _most_budget(max_tokens)}, effort


def _adaptive(call: ChatCall, traits: ModelTraits) -> JsonObject | None:
    if call.reasoning_effort == "none" and not traits.always_thinking:
        return DISABLED
    if call.reasoning_effort in _OFF or forces_tool(call, traits):
        return None
    return ADAPTIVE


def _effort(effort: str | None, traits: ModelTraits) -> str | None:
    if not traits.adaptive_thinking:
        return None
    if effort == "none" and traits.always_thinking:
        return "low"
    encoded = _EFFORTS.get(effort or "")
    return "high" if encoded == "xhigh" and not traits.xhigh_effort else encoded


def _history_forbids(messages: Sequence[Message]) -> bool:
    """With a budget, a turn that called tools has to be replayed with its thinking. A history that has none (it comes
    from another provider, or from a client that does not keep it) can only be continued without."""
    calls = [message for message in messages if message.role == "assistant" and message.tool_calls]
    return bool(calls) and not any(can_be_replayed(block) for message in messages for block in message.reasoning)


def keeps_reasoning(call: ChatCall, traits: ModelTraits, thinking: JsonObject | None) -> bool:
    """Whether thinking blocks of earlier turns may be sent: not to a request that does not think itself."""
    if thinking is not None:
        return thinking.get("type") != "disabled"
    return traits.adaptive_thinking and call.reasoning_effort is None and not forces_tool(call, traits)


def _nearest(budget: int) -> str:
    """The greatest effort that fits into the budget."""
    fitting = [name for name, tokens in BUDGETS.items() if tokens <= budget and name != "minimal"]
    return fitting[-1] if fitting else "low"
