import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from providers.dialects.anthropic_messages import StreamDecoder, decode_answer
from providers.dialects.anthropic_messages.answer import usage_of
from providers.dialects.anthropic_messages.arguments import arguments_from_object
from providers.errors import BadAnswer, Overloaded
from providers.types import (
    Choice,
    Citation,
    ReasoningBlock,
    StreamEnd,
    StreamFailed,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallStart,
    Usage,
    UsageReport,
)
from tests.unit.providers.anthropic_events import run, wire

QUIETLY = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
USAGE = {"input_tokens": 12, "cache_creation_input_tokens": 4, "cache_read_input_tokens": 6, "output_tokens": 20}


def message(*content, stop_reason="end_turn", **fields):
    body = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": list(content)}
    return {**body, "stop_reason": stop_reason, "stop_sequence": None, "usage": USAGE, **fields}


def text(value, **fields):
    return {"type": "text", "text": value, **fields}


def choice_of(*content, **fields):
    return decode_answer(message(*content, **fields)).choices[0]


def test_text_blocks_are_joined():
    answer = decode_answer(message(text("Hello, "), text("world")))
    assert (answer.id, answer.model) == ("msg_1", "claude-x")
    assert answer.choices == (Choice(text="Hello, world", finish_reason="stop"),)


def test_an_answer_without_text_has_none():
    assert choice_of(stop_reason="max_tokens") == Choice(text=None, finish_reason="length")


def test_tool_use_becomes_calls_with_json_arguments():
    block = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"city": "Zürich", "n": 1}}
    choice = choice_of(block, {**block, "id": "toolu_2", "input": {}}, stop_reason="tool_use")
    assert choice.text is None
    assert choice.finish_reason == "tool_calls"
    assert choice.tool_calls == (
        ToolCall(id="toolu_1", name="f", arguments='{"city":"Zürich","n":1}'),
        ToolCall(id="toolu_2", name="f", arguments="{}"),
    )


def test_thinking_is_kept_whole_for_replay():
    thinking = {"type": "thinking", "thinking": "hm", "signature": "sig"}
    choice = choice_of(thinking, {"type": "redacted_thinking", "data": "enc"}, text("Hi"))
    assert choice.reasoning == (ReasoningBlock(text="hm", signature="sig"), ReasoningBlock(encrypted="enc"))


def test_usage_counts_cached_tokens_inside_the_input():
    body = message(text("x"), usage={**USAGE, "output_tokens_details": {"thinking_tokens": 8}})
    assert decode_answer(body).usage == Usage(
        input_tokens=22, output_tokens=20, cached_tokens=6, cache_write_tokens=4, reasoning_tokens=8
    )


@pytest.mark.parametrize("counts", [{}, {"input_tokens": None, "output_tokens": "x"}, {"output_tokens_details": None}])
def test_missing_and_strange_counts_are_zero(counts):
    assert decode_answer(message(text("x"), usage=counts)).usage == Usage()


def test_usage_tells_what_the_cache_keeps_for_an_hour():
    kept = {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 3}
    usage = usage_of({**USAGE, "cache_creation": kept})
    assert (usage.cache_write_tokens, usage.cache_write_1h_tokens) == (4, 3)
    assert usage_of({**USAGE, "cache_creation": None}).cache_write_1h_tokens == 0


def test_no_usage_is_no_usage():
    assert decode_answer(message(text("x"), usage=None)).usage is None


def test_citations_with_an_address_name_their_block_and_others_are_kept():
    found = {"type": "web_search_result_location", "url": "https://e.org", "title": "E", "cited_text": "."}
    document = {"type": "page_location", "document_index": 0, "cited_text": "."}
    answer = decode_answer(message(text("So: "), text("it is", citations=[found, document]), text(".")))
    assert answer.choices[0].citations == (Citation(url="https://e.org", title="E", start_index=4, end_index=9),)
    assert answer.extra == {"provider_content": [{"type": "citation", "citation": document}]}


def test_blocks_without_a_counterpart_are_kept():
    search = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}}
    answer = decode_answer(message(search, text("x")))
    assert answer.extra == {"provider_content": [search]}


def test_a_refusal_explains_itself():
    details = {"type": "refusal", "category": "cyber", "explanation": "No."}
    choice = choice_of(stop_reason="refusal", stop_details=details)
    assert (choice.refusal, choice.finish_reason) == ("No.", "content_filter")


@pytest.mark.parametrize(
    ("stop_reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("pause_turn", "length"),
        ("compaction", "length"),
        ("refusal", "content_filter"),
        ("tool_use", "stop"),
        ("something_new", "stop"),
        (None, "stop"),
    ],
)
def test_every_stop_reason_has_a_finish_reason(stop_reason, finish):
    assert choice_of(text("x"), stop_reason=stop_reason).finish_reason == finish


def test_an_unknown_stop_reason_after_calls_means_the_calls():
    block = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
    assert choice_of(block, stop_reason="something_new").finish_reason == "tool_calls"


def test_the_input_of_the_answer_tool_is_the_text():
    block = {"type": "tool_use", "id": "toolu_1", "name": "answer_as_json", "input": {"n": 1}}
    body = message(block, stop_reason="tool_use")
    assert decode_answer(body, json_tool="answer_as_json").choices == (Choice(text='{"n":1}', finish_reason="stop"),)
    assert len(decode_answer(body).choices[0].tool_calls) == 1


