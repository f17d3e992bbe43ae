"""Tool calls, reasoning, refusals and sources in streams of the Responses API."""

from providers.errors import (
    BadAnswer,
)
from providers.types import (
    Citation,
    CitationFound,
    ExtraFields,
    Finish,
    ReasoningBlock,
    ReasoningDone,
    ToolCallDelta,
    ToolCallStart,
)
from tests.unit.providers.responses_frames import (
    ARGUMENTS,
    PLACE,
    added,
    arguments_of,
    call,
    completed,
    created,
    decode,
    delta,
    done,
    frame,
    message,
    reasoning_of,
    refusal_of,
)


def test_parallel_calls_keep_their_arguments_apart_although_deltas_alternate():
    data = (
        created()
        + added(call("call_a", "fc_a", "f"), 0)
        + added(call("call_b", "fc_b", "g"), 1)
        + delta('{"a"', ARGUMENTS, item_id="fc_a", output_index=0)
        + delta('{"b"', ARGUMENTS, item_id="fc_b", output_index=1)
        + delta(":1}", ARGUMENTS, item_id="fc_a", output_index=0)
        + delta(":2}", ARGUMENTS, item_id="fc_b", output_index=1)
        + completed([call("call_a", "fc_a", "f", '{"a":1}'), call("call_b", "fc_b", "g", '{"b":2}')])
    )
    events = decode(data)
    assert [event for event in events if isinstance(event, ToolCallStart)] == [
        ToolCallStart(0, "call_a", "f"),
        ToolCallStart(1, "call_b", "g"),
    ]
    assert arguments_of(events) == {0: '{"a":1}', 1: '{"b":2}'}
    assert Finish("tool_calls") in events


def test_calls_that_all_have_index_0_are_told_apart_by_their_ids():
    data = created()
    for letter in "ab":
        data += added(call(f"call_{letter}", f"fc_{letter}", letter), 0)
        data += delta(f'{{"{letter}":1}}', ARGUMENTS, item_id=f"fc_{letter}", output_index=0)
    events = decode(data + completed())
    assert arguments_of(events) == {0: '{"a":1}', 1: '{"b":1}'}


def test_calls_without_any_index_or_item_id_are_taken_in_order():
    data = created()
    for letter in "ab":
        item = {"type": "function_call", "call_id": f"call_{letter}", "name": letter, "arguments": ""}
        data += frame("response.output_item.added", item=item)
        data += frame(f"response.{ARGUMENTS}.delta", delta=f'"{letter}"')
        data += frame("response.output_item.done", item={**item, "arguments": f'"{letter}"'})
    events = decode(data + completed())
    assert arguments_of(events) == {0: '"a"', 1: '"b"'}


def test_arguments_wait_for_the_name_of_their_call():
    early = delta('{"x":1}', ARGUMENTS, item_id="fc_1", output_index=0)
    events = decode(created() + early + added(call()) + completed())
    assert events[1:3] == [ToolCallStart(0, "call_1", "f"), ToolCallDelta(0, '{"x":1}')]


def test_a_call_that_is_only_in_the_finished_item_or_only_in_the_answer_is_not_lost():
    whole = call(arguments='{"x":1}')
    for data in (created() + done(whole) + completed([whole]), created() + completed([whole])):
        events = decode(data)
        assert [event for event in events if isinstance(event, ToolCallStart)] == [ToolCallStart(0, "call_1", "f")]
        assert arguments_of(events) == {0: '{"x":1}'}


def test_a_call_added_twice_is_one_call():
    events = decode(created() + added(call()) + added(call()) + completed([call(arguments="{}")]))
    assert sum(isinstance(event, ToolCallStart) for event in events) == 1


def test_a_call_without_arguments_has_an_empty_object():
    assert arguments_of(decode(created() + added(call()) + done(call()) + completed([call()]))) == {0: "{}"}
    assert arguments_of(decode(created() + added(call()) + completed())) == {0: "{}"}


def test_arguments_pass_as_the_model_wrote_them_and_cut_ones_end_in_length():
    cut = completed([], "response.incomplete", incomplete_details={"reason": "max_output_tokens"})
    events = decode(created() + added(call()) + delta('{"x": [1,', ARGUMENTS, item_id="fc_1") + cut)
    assert arguments_of(events) == {0: '{"x": [1,'}
    assert Finish("length") in events


