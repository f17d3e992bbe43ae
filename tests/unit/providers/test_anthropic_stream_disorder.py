"""Every scenario is decoded whole and under every byte split: the events must be the same."""

import pytest

from providers.dialects.anthropic_messages import StreamDecoder
from providers.errors import BadAnswer, Overloaded, RateLimited, ServerFailed, StreamTruncated
from providers.types import (
    Finish,
    ReasoningBlock,
    ReasoningDelta,
    ReasoningDone,
    StreamEnd,
    StreamStart,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
    Usage,
    UsageReport,
)
from tests.unit.providers.anthropic_events import (
    PROMPT,
    START,
    STARTED,
    STOP,
    TEXT,
    arguments,
    closed,
    decode,
    delta,
    ended,
    failure,
    finished,
    opened,
    run,
    text,
    tool,
    wire,
)


class TestDisorder:
    def test_empty_text_is_no_event(self):
        events = decode(
            START, opened(TEXT), text(""), closed(), opened(TEXT, 1), text("x", 1), closed(1), ended(), STOP
        )
        assert events == [*STARTED, TextDelta("x"), *finished()]

    def test_text_in_the_block_start_is_not_lost(self):
        assert TextDelta("Hi") in decode(START, opened({"type": "text", "text": "Hi"}), closed(), ended(), STOP)

    def test_content_before_message_start_is_taken(self):
        events = decode(opened(TEXT), text("x"), START, closed(), ended(), STOP)
        assert events == [StreamStart("", ""), TextDelta("x"), *finished()]

    def test_a_second_message_start_only_counts(self):
        events = decode(START, START, opened(TEXT), text("x"), closed(), ended(), STOP)
        assert events == [*STARTED, TextDelta("x"), *finished()]

    def test_missing_indexes_mean_the_latest_block(self):
        def bare(event):
            return {key: value for key, value in event.items() if key != "index"}

        events = decode(
            START,
            *map(
                bare,
                [opened(TEXT), text("x"), closed(), tool("a"), arguments('{"n":1}'), closed(), tool("b"), closed()],
            ),
            ended("tool_use"),
            STOP,
        )
        assert events[2:-3] == [
            TextDelta("x"),
            ToolCallStart(0, "a", "lookup"),
            ToolCallDelta(0, '{"n":1}'),
            ToolCallStart(1, "b", "lookup"),
            ToolCallDelta(1, "{}"),
        ]

    def test_all_calls_at_index_zero_stay_apart(self):
        events = decode(
            START, tool("a"), arguments('{"n":1}'), tool("b"), arguments('{"n":2}'), ended("tool_use"), STOP
        )
        assert events[2:-3] == [
            ToolCallStart(0, "a", "lookup"),
            ToolCallDelta(0, '{"n":1}'),
            ToolCallStart(1, "b", "lookup"),
            ToolCallDelta(1, '{"n":2}'),
        ]

    @pytest.mark.parametrize(
        "repeated",
        [
            [tool(), tool(), arguments('{"n":1}'), closed()],
            [tool(), arguments('{"n":1}'), tool(), closed()],
            [tool(), arguments('{"n":1}'), closed(), closed()],
            [tool(), arguments('{"n":1}'), closed(), tool(), arguments('{"n":1}'), closed()],
        ],
    )
    def test_repeated_events_of_a_call_do_not_double_it(self, repeated):
        events = decode(START, *repeated, ended("tool_use"), STOP)
        assert events[2:-3] == [ToolCallStart(0, "toolu_1", "lookup"), ToolCallDelta(0, '{"n":1}')]

    def test_a_repeated_text_start_loses_nothing(self):
        events = decode(START, opened(TEXT), text("a"), opened(TEXT), text("b"), closed(), ended(), STOP)
        assert events[2:4] == [TextDelta("a"), TextDelta("b")]

    def test_deltas_without_a_started_block_are_taken(self):
        events = decode(START, delta("thinking_delta", 0, thinking="hm"), closed(0), text("x", 1), ended(), STOP)
        assert events[2:-3] == [ReasoningDelta("hm"), ReasoningDone(ReasoningBlock(text="hm")), TextDelta("x")]

    def test_text_after_the_end_of_its_block_is_taken(self):
        events = decode(START, opened(TEXT), text("a"), closed(), text("b"), ended(), STOP)
        assert events[2:-3] == [TextDelta("a"), TextDelta("b")]

    def test_a_late_signature_is_taken(self):
        thinking = {"type": "thinking", "thinking": "hm"}
        late = delta("signature_delta", signature="sig")
        events = decode(START, opened(thinking), closed(), late, ended(), STOP)
        assert ReasoningDone(ReasoningBlock(signature="sig")) in events

    @pytest.mark.parametrize(
        "misplaced",
        [
            [arguments('{"n":1}', 4)],
            [opened(TEXT), arguments('{"n":1}')],
            [tool(), closed(), arguments('{"n":1}')],
            [tool(), delta("thinking_delta", thinking="hm")],
            [tool(), text("x")],
        ],
    )
    def test_parts_that_belong_to_nothing_are_a_bad_answer_not_a_loss(self, misplaced):
        assert isinstance(failure(decode(START, *misplaced, ended("tool_use"), STOP)), BadAnswer)

    def test_blocks_left_open_are_closed_at_the_end(self):
        thinking = {"type": "thinking", "thinking": "hm", "signature": "s"}
        events = decode(START, opened(thinking), tool("a", 1), ended("tool_use"), STOP)
        assert events[2:] == [
            ReasoningDelta("hm"),
            ToolCallStart(0, "a", "lookup"),
            UsageReport(Usage(input_tokens=35, output_tokens=9, cached_tokens=7, cache_write_tokens=3)),
            ReasoningDone(ReasoningBlock(text="hm", signature="s")),
            ToolCallDelta(0, "{}"),
            Finish("tool_calls"),
            StreamEnd(),
        ]

    def test_a_stop_of_no_block_is_nothing(self):
        assert decode(START, closed(7), ended(), STOP) == [*STARTED, *finished()]

    def test_an_end_without_a_reason_is_told_from_the_content(self):
        assert decode(START, tool(), closed(), STOP)[-2:] == [Finish("tool_calls"), StreamEnd()]
        assert decode(START, opened(TEXT), text("x"), closed(), STOP)[-2:] == [Finish("stop"), StreamEnd()]

    def test_nothing_follows_the_end(self):
        events = decode(START, ended(), STOP, opened(TEXT, 1), text("more", 1), {"type": "error", "error": {}})
        assert events == [*STARTED, *finished()]

    @pytest.mark.parametrize(
        "strange",
        [
            {"type": "message_start", "message": None},
            {"type": "message_delta", "delta": None, "usage": None},
            {"type": "content_block_start", "index": "x", "content_block": []},
            {"type": "content_block_delta", "index": 0, "delta": None},
            {"type": "content_block_stop", "index": [1]},
            {"type": "message_start", "message": {"usage": {"input_tokens": "many", "output_tokens_details": 3}}},
        ],
    )
    def test_wrong_shapes_never_crash(self, strange):
        assert decode(START, strange, opened(TEXT, 3), text("x", 3), ended(), STOP)[-1] == StreamEnd()


