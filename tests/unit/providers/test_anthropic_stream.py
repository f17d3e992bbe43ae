"""Every scenario is decoded whole and under every byte split: the events must be the same."""

import pytest

from providers.types import (
    Citation,
    CitationFound,
    ExtraFields,
    Finish,
    Heartbeat,
    ReasoningBlock,
    ReasoningDelta,
    ReasoningDone,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
    Usage,
    UsageReport,
)
from tests.unit.providers.anthropic_events import (
    START,
    STARTED,
    STOP,
    TEXT,
    arguments,
    closed,
    decode,
    delta,
    ended,
    finished,
    opened,
    run,
    text,
    tool,
    wire,
)


class TestOrdinaryStreams:
    def test_text_flows_and_usage_is_cumulative(self):
        events = decode(START, opened(TEXT), text("Grüße "), text("🌍"), closed(), ended(), STOP)
        assert events == [*STARTED, TextDelta("Grüße "), TextDelta("🌍"), *finished()]

    def test_thinking_is_shown_and_given_whole_with_its_signature(self):
        events = decode(
            START,
            opened({"type": "thinking", "thinking": "", "signature": ""}),
            delta("thinking_delta", thinking="Let me "),
            delta("thinking_delta", thinking="see"),
            delta("signature_delta", signature="EqoB"),
            closed(),
            opened({"type": "redacted_thinking", "data": "enc"}, 1),
            closed(1),
            opened(TEXT, 2),
            text("Hi", 2),
            closed(2),
            ended(),
            STOP,
        )
        assert events[2:-3] == [
            ReasoningDelta("Let me "),
            ReasoningDelta("see"),
            ReasoningDone(ReasoningBlock(text="Let me see", signature="EqoB")),
            ReasoningDone(ReasoningBlock(encrypted="enc")),
            TextDelta("Hi"),
        ]

    def test_tool_calls_are_numbered_by_themselves_not_by_their_blocks(self):
        events = decode(
            START,
            opened(TEXT),
            text("ok"),
            closed(),
            tool("toolu_1", 1),
            arguments("", 1),
            arguments('{"q":', 1),
            arguments('"x"}', 1),
            closed(1),
            tool("toolu_2", 2, "now"),
            closed(2),
            ended("tool_use"),
            STOP,
        )
        assert events[3:] == [
            ToolCallStart(0, "toolu_1", "lookup"),
            ToolCallDelta(0, '{"q":'),
            ToolCallDelta(0, '"x"}'),
            ToolCallStart(1, "toolu_2", "now"),
            ToolCallDelta(1, "{}"),
            *finished("tool_calls"),
        ]

    def test_arguments_that_come_with_the_start_are_not_lost(self):
        events = decode(START, tool(input={"q": "x"}), closed(), ended("tool_use"), STOP)
        assert ToolCallDelta(0, '{"q":"x"}') in events

    def test_interleaved_calls_keep_their_fragments_apart(self):
        events = decode(
            START,
            tool("a", 0),
            tool("b", 1),
            arguments('{"n":', 0),
            arguments('{"m":', 1),
            arguments("1}", 0),
            arguments("2}", 1),
            closed(0),
            closed(1),
            ended("tool_use"),
            STOP,
        )
        joined = {0: "", 1: ""}
        for event in events:
            if isinstance(event, ToolCallDelta):
                joined[event.index] += event.arguments
        assert joined == {0: '{"n":1}', 1: '{"m":2}'}

    @pytest.mark.parametrize(
        ("stop_reason", "reason"),
        [
            ("end_turn", "stop"),
            ("stop_sequence", "stop"),
            ("max_tokens", "length"),
            ("model_context_window_exceeded", "length"),
            ("pause_turn", "length"),
            ("compaction", "length"),
            ("refusal", "content_filter"),
            ("something_new", "stop"),
        ],
    )
    def test_every_stop_reason_has_a_finish_reason(self, stop_reason, reason):
        assert Finish(reason) in run([wire(START, opened(TEXT), text("x"), closed(), ended(stop_reason), STOP)])

    def test_pings_are_heartbeats(self):
        events = decode(START, {"type": "ping"}, opened(TEXT), text("x"), closed(), ended(), STOP)
        assert events == [*STARTED, Heartbeat(), TextDelta("x"), *finished()]

    def test_several_message_deltas_make_one_finish_and_the_last_counts_hold(self):
        late = {
            "type": "message_delta",
            "delta": {"stop_reason": "max_tokens"},
            "usage": {"input_tokens": 30, "output_tokens": 12, "output_tokens_details": {"thinking_tokens": 4}},
        }
        events = decode(START, opened(TEXT), text("x"), closed(), ended(None, 5), ended("end_turn", 9), late, STOP)
        assert [event for event in events if isinstance(event, Finish)] == [Finish("length")]
        assert events[-3] == UsageReport(
            Usage(input_tokens=40, output_tokens=12, cached_tokens=7, cache_write_tokens=3, reasoning_tokens=4)
        )

    def test_a_refusal_explains_itself(self):
        details = {"type": "refusal", "category": "cyber", "explanation": "I cannot help."}
        events = decode(START, ended("refusal", stop_details=details), STOP)
        assert events[2:] == [RefusalDelta("I cannot help."), *finished("content_filter")]

    def test_citations_name_the_whole_block(self):
        citation = {"type": "web_search_result_location", "url": "https://e.org", "title": "E", "cited_text": "x"}
        document = {"type": "char_location", "document_index": 0, "cited_text": "y"}
        events = decode(
            START,
            opened(TEXT),
            text("So: "),
            closed(),
            opened({**TEXT, "citations": []}, 1),
            delta("citations_delta", 1, citation=citation),
            text("it is", 1),
            delta("citations_delta", 1, citation=document),
            closed(1),
            ended(),
            STOP,
        )
        assert [event for event in events if isinstance(event, CitationFound | ExtraFields)] == [
            CitationFound(Citation(url="https://e.org", title="E", start_index=4, end_index=9)),
            ExtraFields({"provider_content": [{"type": "citation", "citation": document}]}),
        ]

    def test_the_input_of_the_answer_tool_is_the_text(self):
        events = decode(
            START,
            tool(name="answer_as_json"),
            arguments('{"n":'),
            arguments("1}"),
            closed(),
            ended("tool_use"),
            STOP,
            json_tool="answer_as_json",
        )
        assert events == [*STARTED, TextDelta('{"n":'), TextDelta("1}"), *finished("stop")]

    def test_an_empty_answer_tool_is_an_empty_object(self):
        events = decode(START, tool(name="a"), closed(), ended("tool_use"), STOP, json_tool="a")
        assert events == [*STARTED, TextDelta("{}"), *finished("stop")]

    def test_arguments_cut_by_the_limit_are_passed_as_they_are(self):
        events = decode(START, tool(), arguments('{"q": "unfini'), ended("max_tokens"), STOP)
        assert events[2:] == [
            ToolCallStart(0, "toolu_1", "lookup"),
            ToolCallDelta(0, '{"q": "unfini'),
            *finished("length"),
        ]


