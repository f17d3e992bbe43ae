"""Streams of the Responses API as typed events: everything once, nothing lost, every oddity with a defined outcome."""

import pytest

from providers.dialects.openai_responses.stream import StreamDecoder
from providers.errors import (
    BadAnswer,
    ClientFault,
    ContextOverflow,
    Overloaded,
    RateLimited,
    ServerFailed,
    StreamTruncated,
)
from providers.types import (
    ExtraFields,
    Finish,
    ReasoningDelta,
    StreamEnd,
    StreamFailed,
    StreamStart,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
    Usage,
    UsageReport,
)
from tests.unit.providers.responses_frames import (
    ARGUMENTS,
    PLACE,
    USAGE,
    added,
    arguments_of,
    call,
    completed,
    created,
    decode,
    decode_bytewise,
    decode_in_pieces,
    delta,
    done,
    frame,
    message,
    numbered,
    reasoning_of,
    text_of,
)

WHOLE_ANSWER = numbered(
    created(),
    frame("response.in_progress", response={"id": "resp_1"}),
    added({"type": "reasoning", "id": "rs_1", "summary": []}),
    delta("Hm", "reasoning_summary_text", item_id="rs_1", summary_index=0),
    frame("response.reasoning_summary_text.done", item_id="rs_1", output_index=0, summary_index=0, text="Hm"),
    done({"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm"}]}),
    added({"type": "message", "id": "msg_1", "content": []}, 1),
    frame("response.content_part.added", **{**PLACE, "output_index": 1}, part={"type": "output_text", "text": ""}),
    delta("Olá, ", output_index=1),
    delta("mundo 🌍", output_index=1),
    frame("response.output_text.done", **{**PLACE, "output_index": 1}, text="Olá, mundo 🌍"),
    frame("response.content_part.done", **{**PLACE, "output_index": 1}, part=message("Olá, mundo 🌍")["content"][0]),
    done(message("Olá, mundo 🌍"), 1),
    added(call(), 2),
    delta('{"x":', ARGUMENTS, item_id="fc_1", output_index=2),
    delta("1}", ARGUMENTS, item_id="fc_1", output_index=2),
    frame("response.function_call_arguments.done", item_id="fc_1", output_index=2, arguments='{"x":1}'),
    done(call(arguments='{"x":1}'), 2),
    completed([message("Olá, mundo 🌍"), call(arguments='{"x":1}')], usage=USAGE),
)

EVENTS = [
    StreamStart("resp_1", "m-1", 1790000000),
    ReasoningDelta("Hm"),
    TextDelta("Olá, "),
    TextDelta("mundo 🌍"),
    ToolCallStart(0, "call_1", "f"),
    ToolCallDelta(0, '{"x":'),
    ToolCallDelta(0, "1}"),
    Finish("tool_calls"),
    UsageReport(Usage(input_tokens=9, output_tokens=5, cached_tokens=4, reasoning_tokens=2)),
    StreamEnd(),
]


def test_says_everything_once_although_the_service_says_it_four_times():
    assert decode(WHOLE_ANSWER) == EVENTS


def test_gives_the_same_events_wherever_the_bytes_are_cut():
    assert decode_bytewise(WHOLE_ANSWER) == EVENTS
    for cut in range(len(WHOLE_ANSWER)):
        assert decode_in_pieces(WHOLE_ANSWER, cut) == EVENTS


def test_carriage_returns_and_missing_spaces_change_nothing():
    assert decode(WHOLE_ANSWER.replace(b"\n", b"\r\n")) == EVENTS
    assert decode(WHOLE_ANSWER.replace(b"data: ", b"data:")) == EVENTS


def test_nothing_follows_the_end():
    assert decode(WHOLE_ANSWER + b"data: [DONE]\n\n" + delta("more")) == EVENTS


@pytest.mark.parametrize(
    "late",
    [
        frame("response.output_text.done", **PLACE, text="Hello"),
        frame("response.content_part.done", **PLACE, part={"type": "output_text", "text": "Hello"}),
        done(message("Hello")),
        b"",
    ],
)
def test_text_that_never_came_as_deltas_is_taken_from_the_first_place_that_has_it(late):
    events = decode(created() + late + completed([message("Hello")]))
    assert text_of(events) == "Hello"
    assert sum(isinstance(event, TextDelta) for event in events) == 1


def test_only_what_the_deltas_left_out_is_added():
    events = decode(created() + delta("Hel") + completed([message("Hello")]))
    assert text_of(events) == "Hello"