class TestFailures:
    @pytest.mark.parametrize(
        ("kind", "error"),
        [("overloaded_error", Overloaded), ("rate_limit_error", RateLimited), ("api_error", ServerFailed)],
    )
    def test_an_error_event_ends_the_stream(self, kind, error):
        event = {"type": "error", "error": {"type": kind, "message": "Too bad"}, "request_id": "req_1"}
        events = decode(START, opened(TEXT), text("x"), event, text("never"), STOP)
        assert events[2] == TextDelta("x")
        assert isinstance(failure(events), error)
        assert failure(events).message == "Too bad"

    def test_an_error_without_the_events_name_is_still_one(self):
        events = decode(START, b'data: {"error":{"type":"overloaded_error","message":"x"}}\n\n')
        assert isinstance(failure(events), Overloaded)

    def test_usage_at_the_beginning_counts_the_prompt_and_no_output(self):
        events = decode(START, opened(TEXT), text("x"))
        assert [event.usage for event in events if isinstance(event, UsageReport)] == [PROMPT]
        assert run([wire(START, opened(TEXT), text("x"), closed(), STOP)])[-3] == UsageReport(
            Usage(input_tokens=35, output_tokens=1, cached_tokens=7, cache_write_tokens=3)
        )

    @pytest.mark.parametrize(
        ("later", "usage"),
        [
            ((0, 0, 0, 9), PROMPT._replace(output_tokens=9)),
            ((0, 40, 0, 9), Usage(input_tokens=40, cached_tokens=40, output_tokens=9)),
            ((0, 0, 0, 0), PROMPT),
        ],
    )
    def test_a_prompt_that_was_told_is_not_taken_back_to_nothing(self, later, usage):
        names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
        counts = dict(zip(names, later, strict=True))
        counted = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": counts}
        events = decode(START, opened(TEXT), text("x"), closed(), counted, STOP)
        assert [event.usage for event in events if isinstance(event, UsageReport)][-1] == usage

    @pytest.mark.parametrize(
        "events",
        [(), (START,), (START, opened(TEXT), text("x")), (START, tool(), arguments('{"q":')), (START, ended(None))],
    )
    def test_an_end_without_message_stop_or_reason_is_a_truncation(self, events):
        assert isinstance(failure(decode(*events)), StreamTruncated)

    def test_an_end_after_the_stop_reason_is_complete(self):
        assert decode(START, tool(), ended("tool_use"))[-3:] == [
            ToolCallDelta(0, "{}"),
            Finish("tool_calls"),
            StreamEnd(),
        ]

    def test_a_last_event_without_its_blank_line_counts_when_it_is_whole(self):
        assert decode(START, ended(), b'event: message_stop\ndata: {"type":"message_stop"}')[-1] == StreamEnd()
        cut = decode(START, opened(TEXT), b'data: {"type":"content_block_delta","index":0,"del')
        assert isinstance(failure(cut), StreamTruncated)

    @pytest.mark.parametrize(
        "garbage", [b"data: {not json\n\n", b'data: {"type":"ping","x":"\xff\xfe"}\n\n', b"data: [1]\n\n"]
    )
    def test_garbage_is_a_bad_answer(self, garbage):
        events = decode(START, opened(TEXT), text("x"), garbage, text("never"), STOP)
        assert events[2] == TextDelta("x")
        assert type(failure(events)) is BadAnswer

    def test_half_a_surrogate_pair_is_replaced_not_fatal(self):
        raw = b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a\\ud83d"}}\n\n'
        assert TextDelta("a\ufffd") in decode(START, opened(TEXT), raw, ended(), STOP)

    def test_an_event_above_the_size_limit_is_a_bad_answer(self):
        decoder = StreamDecoder()
        assert isinstance(failure(decoder.feed(b"data: " + b"x" * (1 << 20) + b"\n\n")), BadAnswer)
        assert decoder.feed(wire(START)) == decoder.close() == []


class TestFraming:
    def test_the_type_is_taken_from_the_event_line_when_the_data_has_none(self):
        assert StreamEnd() in decode(START, ended(), b"event: message_stop\ndata: {}\n\n")

    def test_crlf_missing_spaces_comments_and_padding_make_no_difference(self):
        plain = wire(START, opened(TEXT), text("x"), closed(), ended(), STOP)
        padded = b"\xef\xbb\xbf: hello\r\n\r\n" + plain.replace(b"}\n\n", b"}    \n\n").replace(b"\n", b"\r\n").replace(
            b": {", b":{"
        )
        assert decode(padded) == run([plain])

    def test_line_separators_inside_text_do_not_cut_it(self):
        assert TextDelta("a\u2028b\u0085c\x0c") in decode(
            START, opened(TEXT), text("a\u2028b\u0085c\x0c"), ended(), STOP
        )

    def test_done_of_servers_that_only_resemble_this_dialect_is_harmless(self):
        assert decode(START, ended(), b"data: [DONE]\n\n", STOP)[-1] == StreamEnd()
