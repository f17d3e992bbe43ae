"""Token usage in OpenAI's shape, with the deviations of servers that speak its dialect."""

from typing import Any

import orjson

from providers.dialects.counts import MOST, count, nano_of_ticks
from providers.lenient import an_object
from providers.types import JsonObject, Usage
from providers.values import quick_tuple

_NANO = 1_000_000_000
_PLAIN = {"prompt_tokens", "completion_tokens", "total_tokens"}
"""A usage object without any detail, as most compatible servers send it."""
_SEARCHED = frozenset({"num_search_queries", "search_context_size", "num_sources_used", "server_tool_use"})
_GROUNDED = "web_search_requests"


def read_usage(raw: Any) -> Usage | None:
    """None when `raw` is no usage object.

    Some servers leave reasoning tokens out of `completion_tokens` while the total includes them (xAI; Gemini does not
    even say how many), and cached tokens out of `prompt_tokens` (xAI); details may be null or the string "None"
    (Blackbox), counts may be floats (Cohere).
    """
    if not isinstance(raw, dict) or not raw:
        return None
    prompt, completion = count(raw.get("prompt_tokens")), count(raw.get("completion_tokens"))
    if raw.keys() == _PLAIN and raw["total_tokens"] == prompt + completion:
        return quick_tuple(Usage, (prompt, completion, 0, 0, 0, None, None, 0, 0, 0, 0))
    input_details, output_details = (
        an_object(raw.get("prompt_tokens_details")),
        an_object(raw.get("completion_tokens_details")),
    )
    cached = _cached(raw, input_details)
    reasoning = count(output_details.get("reasoning_tokens")) or count(raw.get("reasoning_tokens"))
    unsaid = count(raw.get("total_tokens")) - prompt - completion
    beside = cached if cached > prompt or unsaid == cached != reasoning else 0
    if unsaid > 0 and (unsaid == reasoning or (prompt and not reasoning and not beside)):
        completion += unsaid
        reasoning = unsaid
    prompt += beside
    return Usage(
        input_tokens=prompt,
        output_tokens=completion,
        cached_tokens=cached,
        cache_write_tokens=count(input_details.get("cache_write_tokens")),
        reasoning_tokens=reasoning,
        cost_nano_usd=_cost(raw),
        audio_input_tokens=count(input_details.get("audio_tokens")),
        audio_output_tokens=count(output_details.get("audio_tokens")),
        searches=0 if _SEARCHED.isdisjoint(raw) and _GROUNDED not in input_details else _searches(raw, input_details),
    )


def write_usage(usage: Usage) -> JsonObject:
    # Taken apart at once: a named tuple's field takes ten times as long to read as a variable.
    prompt, completion, cached, written, reasoning, _, _, _, heard, spoken, searches = usage
    told: JsonObject = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written, "audio_tokens": heard},
        "completion_tokens_details": {
            "reasoning_tokens": reasoning,
            "audio_tokens": spoken,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
    if searches:
        # As OpenRouter says it.
        told["server_tool_use"] = {_GROUNDED: searches}
    return told


def tell_usage(body: bytes, usage: Usage, *, of_embeddings: bool = False) -> bytes:
    """A whole answer whose server counted nothing, with what was counted here."""
    told = write_usage(usage)
    if of_embeddings:
        told = {name: told[name] for name in ("prompt_tokens", "total_tokens")}
    return orjson.dumps({**orjson.loads(body), "usage": told})


def client_usage(raw: JsonObject, usage: Usage) -> JsonObject:
    """The upstream's own object where its sums follow OpenAI's convention, else the same with the sums corrected."""
    if raw.get("prompt_tokens") == usage.input_tokens and raw.get("completion_tokens") == usage.output_tokens:
        return raw
    return {
        **raw,
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
    }


def _cached(raw: JsonObject, details: JsonObject) -> int:
    """OpenAI's place, DeepSeek's and Moonshot's."""
    return (
        count(details.get("cached_tokens"))
        or count(raw.get("prompt_cache_hit_tokens"))
        or count(raw.get("cached_tokens"))
    )


def _searches(raw: JsonObject, input_details: JsonObject) -> int:
    """What is paid by the piece: Perplexity's queries, or its fee for a request that looked into so much; the sources of xAI's
    live search; the requests that OpenRouter and LiteLLM tell of, the latter Gemini's beside the tokens of the prompt."""
    told = count(raw.get("num_search_queries")) or count(raw.get("num_sources_used"))
    told = told or count(an_object(raw.get("server_tool_use")).get(_GROUNDED)) or count(input_details.get(_GROUNDED))
    return told or (1 if isinstance(raw.get("search_context_size"), str) else 0)


def _cost(raw: JsonObject) -> int | None:
    """What the provider says the call cost: OpenRouter's `cost`, Perplexity's `cost.total_cost` (both in USD), xAI's
    `cost_in_usd_ticks` (10⁻¹⁰ USD)."""
    if (told := nano_of_ticks(raw.get("cost_in_usd_ticks"))) is not None:
        return told
    cost = raw.get("cost")
    if isinstance(cost, dict):
        cost = cost.get("total_cost")
    if isinstance(cost, int | float) and not isinstance(cost, bool) and cost >= 0:
        return round(min(cost, MOST / _NANO) * _NANO)
    return None