def test_the_deltas_stand_when_the_final_text_is_another():
    events = decode(created() + delta("Hello") + completed([message("Good bye")]))
    assert text_of(events) == "Hello"


def test_text_is_said_once_although_the_final_item_has_another_id():
    final = {**message("Hello"), "id": "msg_other"}
    assert text_of(decode(created() + delta("Hello") + done(final, 3) + completed([final]))) == "Hello"
    assert text_of(decode(created() + delta("Hello") + completed([final]))) == "Hello"


def test_two_messages_with_the_same_words_are_both_said():
    second = {**message("Hi"), "id": "msg_2"}
    data = created() + delta("Hi") + added({"type": "message", "id": "msg_2"}, 1) + done(second, 1)
    assert text_of(decode(data + completed([message("Hi"), second]))) == "HiHi"


def test_two_parts_and_two_messages_are_one_text():
    data = created() + delta("a") + delta("b", content_index=1) + delta("c", item_id="msg_2", output_index=1)
    both = [
        {**message("a"), "content": [{"type": "output_text", "text": "a"}, {"type": "output_text", "text": "b"}]},
        {**message("c"), "id": "msg_2"},
    ]
    assert text_of(decode(data + completed(both))) == "abc"


def test_deltas_that_name_no_item_belong_to_the_latest_one():
    data = (
        created() + frame("response.output_text.delta", delta="Hel") + frame("response.output_text.delta", delta="lo")
    )
    assert text_of(decode(data + completed([message("Hello")]))) == "Hello"


def test_an_event_sent_twice_counts_once_and_equal_deltas_count_twice():
    first, second = (
        frame("response.output_text.delta", **PLACE, sequence_number=4, delta="ha"),
        frame("response.output_text.delta", **PLACE, sequence_number=5, delta="ha"),
    )
    assert text_of(decode(created() + first + first + second + completed())) == "haha"


def test_events_that_are_all_numbered_zero_are_no_repetitions():
    same = frame("response.output_text.delta", **PLACE, sequence_number=0, delta="ha")
    assert text_of(decode(created() + same + same + completed())) == "haha"


def test_a_delta_after_the_end_of_its_part_repeats_what_was_said():
    whole = frame("response.output_text.done", **PLACE, text="Hello")
    assert text_of(decode(created() + whole + delta("Hel") + delta("lo") + completed())) == "Hello"


def test_a_stream_without_a_beginning_starts_with_its_first_content():
    events = decode(delta("Hi") + completed([message("Hi")]))
    assert events[0] == StreamStart("", "")
    assert text_of(events) == "Hi"


def test_unknown_events_items_and_empty_data_are_passed_over():
    odd = (
        frame("response.telepathy", thought_level=3)
        + added({"type": "web_search_call", "id": "ws_1"})
        + done({"type": "web_search_call", "id": "ws_1"})
        + frame("response.web_search_call.searching", item_id="ws_1")
        + b"data:\n\n: comment\n\nevent: ping\ndata: {}\n\n"
    )
    assert decode(created() + odd + delta("Hi") + odd + completed()) == [
        StreamStart("resp_1", "m-1", 1790000000),
        TextDelta("Hi"),
        Finish("stop"),
        StreamEnd(),
    ]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"data: {oops\n\n", "not JSON"),
        (b'data: {"type": "response.output_text.delta", "delta": "\xff\xfe"}\n\n', "not JSON"),
        (b"data: [1]\n\n", "not a JSON object"),
    ],
)
def test_garbage_fails_the_stream_after_what_was_good(data, said):
    events = decode(created() + delta("Hi") + data + delta("never"))
    assert text_of(events) == "Hi"
    assert isinstance(events[-1], StreamFailed)
    assert isinstance(events[-1].error, BadAnswer)
    assert said in events[-1].error.message


def test_an_event_larger_than_the_limit_fails_the_stream():
    events = decode(created() + b"data: " + b"x" * (1 << 21))
    assert isinstance(events[-1].error, BadAnswer)
    assert isinstance(decode(b"data: " + b"x" * (1 << 21))[-1].error, BadAnswer)


# ------------------------------------------------------------------------------------------------------- tool calls


# ------------------------------------------------------------------------------------------------- ends and failures


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("max_output_tokens", "length"), ("content_filter", "content_filter"), ("max_messages", "length")],
)
def test_an_incomplete_answer_says_why(reason, finish):
    end = completed([message("Hi")], "response.incomplete", incomplete_details={"reason": reason})
    assert Finish(finish) in decode(created() + delta("Hi") + end)


