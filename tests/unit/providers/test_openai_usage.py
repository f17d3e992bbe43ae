"""Usage objects as the servers that speak OpenAI's dialect send them."""

from typing import Any

import orjson
import pytest

from providers.dialects.counts import MOST
from providers.dialects.openai_chat.usage import read_usage, tell_usage, write_usage
from providers.types import Usage


def test_deepseeks_and_moonshots_cached_tokens_are_cached() -> None:
    deepseek = {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105}
    deepseek |= {"prompt_cache_hit_tokens": 80, "prompt_cache_miss_tokens": 20}
    moonshot = {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105, "cached_tokens": 80}
    assert read_usage(deepseek) == read_usage(moonshot) == Usage(100, 5, cached_tokens=80)


def test_audio_is_inside_what_was_heard_and_said() -> None:
    raw = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}
    raw |= {"prompt_tokens_details": {"audio_tokens": 60}, "completion_tokens_details": {"audio_tokens": 40}}
    usage = read_usage(raw)
    assert usage == Usage(100, 50, audio_input_tokens=60, audio_output_tokens=40)
    written = write_usage(usage)
    assert written["prompt_tokens_details"]["audio_tokens"] == 60
    assert written["completion_tokens_details"]["audio_tokens"] == 40


@pytest.mark.parametrize(
    ("more", "searches"),
    [
        ({"num_search_queries": 18, "search_context_size": "low"}, 18),
        ({"search_context_size": "low"}, 1),
        ({"num_sources_used": 4}, 4),
        ({"num_sources_used": 0}, 0),
        ({"server_tool_use": {"web_search_requests": 2}}, 2),
        ({"prompt_tokens_details": {"web_search_requests": 3}}, 3),
        ({"server_tool_use": None, "search_context_size": None}, 0),
        ({"num_search_queries": 10**30}, MOST),
    ],
)
def test_searches_are_counted_where_the_provider_tells_of_them(more: dict[str, Any], searches: int) -> None:
    raw = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14, **more}
    assert read_usage(raw) == Usage(9, 5, searches=searches)


def test_cached_tokens_said_twice_count_once() -> None:
    both = {"prompt_tokens": 100, "completion_tokens": 5, "prompt_cache_hit_tokens": 80}
    assert read_usage({**both, "prompt_tokens_details": {"cached_tokens": 64}}) == Usage(100, 5, cached_tokens=64)


@pytest.mark.parametrize("more", [{}, {"completion_tokens_details": None}, {"prompt_tokens_details": {}}])
def test_thinking_that_only_the_total_holds_is_output(more: dict[str, Any]) -> None:
    """Gemini's OpenAI-compatible address, which bills it so."""
    raw = {"prompt_tokens": 20, "completion_tokens": 424, "total_tokens": 1016, **more}
    assert read_usage(raw) == Usage(20, 996, reasoning_tokens=572)


@pytest.mark.parametrize(
    ("raw", "usage"),
    [
        ({"prompt_tokens": 20, "completion_tokens": 4, "total_tokens": 20}, Usage(20, 4)),
        ({"prompt_tokens": 20, "total_tokens": 20}, Usage(20, 0)),
        ({"completion_tokens": 4, "total_tokens": 104}, Usage(0, 4)),
        (
            {
                "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 115,
                "prompt_tokens_details": {"cached_tokens": 100},
            },
            Usage(110, 5, cached_tokens=100),
        ),
    ],
)  # fmt: skip
def test_a_total_that_says_something_else_is_no_thinking(raw: dict[str, Any], usage: Usage) -> None:
    assert read_usage(raw) == usage


def test_cached_tokens_that_only_the_total_holds_are_input() -> None:
    raw = {"prompt_tokens": 200, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 100}}
    assert read_usage({**raw, "total_tokens": 310}) == Usage(300, 10, cached_tokens=100)
    assert read_usage({**raw, "total_tokens": 210}) == Usage(200, 10, cached_tokens=100)
    thought = {**raw, "total_tokens": 310, "completion_tokens_details": {"reasoning_tokens": 100}}
    assert read_usage(thought) == Usage(200, 110, cached_tokens=100, reasoning_tokens=100)


@pytest.mark.parametrize("lie", [10**30, 1e300, 10**19])
def test_no_count_is_larger_than_can_be_added_up(lie: float) -> None:
    details = {"cached_tokens": lie, "cache_write_tokens": lie, "audio_tokens": lie}
    raw = {"prompt_tokens": lie, "completion_tokens": lie, "total_tokens": 5, "prompt_tokens_details": details}
    raw |= {"completion_tokens_details": {"reasoning_tokens": lie, "audio_tokens": lie}, "cost": lie}
    for usage in (read_usage(raw), read_usage({**raw, "cost": {"total_cost": lie}, "cost_in_usd_ticks": lie})):
        assert usage == Usage(MOST, MOST, MOST, MOST, MOST, MOST, audio_input_tokens=MOST, audio_output_tokens=MOST)


@pytest.mark.parametrize("cost", [True, "0.5", -1, None, [1], float("nan")])
def test_a_cost_that_is_no_amount_is_none(cost: object) -> None:
    assert read_usage({"prompt_tokens": 1, "cost": cost}) == Usage(1)


def test_an_answer_without_usage_is_told_what_was_counted() -> None:
    answer = orjson.loads(tell_usage(b'{"id":"c","usage":{}}', Usage(9, 2)))
    assert (answer["id"], answer["usage"]) == ("c", write_usage(Usage(9, 2)))
    embedded = orjson.loads(tell_usage(b'{"data":[]}', Usage(9), of_embeddings=True))
    assert embedded == {"data": [], "usage": {"prompt_tokens": 9, "total_tokens": 9}}