@pytest.mark.parametrize("body", [{}, {"content": None}, {"content": "text"}, {"choices": []}])
def test_what_is_no_message_is_a_bad_answer(body):
    with pytest.raises(BadAnswer):
        decode_answer(body)


def test_an_error_in_a_success_is_its_error():
    with pytest.raises(Overloaded, match="busy"):
        decode_answer({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}})


@pytest.mark.parametrize(
    "block", [None, 5, {}, {"type": "tool_use"}, {"type": "thinking"}, {"type": "text", "text": None}]
)
def test_strange_blocks_never_crash(block):
    assert decode_answer(message(text("x"), block)).choices[0].text == "x"


# -------------------------------------------------------------------------------------------------------- any answer

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
names = st.from_regex(r"[a-zA-Z0-9_-]{1,12}", fullmatch=True)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
blocks = st.one_of(
    st.builds(lambda value: {"type": "text", "text": value}, words),
    st.builds(lambda value, signature: {"type": "thinking", "thinking": value, "signature": signature}, words, names),
    st.builds(lambda value: {"type": "redacted_thinking", "data": value}, names),
    st.builds(
        lambda identifier, name, given_input: {
            "type": "tool_use",
            "id": f"toolu_{identifier}",
            "name": name,
            "input": given_input,
        },
        names,
        names,
        st.dictionaries(words, values, max_size=3),
    ),
)
counts = st.integers(0, 10**9)
usages = st.builds(
    lambda plain, read, written, output: {
        "input_tokens": plain,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written,
        "output_tokens": output,
        "output_tokens_details": {"thinking_tokens": output // 2},
    },
    counts,
    counts,
    counts,
    counts,
)


@QUIETLY
@given(content=st.lists(blocks, max_size=6), usage=usages)
def test_a_stream_says_the_same_as_the_complete_answer(content, usage):
    stop_reason = "tool_use" if any(block["type"] == "tool_use" for block in content) else "end_turn"
    whole = decode_answer(message(*content, stop_reason=stop_reason, usage=usage))
    choice = whole.choices[0]
    start = {"type": "message_start", "message": message(usage={**usage, "output_tokens": 1})}
    body = [part for index, block in enumerate(content) for part in streamed(index, block)]
    last = {"type": "message_delta", "delta": {"stop_reason": stop_reason}, "usage": usage}
    events = run([wire(start, *body, last, {"type": "message_stop"})])
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == (choice.text or "")
    assert tuple(event.block for event in events if hasattr(event, "block")) == choice.reasoning
    prompt = whole.usage._replace(output_tokens=0, reasoning_tokens=0)
    assert [event.usage for event in events if isinstance(event, UsageReport)] == [prompt, whole.usage]
    assert [event.reason for event in events if hasattr(event, "reason")] == [choice.finish_reason]
    starts = [event for event in events if isinstance(event, ToolCallStart)]
    deltas = [event for event in events if isinstance(event, ToolCallDelta)]
    assert tuple(
        ToolCall(
            id=each.id,
            name=each.name,
            arguments="".join(event.arguments for event in deltas if event.index == each.index),
        )
        for each in starts
    ) == tuple(choice.tool_calls)


def streamed(index, block):
    """The block as the upstream streams it: an empty start, its content in two halves, its end."""
    kind = block["type"]
    if kind == "redacted_thinking":
        parts, start = [], block
    elif kind == "text":
        start, parts = (
            {"type": kind, "text": ""},
            [{"type": "text_delta", "text": half} for half in halves(block["text"])],
        )
    elif kind == "thinking":
        start = {"type": kind, "thinking": "", "signature": ""}
        parts = [{"type": "thinking_delta", "thinking": half} for half in halves(block["thinking"])]
        parts.append({"type": "signature_delta", "signature": block["signature"]})
    else:
        start = {**block, "input": {}}
        whole = arguments_from_object(block["input"]) if block["input"] else ""
        parts = [{"type": "input_json_delta", "partial_json": half} for half in halves(whole)]
    yield {"type": "content_block_start", "index": index, "content_block": start}
    yield from ({"type": "content_block_delta", "index": index, "delta": part} for part in parts)
    yield {"type": "content_block_stop", "index": index}


def halves(whole):
    middle = len(whole) // 2
    return [whole[:middle], whole[middle:]]


@QUIETLY
@given(data=st.binary(max_size=400))
def test_no_bytes_whatsoever_crash_the_decoder(data):
    decoder = StreamDecoder()
    events = decoder.feed(b"event: x\ndata: " + data + b"\n\n") + decoder.feed(data) + decoder.close()
    assert isinstance(events[-1], StreamFailed | StreamEnd)


@QUIETLY
@given(
    raw=st.lists(
        st.dictionaries(st.sampled_from(["type", "index", "delta", "content_block", "message", "usage"]), values)
    )
)
def test_no_shape_of_known_events_crashes_the_decoder(raw):
    kinds = ["message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta"]
    shaped = [{**event, "type": kinds[position % len(kinds)]} for position, event in enumerate(raw)]
    assert run([wire(*shaped)])
