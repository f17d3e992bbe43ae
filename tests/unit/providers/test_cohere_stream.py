"""Cohere's streams as typed events, under every cut of their bytes and with everything out of place."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.dialects.cohere_chat import StreamDecoder, decode_answer
from providers.errors import BadAnswer, ContextOverflow, ServerFailed, StreamTruncated, UpstreamError, UpstreamTimeout
from providers.types import (
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
from tests.unit.providers.cohere_events import (
    START,
    STARTED,
    USAGE,
    argument,
    body_of,
    closed,
    content,
    end,
    failure_of,
    opened,
    read,
    sse,
)

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
    UsageReport(Usage(input_tokens=71, output_tokens=2, billed=(5, 2))),
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
