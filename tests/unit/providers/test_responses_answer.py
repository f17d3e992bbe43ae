"""Complete Responses answers as typed values and back, and that streams say the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.dialects.counts import MOST
from providers.dialects.openai_responses.answer import decode_answer
from providers.dialects.openai_responses.errors import classify_error, error_in
from providers.dialects.openai_responses.items import encode_call
from providers.dialects.openai_responses.usage import decode_usage, encode_usage, is_search, nano_usd
from providers.dialects.upstream_errors import read_error
from providers.errors import (
    BadAnswer,
    ClientFault,
    ContentFiltered,
    ContextOverflow,
    CredentialRejected,
    QuotaExhausted,
    RateLimited,
    ServerFailed,
)
from providers.types import ChatAnswer, Choice, Citation, Finish, ReasoningBlock, ReasoningDone, ToolCall, Usage

from .responses_frames import arguments_of, completed, created, decode, message, reasoning_of, refusal_of, text_of


def answer(*output, **fields):
    return decode_answer({"id": "resp_1", "model": "m", "status": "completed", "output": list(output), **fields})


def test_texts_of_all_messages_are_one_text_and_citations_count_through_it():
    source = {"type": "url_citation", "url": "https://a.test", "title": "A", "start_index": 0, "end_index": 2}
    choice = answer(message("Before. "), message("It is.", annotations=[source])).choices[0]
    assert choice.text == "Before. It is."
    assert choice.citations == (Citation(url="https://a.test", title="A", start_index=8, end_index=10),)


def test_an_answer_with_only_calls_has_no_text():
    choice = answer({"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": ""}).choices[
        0
    ]
    assert choice.text is None
    assert choice.tool_calls == (ToolCall(id="call_1", name="f", arguments="{}"),)
    assert choice.finish_reason == "tool_calls"


def test_malformed_items_and_parts_are_passed_over():
    odd = [None, 3, {"type": "message"}, {"type": "message", "content": [None, {"type": "output_text"}]}]
    assert answer(*odd, message("Hi")).choices[0].text == "Hi"


@pytest.mark.parametrize("body", [{}, {"status": "completed"}, {"output": [], "status": "queued"}])
def test_what_is_no_finished_answer_is_a_bad_answer(body):
    with pytest.raises(BadAnswer):
        decode_answer(body)


def test_an_answer_without_a_status_counts_as_completed():
    assert decode_answer({"output": [message("Hi")]}).choices[0].finish_reason == "stop"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"status": "failed", "error": {"code": "server_error", "message": "x"}}, ServerFailed),
        ({"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "x"}}, RateLimited),
        ({"status": "failed", "error": {"code": "invalid_prompt", "message": "x"}}, ContentFiltered),
        ({"status": "failed", "error": {"code": "bio_policy", "message": "x"}}, ContentFiltered),
        ({"status": "failed", "error": {"code": "misalignment_policy_violation", "message": "x"}}, ContentFiltered),
        ({"status": "failed", "error": {"code": "data_residency_mismatch", "message": "x"}}, ClientFault),
        ({"status": "failed", "error": {"code": "image_too_large", "message": "x"}}, ClientFault),
        ({"status": "failed", "error": {"code": "vector_store_timeout", "message": "x"}}, ServerFailed),
        ({"status": "failed"}, ServerFailed),
        ({"status": "cancelled", "error": {"message": "x"}}, ServerFailed),
        ({"error": "Busy.", "code": "The service is currently unavailable"}, Exception),
        ({"error": {"message": "x", "code": "insufficient_quota"}}, QuotaExhausted),
        ({"error": {"message": "the prompt is too long"}}, ContextOverflow),
    ],
)
def test_a_failure_with_status_200_is_the_error_it_names(body, expected):
    with pytest.raises(expected):
        decode_answer(body)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (401, b"<html>no</html>", CredentialRejected),
        (400, b'{"error":{"message":"Unknown field.","code":400}}', ClientFault),
        (500, b"", ServerFailed),
        (429, b"{}", RateLimited),
    ],
)
def test_reads_errors_with_a_status(status, body, expected):
    assert type(read_error(status, {}, body)) is expected


def test_finds_an_error_however_it_is_written():
    assert error_in({"error": {"message": "x"}}) == {"message": "x"}
    assert error_in({"error": "x", "code": "c"}) == {"message": "x", "code": "c"}
    assert error_in({"type": "error", "message": "x"}) == {"message": "x", "code": None, "param": None}
    assert error_in({"statusCode": 401, "message": "x"}) == {"message": "x", "code": None, "param": None}
    assert error_in({"id": "resp_1", "error": None}) is None


def test_an_error_never_quotes_a_key():
    error = classify_error({"message": "Incorrect API key provided: sk-abcdefghijkl.", "code": "server_error"})
    assert "abcdefghijkl" not in error.message


# -------------------------------------------------------------------------------------------------------------- usage


def test_usage_of_openai_and_of_perplexity():
    openai = {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 1},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 2},
    }
    perplexity = {
        "input_tokens": 9,
        "output_tokens": 5,
        "input_tokens_details": {"cache_read_input_tokens": 4, "cache_creation_input_tokens": 1},
        "cost": {"currency": "USD", "total_cost": 0.00312},
    }
    counted = {"input_tokens": 9, "output_tokens": 5, "cached_tokens": 4, "cache_write_tokens": 1}
    assert decode_usage(openai) == Usage(**counted, reasoning_tokens=2)
    assert decode_usage(perplexity) == Usage(**counted, cost_nano_usd=3_120_000)


def test_xais_cost_is_what_the_call_cost():
    told = {"input_tokens": 16962, "output_tokens": 3727, "cost_in_usd_ticks": 569_184_000}
    assert decode_usage(told) == Usage(16962, 3727, cost_nano_usd=56_918_400)
    assert decode_usage({**told, "cost_in_usd_ticks": None}) == Usage(16962, 3727)


@pytest.mark.parametrize(
    ("more", "searches"),
    [
        ({}, 2),
        ({"tool_calls_details": {"search_web": {"invocation": 3}, "fetch_url": {"invocation": 5}}}, 3),
        ({"server_side_tool_usage_details": {"web_search_calls": 1, "x_search_calls": 7, "mcp_calls": 2}}, 8),
        ({"server_side_tool_usage_details": {"web_search_calls": 10**30, "x_search_calls": 7}}, MOST),
        ({"tool_calls_details": {"search_web": None}, "server_side_tool_usage_details": []}, 2),
    ],
)
def test_a_providers_own_count_of_searches_stands_before_that_of_the_items(more, searches):
    assert decode_usage({"input_tokens": 9, "output_tokens": 5, **more}, 2) == Usage(9, 5, searches=searches)


def test_a_page_that_is_opened_and_a_search_that_failed_are_no_searches():
    call = {"type": "web_search_call", "status": "completed"}
    assert is_search(call)
    assert is_search({**call, "action": {"type": "search", "query": "q"}})
    for more in ({"action": {"type": "open_page"}}, {"action": {"type": "find_in_page"}}, {"status": "failed"}):
        assert not is_search({**call, **more})
    assert not is_search({"type": "file_search_call"})


@pytest.mark.parametrize("usage", [None, {}, [], "9", {"total_tokens": 3}])
def test_no_usage_is_none(usage):
    assert decode_usage(usage) is None


def test_costs_are_exact():
    assert nano_usd(0.1) == 100_000_000
    assert nano_usd("0.000000001") == 1
    assert nano_usd(1.1e-7) == 110
    assert [nano_usd(amount) for amount in (None, True, "x", -1, float("nan"))] == [None] * 5


# ------------------------------------------------------------------------------------------------------- properties

WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
USAGES = st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)).map(lambda counts: Usage(*counts))
CALLS = st.builds(ToolCall, id=WORDS, name=WORDS, arguments=WORDS, custom=st.booleans())
CHOICES = st.builds(
    Choice,
    text=st.none() | WORDS,
    refusal=st.none() | WORDS,
    reasoning=st.lists(st.builds(ReasoningBlock, text=WORDS, encrypted=st.none() | WORDS), max_size=2).map(tuple),
    finish_reason=st.sampled_from(["stop", "length", "content_filter"]),
)


def with_calls(choice, calls):
    if not calls:
        return choice
    reason = "tool_calls" if choice.finish_reason == "stop" else choice.finish_reason
    return Choice(
        text=choice.text,
        refusal=choice.refusal,
        reasoning=choice.reasoning,
        tool_calls=tuple(calls),
        finish_reason=reason,
    )


ANSWERS = st.builds(
    lambda choice, calls, usage: ChatAnswer(
        id="resp_1", model="m-1", choices=(with_calls(choice, calls),), created=1790000000, usage=usage
    ),
    CHOICES,
    st.lists(CALLS, max_size=3, unique_by=lambda call: call.id),
    USAGES,
)


def written(chat):
    """As the service writes it."""
    choice = chat.choices[0]
    status = "incomplete" if choice.finish_reason in ("length", "content_filter") else "completed"
    reason = {"length": "max_output_tokens"}.get(choice.finish_reason, choice.finish_reason)
    content = []
    if choice.text is not None:
        annotations = [
            {
                "type": "url_citation",
                "url": each.url,
                "title": each.title,
                "start_index": each.start_index,
                "end_index": each.end_index,
            }
            for each in choice.citations
        ]
        content.append({"type": "output_text", "text": choice.text, "annotations": annotations})
        if choice.logprobs:
            content[0]["logprobs"] = choice.logprobs["content"]
    if choice.refusal is not None:
        content.append({"type": "refusal", "refusal": choice.refusal})
    thoughts = [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": each.text}]}
        | ({} if each.encrypted is None else {"encrypted_content": each.encrypted})
        for each in choice.reasoning
    ]
    messages = [{"type": "message", "role": "assistant", "content": content}] if content else []
    return {
        "id": chat.id,
        "created_at": chat.created,
        "status": status,
        "incomplete_details": {"reason": reason} if status == "incomplete" else None,
        "model": chat.model,
        "output": [*thoughts, *messages, *(encode_call(call) for call in choice.tool_calls)],
        "usage": chat.usage and encode_usage(chat.usage),
        **chat.extra,
    }


@given(ANSWERS)
def test_nothing_is_lost_on_the_way_there_and_back(chat):
    assert decode_answer(written(chat)) == chat


@given(ANSWERS)
def test_a_stream_says_what_the_complete_answer_says(chat):
    body = written(chat)
    events = decode(created() + completed(**{**body, "kind": f"response.{body['status']}"}))
    choice = chat.choices[0]
    assert text_of(events) == (choice.text or "")
    assert refusal_of(events) == (choice.refusal or "")
    assert arguments_of(events) == {place: call.arguments for place, call in enumerate(choice.tool_calls)}
    assert reasoning_of(events) == "".join(block.text for block in choice.reasoning)
    assert {event.block.encrypted for event in events if isinstance(event, ReasoningDone)} == {
        block.encrypted for block in choice.reasoning if block.encrypted
    }
    assert Finish(choice.finish_reason) in events


@given(USAGES)
def test_usage_is_the_same_there_and_back(usage):
    assert decode_usage(encode_usage(usage)) == usage


def test_sources_and_probabilities_survive_the_way_there_and_back():
    choice = Choice(
        text="So.",
        citations=(Citation(url="https://a.test", title="A", start_index=0, end_index=3),),
        logprobs={"content": [{"token": "So.", "logprob": -0.1}], "refusal": None},
    )
    chat = ChatAnswer(id="resp_1", model="m", choices=(choice,), created=1, extra={"service_tier": "flex"})
    assert decode_answer(written(chat)) == chat
