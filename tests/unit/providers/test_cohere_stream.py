"""Cohere's streams as typed events, under every cut of their bytes and with everything out of place."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.dialects.cohere_chat import StreamDecoder, decode_answer
from providers.errors import BadAnswer, ContextOverflow, ServerFailed, StreamTruncated, UpstreamError, UpstreamTimeout
from providers.types import (
    Citation,
    CitationFound,
    ExtraFields,
    Finish,
    JsonObject,
    ReasoningDelta,
    StreamEnd,
    StreamEvent,
    StreamFailed,
    StreamStart,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
    Usage,
    UsageReport,
)

START = {"type": "message-start", "id": "m1", "delta": {"message": {"role": "assistant"}}}
USAGE = {"billed_units": {"input_tokens": 5.0}, "tokens": {"input_tokens": 71.0, "output_tokens": 2.0}}
STARTED = StreamStart(id="m1", model="command-a")


def end(reason: str | None = "COMPLETE", **delta: object) -> JsonObject:
    return {"type": "message-end", "delta": {"finish_reason": reason, **delta}}


def content(text: str, index: int | None = 0, key: str = "text") -> JsonObject:
    event: JsonObject = {"type": "content-delta", "delta": {"message": {"content": {key: text}}}}
    return event if index is None else {**event, "index": index}


def tool(kind: str, index: int | None = None, **call: object) -> JsonObject:
    event: JsonObject = {"type": f"tool-call-{kind}", "delta": {"message": {"tool_calls": call}}}
    return event if index is None else {**event, "index": index}


def opened(index: int | None, call_id: str, name: str = "f", arguments: str = "") -> JsonObject:
    return tool("start", index, id=call_id, type="function", function={"name": name, "arguments": arguments})


def argument(text: str, index: int | None = None) -> JsonObject:
    return tool("delta", index, function={"arguments": text})


def closed(index: int) -> JsonObject:
    return {"type": "tool-call-end", "index": index}


def sse(*events: JsonObject) -> bytes:
    return b"".join(b"event: %s\ndata: %s\n\n" % (str(e.get("type")).encode(), orjson.dumps(e)) for e in events)


def read(data: bytes, *, size: int | None = None, close: bool = True) -> list[StreamEvent]:
    decoder = StreamDecoder(model="command-a")
    pieces = [data] if size is None else [data[i : i + size] for i in range(0, len(data), size)]
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.close() if close else events


def body_of(*events: JsonObject) -> list[StreamEvent]:
    """Everything between the start and the end of a stream that starts and ends well."""
    decoded = read(sse(START, *events, end()))
    assert decoded[0] == STARTED
    assert decoded[-1] == StreamEnd()
    return [event for event in decoded[1:-1] if not isinstance(event, Finish)]


def failure_of(events: list[StreamEvent]) -> UpstreamError:
    assert isinstance(events[-1], StreamFailed)
    assert isinstance(events[-1].error, UpstreamError)
    return events[-1].error


WHOLE = sse(
    START,
    {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "thinking", "thinking": ""}}}},
    content("hm 🤔", 0, "thinking"),
    {"type": "content-end", "index": 0},
    {"type": "content-start", "index": 1, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
    content("Grüße \u2028 ", 1),
    content("世界", 1),
    {"type": "content-end", "index": 1},
    {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I look"}}},
    opened(0, "a", "weather"),
    argument('{"ci', 0),
    argument('ty":1}', 0),
    closed(0),
    opened(1, "b", "clock"),
    closed(1),
    end("TOOL_CALL", usage=USAGE),
)
WHOLE_EVENTS: list[StreamEvent] = [
    STARTED,
    ReasoningDelta("hm 🤔"),
    TextDelta("Grüße \u2028 "),
    TextDelta("世界"),
    TextDelta("I look"),
    ToolCallStart(0, "a", "weather"),
    ToolCallDelta(0, '{"ci'),
    ToolCallDelta(0, 'ty":1}'),
    ToolCallStart(1, "b", "clock"),
    ToolCallDelta(1, "{}"),
    Finish("tool_calls"),
    UsageReport(Usage(input_tokens=71, output_tokens=2)),
    StreamEnd(),
]


def test_reads_a_whole_stream() -> None:
    assert read(WHOLE) == WHOLE_EVENTS


def test_reads_the_same_under_every_split_in_two() -> None:
    for cut in range(1, len(WHOLE)):
        decoder = StreamDecoder(model="command-a")
        assert decoder.feed(WHOLE[:cut]) + decoder.feed(WHOLE[cut:]) + decoder.close() == WHOLE_EVENTS, cut


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_reads_the_same_in_pieces(size: int) -> None:
    assert read(WHOLE, size=size) == WHOLE_EVENTS


@pytest.mark.parametrize("line_end", [b"\r\n", b"\r"])
@pytest.mark.parametrize("size", [None, 1])
def test_reads_every_kind_of_line_end(line_end: bytes, size: int | None) -> None:
    assert read(WHOLE.replace(b"\n", line_end), size=size) == WHOLE_EVENTS


# ------------------------------------------------------------------------------------------------- how a stream ends


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("COMPLETE", "stop"),
        ("STOP_SEQUENCE", "stop"),
        ("MAX_TOKENS", "length"),
        ("TOOL_CALL", "tool_calls"),
        ("ERROR_TOXIC", "content_filter"),
        ("ERROR_LIMIT", "length"),
        ("USER_CANCEL", "stop"),
        ("SOMETHING_NEW", "stop"),
        (None, "stop"),
    ],
)
def test_maps_every_finish_reason(reason: str | None, finish: str) -> None:
    assert read(sse(START, content("x"), end(reason)))[-2:] == [Finish(finish), StreamEnd()]  # type: ignore[arg-type]


def test_a_complete_answer_with_tool_calls_asks_for_tools() -> None:
    assert Finish("tool_calls") in read(sse(START, opened(0, "a"), closed(0), end("COMPLETE")))


def test_an_end_without_a_delta_is_a_plain_end() -> None:
    assert read(sse(START, content("x"), {"type": "message-end"}))[-2:] == [Finish("stop"), StreamEnd()]


@pytest.mark.parametrize(
    ("delta", "kind", "text"),
    [
        ({"finish_reason": "ERROR", "error": "the model broke"}, ServerFailed, "the model broke"),
        ({"finish_reason": "ERROR"}, ServerFailed, "Cohere's generation failed."),
        ({"finish_reason": "COMPLETE", "error": "late"}, ServerFailed, "late"),
        ({"finish_reason": "TIMEOUT"}, UpstreamTimeout, "Cohere's generation timed out."),
        ({"finish_reason": "ERROR", "error": "too many tokens: 9"}, ContextOverflow, "too many tokens: 9"),
        (
            {"finish_reason": "ERROR", "error": "too many tokens: max tokens must be less than or equal to 4096"},
            ServerFailed,
            "too many tokens: max tokens must be less than or equal to 4096",
        ),
    ],
)
def test_a_failed_generation_is_an_error_and_not_a_finish(
    delta: JsonObject, kind: type[UpstreamError], text: str
) -> None:
    events = read(sse(START, content("x"), {"type": "message-end", "delta": delta}))
    error = failure_of(events)
    assert type(error) is kind
    assert error.message == text
    assert not any(isinstance(event, Finish | StreamEnd) for event in events)


def test_a_timed_out_generation_is_a_504() -> None:
    assert failure_of(read(sse(START, end("TIMEOUT")))).status == 504


def test_an_error_object_in_the_stream_fails_it() -> None:
    error = failure_of(read(sse(START, content("x")) + b'data: {"message":"internal server error","id":"1"}\n\n'))
    assert type(error) is ServerFailed
    assert error.message == "internal server error"


def test_an_overflow_in_the_stream_is_recognised() -> None:
    data = b'data: {"message":"too many tokens: size limit exceeded by 11326 tokens."}\n\n'
    assert type(failure_of(read(data))) is ContextOverflow


@pytest.mark.parametrize("tail", [b"", b"data: {", b'event: message-end\ndata: {"type":"message-e'])
def test_a_stream_without_its_end_is_truncated(tail: bytes) -> None:
    events = read(sse(START, content("x")) + tail)
    assert events[:2] == [STARTED, TextDelta("x")]
    assert type(failure_of(events)) is StreamTruncated


def test_an_empty_body_is_truncated() -> None:
    assert type(failure_of(read(b""))) is StreamTruncated


def test_a_whole_last_event_counts_without_its_blank_line() -> None:
    assert read(sse(START, content("x"), end()).rstrip(b"\n"))[-1] == StreamEnd()


def test_nothing_follows_the_end() -> None:
    data = sse(START, content("x"), end(), content("y"), end("ERROR")) + b"data: [DONE]\n\ndata: {broken\n\n"
    assert read(data) == [STARTED, TextDelta("x"), Finish("stop"), StreamEnd()]
    decoder = StreamDecoder()
    decoder.feed(sse(START, end()))
    assert decoder.feed(sse(content("y"))) == []
    assert decoder.close() == []


def test_nothing_follows_a_failure() -> None:
    decoder = StreamDecoder()
    assert isinstance(decoder.feed(b"data: {broken\n\n")[-1], StreamFailed)
    assert decoder.feed(sse(START, content("x"), end())) == []
    assert decoder.close() == []


# ------------------------------------------------------------------------------------------------------- out of place


@pytest.mark.parametrize(
    "noise",
    [
        b": keep-alive\n\n",
        b"data:\n\n",
        b"data: [DONE]\n\n",
        b'event: debug\ndata: {"type":"debug","prompt":"<|START|>"}\n\n',
        b'event: later-invention\ndata: {"type":"later-invention","delta":{}}\n\n',
        b'data: {"no":"type"}\n\n',
        b"event: ping\n\n",
        sse({"type": "citation-end", "index": 0}),
        sse({"type": "content-end"}),
        sse({"type": "content-delta", "index": 0}),
        sse({"type": "content-delta", "index": 0, "delta": None}),
        sse({"type": "content-delta", "index": 0, "delta": {"message": {"content": None}}}),
        sse(content("")),
        sse(START),
        sse(closed(7)),
        sse({"type": "tool-call-end"}),
    ],
)
def test_what_says_nothing_changes_nothing(noise: bytes) -> None:
    data = sse(START, content("x")) + noise + sse(content("y"), end())
    assert read(data) == [STARTED, TextDelta("x"), TextDelta("y"), Finish("stop"), StreamEnd()]


@pytest.mark.parametrize("data", [b"data: {\n\n", b"data: [1]\n\n", b'data: "x"\n\n', b'data: {"type":"\xff"}\n\n'])
def test_data_that_is_no_json_object_fails_the_stream_and_keeps_what_came_before(data: bytes) -> None:
    events = read(sse(START, content("x")) + data + sse(end()))
    assert events[:2] == [STARTED, TextDelta("x")]
    assert type(failure_of(events)) is BadAnswer
    assert len(events) == 3


def test_text_without_a_start_is_taken_as_it_comes() -> None:
    assert read(sse(content("x", None), end()))[:2] == [StreamStart(id="", model="command-a"), TextDelta("x")]


def test_text_in_the_start_of_a_part_is_not_lost() -> None:
    start = {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": "He"}}}}
    assert body_of(start, content("y")) == [TextDelta("He"), TextDelta("y")]


def test_content_that_is_a_string_is_text() -> None:
    event = {"type": "content-delta", "index": 0, "delta": {"message": {"content": "plain"}}}
    assert body_of(event) == [TextDelta("plain")]


# --------------------------------------------------------------------------------------------------------- tool calls


def test_interleaved_calls_keep_their_own_arguments() -> None:
    events = body_of(opened(0, "a"), opened(1, "b"), argument('{"x"', 0), argument("{}", 1), argument(":1}", 0))
    assert events == [
        ToolCallStart(0, "a", "f"),
        ToolCallStart(1, "b", "f"),
        ToolCallDelta(0, '{"x"'),
        ToolCallDelta(1, "{}"),
        ToolCallDelta(0, ":1}"),
    ]


def test_calls_are_counted_whatever_their_index() -> None:
    events = body_of(opened(3, "a"), argument("{}", 3), opened(9, "b"), argument("{}", 9))
    assert [event.index for event in events if isinstance(event, ToolCallStart | ToolCallDelta)] == [0, 0, 1, 1]


def test_a_new_id_at_a_used_index_is_a_new_call() -> None:
    events = body_of(opened(0, "a"), argument('{"n":1}', 0), opened(0, "b"), argument('{"n":2}', 0))
    assert events == [
        ToolCallStart(0, "a", "f"),
        ToolCallDelta(0, '{"n":1}'),
        ToolCallStart(1, "b", "f"),
        ToolCallDelta(1, '{"n":2}'),
    ]


def test_a_call_that_begins_twice_is_one_call() -> None:
    events = body_of(opened(0, "a"), opened(0, "a"), argument("{}", 0), opened(0, "a", "f", "{}"))
    assert events == [ToolCallStart(0, "a", "f"), ToolCallDelta(0, "{}")]


def test_a_delta_without_an_index_belongs_to_the_latest_call() -> None:
    assert body_of(opened(None, "a"), argument("1"), opened(None, "b"), argument("2"))[1::2] == [
        ToolCallDelta(0, "1"),
        ToolCallDelta(1, "2"),
    ]


def test_arguments_in_the_start_of_a_call_are_not_lost() -> None:
    assert body_of(opened(0, "a", "f", '{"x":1}'), closed(0)) == [
        ToolCallStart(0, "a", "f"),
        ToolCallDelta(0, '{"x":1}'),
    ]


def test_a_call_without_an_id_gets_one() -> None:
    assert body_of(opened(0, ""), argument("{}", 0))[0] == ToolCallStart(0, "call_0", "f")


def test_calls_in_a_list_are_read_like_one() -> None:
    event = {
        "type": "tool-call-start",
        "index": 0,
        "delta": {"message": {"tool_calls": [{"id": "a", "function": {"name": "f"}}]}},
    }
    assert body_of(event, closed(0)) == [ToolCallStart(0, "a", "f"), ToolCallDelta(0, "{}")]


def test_a_call_that_never_ends_still_has_arguments() -> None:
    assert ToolCallDelta(0, "{}") in read(sse(START, opened(0, "a"), end("TOOL_CALL")))


def test_an_ended_call_is_not_ended_again() -> None:
    assert body_of(opened(0, "a"), closed(0), closed(0)) == [ToolCallStart(0, "a", "f"), ToolCallDelta(0, "{}")]


def test_a_call_that_was_cut_off_keeps_what_it_has() -> None:
    events = read(sse(START, opened(0, "a"), argument('{"pa', 0), opened(1, "b"), end("MAX_TOKENS")))
    assert [event for event in events if isinstance(event, ToolCallDelta)] == [ToolCallDelta(0, '{"pa')]
    assert Finish("length") in events


@pytest.mark.parametrize(
    "broken",
    [
        (argument("{}", 0),),
        (argument("{}"),),
        (opened(0, "a"), argument("{}", 5)),
        (opened(0, "a"), closed(0), argument('{"late":1}', 0)),
        (opened(0, "a", ""),),
        (tool("start", 0),),
    ],
)
def test_arguments_that_would_be_lost_fail_the_stream(broken: tuple[JsonObject, ...]) -> None:
    assert type(failure_of(read(sse(START, *broken, end("TOOL_CALL"))))) is BadAnswer


# ----------------------------------------------------------------------------------------------- citations and usage

SOURCE = {"type": "document", "id": "d", "document": {"url": "https://x/1", "title": "One"}}


def cited(**citation: object) -> JsonObject:
    return {"type": "citation-start", "index": 0, "delta": {"message": {"citations": citation}}}


def test_a_citation_with_an_address_is_found_and_the_raw_ones_come_last() -> None:
    raw = {"start": 0, "end": 2, "text": "Hi", "sources": [SOURCE], "type": "TEXT_CONTENT"}
    assert body_of(content("Hi"), cited(**raw)) == [
        TextDelta("Hi"),
        CitationFound(Citation(url="https://x/1", title="One", start_index=0, end_index=2)),
        ExtraFields({"citations": [raw]}),
    ]


def test_citation_positions_count_from_the_text_the_client_sees() -> None:
    raw = {"start": 0, "end": 1, "text": "b", "sources": [SOURCE], "content_index": 2}
    found = body_of(content("t", 0, "thinking"), content("aaaa", 1), content("b", 2), cited(**raw))
    assert CitationFound(Citation(url="https://x/1", title="One", start_index=4, end_index=5)) in found


@pytest.mark.parametrize(
    "citation",
    [
        {"start": 0, "end": 1, "sources": [{"type": "document", "document": {"title": "no address"}}]},
        {"start": 0, "end": 1, "sources": []},
        {"start": 0, "end": 1, "sources": [SOURCE], "type": "THINKING_CONTENT"},
    ],
)
def test_a_citation_without_a_place_to_show_stays_raw(citation: JsonObject) -> None:
    assert body_of(content("Hi"), cited(**citation)) == [TextDelta("Hi"), ExtraFields({"citations": [citation]})]


def test_citations_of_the_wrong_shape_fail_the_stream() -> None:
    event = {"type": "citation-start", "delta": {"message": {"citations": ["x"]}}}
    assert type(failure_of(read(sse(START, event, end())))) is BadAnswer


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (USAGE, Usage(input_tokens=71, output_tokens=2)),
        (
            {"tokens": {"input_tokens": 9.0, "output_tokens": 1}, "cached_tokens": 4.0},
            Usage(input_tokens=9, output_tokens=1, cached_tokens=4),
        ),
        ({"billed_units": {"input_tokens": 3, "output_tokens": 1}}, Usage(input_tokens=3, output_tokens=1)),
        ({"tokens": {"input_tokens": -1, "output_tokens": None}}, Usage()),
    ],
)
def test_reads_usage(usage: JsonObject, expected: Usage) -> None:
    assert read(sse(START, end(usage=usage)))[-2] == UsageReport(expected)


@pytest.mark.parametrize("usage", [None, {}, "None", {"tokens": 4}])
def test_usage_of_another_shape_is_none(usage: object) -> None:
    assert not any(isinstance(event, UsageReport) for event in read(sse(START, end(usage=usage))))


# ------------------------------------------------------------------------------------------------------------ always


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(st.binary(max_size=30), st.sampled_from(WHOLE.split(b"\n\n")).map(lambda b: b + b"\n\n")), max_size=12
    )
)
def test_never_raises_and_always_ends_once(pieces: list[bytes]) -> None:
    decoder = StreamDecoder()
    events = [event for piece in pieces for event in decoder.feed(piece)] + decoder.close()
    last = [event for event in events if isinstance(event, StreamEnd | StreamFailed)]
    assert len(last) == 1
    assert events[-1] is last[0]


words = st.lists(st.text(min_size=1, max_size=6), max_size=4)
called = st.lists(st.tuples(st.text(min_size=1, max_size=4), st.lists(st.text(min_size=1), max_size=2)), max_size=3)


@settings(deadline=None)
@given(thoughts=words, texts=words, calls=called)
def test_a_stream_and_a_whole_answer_agree(
    thoughts: list[str], texts: list[str], calls: list[tuple[str, list[str]]]
) -> None:
    events = [content(t, 0, "thinking") for t in thoughts] + [content(t, 1) for t in texts]
    tool_calls = []
    for number, (name, pieces) in enumerate(calls):
        events += [opened(number, f"c{number}", name), *[argument(p, number) for p in pieces], closed(number)]
        function = {"name": name, "arguments": "".join(pieces)}
        tool_calls.append({"id": f"c{number}", "type": "function", "function": function})
    streamed = read(sse(START, *events, end("COMPLETE", usage=USAGE)))
    parts = [{"type": "thinking", "thinking": "".join(thoughts)}, {"type": "text", "text": "".join(texts)}]
    message = {"role": "assistant", "content": parts, "tool_calls": tool_calls}
    answer = decode_answer({"id": "m1", "finish_reason": "COMPLETE", "message": message, "usage": USAGE})
    choice = answer.choices[0]
    assert "".join(e.text for e in streamed if isinstance(e, TextDelta)) == (choice.text or "")
    reasoning = "".join(block.text for block in choice.reasoning)
    assert "".join(e.text for e in streamed if isinstance(e, ReasoningDelta)) == reasoning
    starts = [(e.id, e.name) for e in streamed if isinstance(e, ToolCallStart)]
    assert starts == [(call.id, call.name) for call in choice.tool_calls]
    for number, call in enumerate(choice.tool_calls):
        arguments = "".join(e.arguments for e in streamed if isinstance(e, ToolCallDelta) and e.index == number)
        assert arguments == call.arguments
    assert [e.reason for e in streamed if isinstance(e, Finish)] == [choice.finish_reason]
    assert [e.usage for e in streamed if isinstance(e, UsageReport)] == [answer.usage]