def test_a_stream_that_is_cut_off_is_no_success():
    events = decode(created() + delta("Hi"))
    assert text_of(events) == "Hi"
    assert isinstance(events[-1].error, StreamTruncated)
    assert isinstance(decode(b"")[-1].error, StreamTruncated)


def test_a_last_event_without_its_blank_line_counts_when_it_is_whole():
    data = created() + delta("Hi") + completed([message("Hi")])
    assert decode(data.rstrip(b"\n"))[-1] == StreamEnd()
    assert isinstance(decode(data[:-20])[-1].error, StreamTruncated)


def test_done_after_content_ends_an_answer_without_its_last_event():
    assert decode(created() + delta("Hi") + b"data: [DONE]")[-2:] == [Finish("stop"), StreamEnd()]
    assert decode(created() + added(call()) + b"data: [DONE]\n\n")[-2:] == [Finish("tool_calls"), StreamEnd()]
    assert isinstance(decode(created() + b"data: [DONE]\n\n")[-1].error, BadAnswer)


def test_a_completed_event_without_its_response_still_ends():
    assert decode(created() + delta("Hi") + frame("response.completed"))[-2:] == [Finish("stop"), StreamEnd()]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (completed(kind="response.failed", error={"code": "server_error", "message": "x"}), ServerFailed),
        (frame("response.failed", error={"code": "rate_limit_exceeded", "message": "x"}), RateLimited),
        (completed(status="failed", error={"code": "server_error", "message": "x"}), ServerFailed),
        (completed(status="cancelled"), ServerFailed),
        (frame("error", code="server_error", message="x", param=None), ServerFailed),
        (frame("error", code="context_length_exceeded", message="Too long."), ContextOverflow),
        (frame("error", error={"type": "overloaded_error", "message": "x"}), Overloaded),
        (
            frame("error", error={"type": "invalid_request_error", "code": "context_length_exceeded", "message": "x"}),
            ContextOverflow,
        ),
        (frame("error", error={"type": "invalid_request_error", "message": "x"}), ClientFault),
        (frame("error", message="The input exceeds the context window of this model"), ContextOverflow),
        (b'data: {"error": {"message": "x", "type": "rate_limit_error"}}\n\n', RateLimited),
    ],
)
def test_an_error_inside_the_stream_is_the_error_it_names(event, expected):
    events = decode(created() + event + delta("never"))
    assert isinstance(events[-1], StreamFailed)
    assert type(events[-1].error) is expected
    assert text_of(events) == ""


def test_events_that_say_nothing_are_nothing():
    empty = (
        delta("")
        + frame("response.output_text.delta", **PLACE)
        + delta("", "refusal")
        + frame("response.refusal.delta", **PLACE, delta=3)
        + frame("response.content_part.done", **PLACE, part={"type": "reasoning_text"})
        + frame("response.output_text.annotation.added", **PLACE, annotation={"type": "file_path"})
        + frame("response.output_item.done", item=None)
        + frame("response.reasoning_summary_text.done", item_id="rs_1")
    )
    assert decode(created() + empty + delta("Hi") + completed(service_tier="flex")) == [
        StreamStart("resp_1", "m-1", 1790000000),
        TextDelta("Hi"),
        ExtraFields({"service_tier": "flex"}),
        Finish("stop"),
        StreamEnd(),
    ]


def test_raw_reasoning_after_a_summary_is_not_shown_twice():
    data = delta("short", "reasoning_summary_text", item_id="rs_1") + delta("long", "reasoning_text", item_id="rs_1")
    assert reasoning_of(decode(created() + data + completed())) == "short"


def test_arguments_after_the_end_of_their_call_repeat_it():
    late = delta("{}", ARGUMENTS, item_id="fc_1", output_index=0)
    assert arguments_of(decode(created() + done(call(arguments="{}")) + late + completed())) == {0: "{}"}


def test_a_decoder_is_silent_after_a_failure():
    decoder = StreamDecoder()
    assert isinstance(decoder.feed(b"data: oops\n\n")[-1], StreamFailed)
    assert decoder.feed(created()) == []
    assert decoder.close() == []


def test_instructions_said_again_may_be_as_long_as_a_request():
    """The service says them in `response.created`, `response.in_progress` and at the end."""
    long = "x" * (3 << 20)
    events = decode_in_pieces(
        created(instructions=long) + delta("Hi") + completed([message("Hi")], instructions=long), 1 << 16
    )
    assert [event for event in events if isinstance(event, TextDelta | StreamFailed)] == [TextDelta("Hi")]