class TestBlocksWithoutACounterpart:
    def test_are_collected_and_given_together(self):
        search = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
        found = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
        events = decode(
            START,
            opened(search),
            arguments('{"query":'),
            arguments('"x"}'),
            closed(),
            opened(found, 1),
            closed(1),
            opened({"type": "compaction", "content": None}, 2),
            delta("compaction_delta", 2, content="short"),
            closed(2),
            ended(),
            STOP,
        )
        kept = [
            {**search, "input": {"query": "x"}},
            found,
            {"type": "delta", "index": 2, "delta": {"type": "compaction_delta", "content": "short"}},
            {"type": "compaction", "content": None},
        ]
        assert [event for event in events if isinstance(event, ExtraFields)] == [
            ExtraFields({"provider_content": kept})
        ]

    def test_unknown_deltas_of_known_blocks_are_given_too(self):
        events = decode(START, opened(TEXT), delta("shimmer_delta", value=1), text("x"), closed(), ended(), STOP)
        kept = {"type": "delta", "index": 0, "delta": {"type": "shimmer_delta", "value": 1}}
        assert events[2] == TextDelta("x")
        assert ExtraFields({"provider_content": [kept]}) in events

    def test_unknown_events_keep_the_connection_alive(self):
        events = decode(START, {"type": "weather_report"}, opened(TEXT), text("x"), closed(), ended(), STOP)
        assert events == [*STARTED, Heartbeat(), TextDelta("x"), *finished()]
