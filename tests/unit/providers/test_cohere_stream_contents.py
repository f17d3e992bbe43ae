"""Tool calls, citations and usage in Cohere's streams."""

import pytest

from providers.errors import BadAnswer
from providers.types import (
    Citation,
    CitationFound,
    ExtraFields,
    Finish,
    JsonObject,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
    Usage,
    UsageReport,
)
from tests.unit.providers.cohere_events import (
    START,
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
    tool,
)


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
        (USAGE, Usage(input_tokens=71, output_tokens=2, billed=(5, 2))),
        (
            {"billed_units": {"search_units": 1}, "tokens": {"input_tokens": 9, "output_tokens": 1}},
            Usage(input_tokens=9, output_tokens=1),
        ),
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
