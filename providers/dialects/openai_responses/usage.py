"""Usage of a Responses answer, OpenAI's and Perplexity's, and back. Pure."""

from decimal import Decimal, InvalidOperation

from providers.dialects.counts import MOST, count, nano_of_ticks
from providers.lenient import an_object
from providers.types import JsonObject, Usage

NANO = Decimal(1_000_000_000)


def nano_usd(amount: object) -> int | None:
    """Dollars as JSON gave them. A float's shortest form is the text that was sent, so nothing is lost on the way."""
    if isinstance(amount, bool) or not isinstance(amount, int | float | str):
        return None
    try:
        nano = Decimal(str(amount)) * NANO
        return min(int(nano.to_integral_value()), MOST) if nano >= 0 else None
    except (InvalidOperation, ValueError, OverflowError):
        return None


def is_search(item: JsonObject) -> bool:
    """One that is paid for: OpenAI asks nothing for opening a page that was found, nor for looking through it."""
    if item.get("type") != "web_search_call" or item.get("status") == "failed":
        return False
    action = item.get("action")
    return not isinstance(action, dict) or action.get("type") in (None, "search")


def _searches(usage: JsonObject) -> int:
    """Perplexity's and xAI's own count."""
    tools = an_object(usage.get("tool_calls_details"))
    used = an_object(usage.get("server_side_tool_usage_details"))
    told = [an_object(tools.get(name)).get("invocation") for name in ("search_web", "web_search")]
    return min(sum(map(count, [*told, used.get("web_search_calls"), used.get("x_search_calls")])), MOST)


def decode_usage(usage: object, searches: int = 0) -> Usage | None:
    """`searches` are those of the answer's items, for providers that do not count them."""
    if not isinstance(usage, dict) or not ("input_tokens" in usage or "output_tokens" in usage):
        return None
    cost = nano_usd(an_object(usage.get("cost")).get("total_cost"))
    inputs, outputs = an_object(usage.get("input_tokens_details")), an_object(usage.get("output_tokens_details"))
    return Usage(
        input_tokens=count(usage.get("input_tokens")),
        output_tokens=count(usage.get("output_tokens")),
        cached_tokens=count(inputs.get("cached_tokens")) or count(inputs.get("cache_read_input_tokens")),
        cache_write_tokens=count(inputs.get("cache_write_tokens")) or count(inputs.get("cache_creation_input_tokens")),
        reasoning_tokens=count(outputs.get("reasoning_tokens")),
        cost_nano_usd=nano_of_ticks(usage.get("cost_in_usd_ticks")) if cost is None else cost,
        searches=_searches(usage) or searches,
    )


def encode_usage(usage: Usage) -> JsonObject:
    """Both detail objects are always there: OpenAI's client requires them."""
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total_tokens,
    }