def test_a_call_that_never_gets_a_name_fails_the_stream_instead_of_vanishing():
    events = decode(created() + delta("{}", ARGUMENTS, item_id="fc_9") + completed())
    assert isinstance(events[-1].error, BadAnswer)


def test_custom_tools_stream_their_text():
    item = {"type": "custom_tool_call", "id": "ct_1", "call_id": "call_1", "name": "sh", "input": ""}
    data = added(item) + delta("ls ", "custom_tool_call_input", item_id="ct_1")
    data += frame("response.custom_tool_call_input.done", item_id="ct_1", output_index=0, input="ls -l")
    events = decode(created() + data + done({**item, "input": "ls -l"}) + completed())
    assert ToolCallStart(0, "call_1", "sh", custom=True) in events
    assert arguments_of(events) == {0: "ls -l"}


# --------------------------------------------------------------------------------------- reasoning, refusal, sources


def test_paragraphs_of_a_summary_are_parted_and_said_once():
    data = (
        delta("One", "reasoning_summary_text", item_id="rs_1", summary_index=0)
        + delta(".", "reasoning_summary_text", item_id="rs_1", summary_index=0)
        + frame("response.reasoning_summary_text.done", item_id="rs_1", output_index=0, summary_index=1, text="Two.")
    )
    item = {"type": "reasoning", "id": "rs_1", "summary": [{"text": "One."}, {"text": "Two."}]}
    assert reasoning_of(decode(created() + data + done(item) + completed([item]))) == "One.\n\nTwo."
    assert reasoning_of(decode(created() + done(item) + completed([item]))) == "One.\n\nTwo."
    assert reasoning_of(decode(created() + completed([item]))) == "One.\n\nTwo."


def test_reasoning_text_is_shown_where_there_is_no_summary():
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "raw"}]}
    data = delta("raw", "reasoning_text", item_id="rs_1") + done(item)
    assert reasoning_of(decode(created() + data + completed([item]))) == "raw"


def test_encrypted_reasoning_is_handed_out_once():
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "ENC"}
    events = decode(created() + done(item) + completed([item]))
    assert [event for event in events if isinstance(event, ReasoningDone)] == [
        ReasoningDone(ReasoningBlock(encrypted="ENC"))
    ]


def test_a_refusal_is_said_once():
    refused = {"type": "refusal", "refusal": "I can't."}
    item = {**message(""), "content": [refused]}
    data = delta("I ", "refusal") + frame("response.refusal.done", **PLACE, refusal="I can't.")
    events = decode(created() + data + done(item) + completed([item]))
    assert refusal_of(events) == "I can't."
    assert Finish("stop") in events
    assert refusal_of(decode(created() + completed([item]))) == "I can't."


def test_citations_are_found_once_and_counted_from_the_beginning_of_the_whole_text():
    source = {"type": "url_citation", "url": "https://a.test", "title": "A", "start_index": 0, "end_index": 2}
    data = (
        delta("Before. ")
        + delta("It is.", content_index=1)
        + frame("response.output_text.annotation.added", **{**PLACE, "content_index": 1}, annotation=source)
        + frame("response.output_text.done", **{**PLACE, "content_index": 1}, text="It is.", annotations=[source])
    )
    content = [
        {"type": "output_text", "text": "Before. "},
        {"type": "output_text", "text": "It is.", "annotations": [source]},
    ]
    events = decode(created() + data + completed([{**message(""), "content": content}]))
    assert [event for event in events if isinstance(event, CitationFound)] == [
        CitationFound(Citation(url="https://a.test", title="A", start_index=8, end_index=10))
    ]


def test_search_results_become_top_level_fields_and_marks_become_citations():
    results = [{"id": 1, "url": "https://a.test", "title": "A"}, {"id": 2, "url": "https://b.test", "title": "B"}]
    found = {"type": "search_results", "queries": ["q"], "results": results}
    data = frame("response.reasoning.started", thought="Let me look.")
    data += frame("response.reasoning.search_results", results=results)
    data += done(found) + delta("Yes[2].", output_index=1)
    events = decode(created() + data + completed([found, message("Yes[2].")]))
    assert reasoning_of(events) == "Let me look."
    assert CitationFound(Citation(url="https://b.test", title="B", start_index=3, end_index=6)) in events
    assert ExtraFields({"citations": ["https://a.test", "https://b.test"], "search_results": results}) in events
