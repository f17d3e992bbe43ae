"""Chat streams as a Responses stream: the events of OpenAI's own, in their order, wherever the frames are cut."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.dialects.openai_chat import StreamEncoder
from providers.dialects.openai_responses.carried_reasoning import unpack
from providers.dialects.openai_responses.stream import StreamDecoder
from providers.dialects.served_responses import ServedStream
from providers.errors import BadAnswer, RateLimited, ServerFailed
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
from tests.unit.providers.served_frames import (
    DONE,
    USAGE,
    begun,
    call_delta,
    chunk,
    kinds,
    read,
    tell,
    usage,
    whole_answer,
)

ROLE = chunk({"role": "assistant", "content": ""})
TEXT = [chunk({"content": "Olá, "}), chunk({"content": "mundo 🌍"})]
STOP = chunk(finish="stop")
WHOLE = [ROLE, *TEXT, STOP, usage(), DONE]


def test_a_text_has_the_events_of_openais_own_stream() -> None:
    events = tell(*WHOLE)
    assert kinds(events) == [
        "created", "in_progress", "output_item.added", "content_part.added", "output_text.delta", "output_text.delta",
        "output_text.done", "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip
    item = events[-1]["response"]["output"][0]
    assert item == events[-2]["item"]
    assert (item["id"], item["status"], item["role"]) == ("msg_1_0", "completed", "assistant")
    assert item["content"] == [{"type": "output_text", "text": "Olá, mundo 🌍", "annotations": [], "logprobs": []}]
    assert events[2]["item"]["content"] == []
    assert events[3]["part"]["text"] == ""
    assert all(event["item_id"] == "msg_1_0" for event in events if "item_id" in event)


def test_the_response_says_who_answered_and_what_it_took() -> None:
    first, *_, last = tell(*WHOLE)
    assert (first["response"]["status"], first["response"]["output"], first["response"]["usage"]) == (
        "in_progress",
        [],
        None,
    )
    response = last["response"]
    assert (response["id"], response["status"], response["model"], response["store"]) == (
        "resp_1",
        "completed",
        "m-1",
        False,
    )
    assert response["usage"] == {
        "input_tokens": 5,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 12,
    }


def test_calls_whose_pieces_come_in_turns_keep_their_own() -> None:
    events = tell(
        ROLE,
        chunk(call_delta(0, name="one", arguments="")),
        chunk(call_delta(1, name="two", arguments="")),
        chunk(call_delta(0, arguments='{"a":')),
        chunk(call_delta(1, arguments='{"b":')),
        chunk(call_delta(0, arguments="1}")),
        chunk(call_delta(1, arguments="2}")),
        chunk(finish="tool_calls"),
        DONE,
    )
    first, second = events[-1]["response"]["output"]
    assert (first["type"], first["call_id"], first["name"], first["arguments"]) == (
        "function_call",
        "call_0",
        "one",
        '{"a":1}',
    )
    assert (second["call_id"], second["name"], second["arguments"], second["status"]) == (
        "call_1",
        "two",
        '{"b":2}',
        "completed",
    )
    for index, wanted in enumerate(('{"a":1}', '{"b":2}')):
        mine = [event for event in events if event.get("output_index") == index]
        assert (
            "".join(event["delta"] for event in mine if event["type"].endswith("function_call_arguments.delta"))
            == wanted
        )


def test_a_call_without_arguments_has_an_empty_object() -> None:
    events = tell(ROLE, chunk(call_delta(0, name="now", arguments="")), chunk(finish="tool_calls"), DONE)
    assert kinds(events)[2:-1] == [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
    ]
    assert events[-1]["response"]["output"][0]["arguments"] == "{}"


def test_a_custom_tools_input_is_its_own_kind_of_item() -> None:
    begins = {"tool_calls": [{"index": 0, "id": "c", "type": "custom", "custom": {"name": "sh", "input": ""}}]}
    goes_on = {"tool_calls": [{"index": 0, "custom": {"input": "ls"}}]}
    events = tell(chunk(begins), chunk(goes_on), chunk(finish="tool_calls"), DONE)
    assert kinds(events)[2:-1] == [
        "output_item.added",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.done",
        "output_item.done",
    ]
    item = events[-1]["response"]["output"][0]
    assert (item["type"], item["id"], item["input"]) == ("custom_tool_call", "ctc_1_0", "ls")


def test_a_call_of_a_tool_in_a_namespace_names_both() -> None:
    tools = [{"type": "namespace", "name": "crm", "description": "d", "tools": [{"type": "function", "name": "look"}]}]
    frames = [chunk(call_delta(0, name="crm__look", arguments="{}")), chunk(finish="tool_calls"), DONE]
    item = tell(*frames, tools=tools)[-1]["response"]["output"][0]
    assert (item["namespace"], item["name"]) == ("crm", "look")
    assert "namespace" not in tell(*frames)[-1]["response"]["output"][0]


def test_reasoning_is_an_item_of_its_own_that_can_be_sent_back() -> None:
    detail = {"type": "reasoning.text", "text": "Hm", "signature": "sig", "format": "anthropic-claude-v1"}
    events = tell(
        ROLE,
        chunk({"reasoning_content": "Hm"}),
        chunk({"reasoning_details": [{"index": 0, **detail}]}),
        *TEXT,
        STOP,
        DONE,
    )
    assert kinds(events)[2:8] == [
        "output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta",
        "reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done",
    ]  # fmt: skip
    reasoning, message = events[-1]["response"]["output"]
    assert reasoning["summary"] == [{"type": "summary_text", "text": "Hm"}]
    assert unpack(reasoning["encrypted_content"]) == (ReasoningBlock(text="Hm", signature="sig"),)
    assert message["id"] == "msg_1_1"


def test_a_signature_that_comes_alone_signs_the_text_before_it() -> None:
    signature = {"type": "reasoning.text", "signature": "sig"}
    pieces = [chunk({"reasoning": text}) for text in ("H", "m")]
    events = tell(*pieces, chunk({"reasoning_details": [signature]}), *TEXT, STOP, DONE)
    packed = events[-1]["response"]["output"][0]["encrypted_content"]
    assert unpack(packed) == (ReasoningBlock(text="Hm", signature="sig"),)


def test_openais_own_encrypted_reasoning_is_not_wrapped() -> None:
    detail = {"type": "reasoning.encrypted", "data": "gAAAA", "format": "openai-responses-v1"}
    events = tell(chunk({"reasoning_details": [detail]}), *TEXT, STOP, DONE)
    assert events[-1]["response"]["output"][0]["encrypted_content"] == "gAAAA"


def test_a_text_in_parts_is_a_text() -> None:
    events = tell(chunk({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}), STOP, DONE)
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == "ab"


def test_fields_of_the_providers_own_are_told_but_not_instead_of_the_apis() -> None:
    events = tell(chunk({"content": "a"}, search_results=[{"url": "https://a"}], store=True), STOP, DONE)
    response = events[-1]["response"]
    assert (response["search_results"], response["store"]) == ([{"url": "https://a"}], False)


def test_a_refusal_is_a_part_of_the_message() -> None:
    events = tell(ROLE, chunk({"refusal": "No"}), chunk({"refusal": "."}), STOP, DONE)
    assert kinds(events)[3:-2] == [
        "content_part.added",
        "refusal.delta",
        "refusal.delta",
        "refusal.done",
        "content_part.done",
    ]
    assert events[-1]["response"]["output"][0]["content"] == [{"type": "refusal", "refusal": "No."}]


@pytest.mark.parametrize("first", [True, False])
def test_sources_are_annotations_whenever_they_are_told(*, first: bool) -> None:
    cited = {
        "type": "url_citation",
        "url_citation": {"url": "https://a", "title": "A", "start_index": 0, "end_index": 2},
    }
    sources = chunk({"annotations": [cited]})
    events = tell(ROLE, *([sources, *TEXT] if first else [*TEXT, sources]), STOP, DONE)
    assert kinds(events).count("output_text.annotation.added") == 1
    (annotation,) = events[-1]["response"]["output"][0]["content"][0]["annotations"]
    assert annotation == {"type": "url_citation", "url": "https://a", "title": "A", "start_index": 0, "end_index": 2}


def test_sources_that_come_after_a_call_belong_to_the_message_before_it() -> None:
    cited = {"type": "url_citation", "url_citation": {"url": "https://a"}}
    events = tell(*TEXT, chunk(call_delta(0, name="f", arguments="{}")), chunk({"annotations": [cited]}), STOP, DONE)
    message, call = events[-1]["response"]["output"]
    assert message["content"][0]["annotations"][0]["url"] == "https://a"
    assert call["type"] == "function_call"


def test_logprobs_are_told_with_their_text_when_they_were_asked_for() -> None:
    entry = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}
    told = {"index": 0, "delta": {"content": "a"}, "logprobs": {"content": [entry]}, "finish_reason": None}
    events = tell(ROLE, chunk(choices=[told]), chunk({"content": "b"}), STOP, DONE, logprobs=True)
    deltas = [event["logprobs"] for event in events if event["type"] == "response.output_text.delta"]
    assert deltas == [[entry], []]
    assert events[-1]["response"]["output"][0]["content"][0]["logprobs"] == [entry]


@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_an_answer_that_was_cut_is_incomplete(finish: str, reason: str) -> None:
    last = tell(ROLE, *TEXT, chunk(finish=finish), usage(), DONE)[-1]
    assert last["type"] == "response.incomplete"
    response = last["response"]
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": reason})
    assert response["output"][0]["status"] == "incomplete"
    assert response["usage"]["output_tokens"] == 7


def test_an_empty_answer_is_an_empty_message() -> None:
    events = tell(ROLE, STOP, DONE)
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == ""


def test_comments_keep_the_connection_alive_and_say_nothing() -> None:
    stream = ServedStream(begun(), logprobs=False)
    assert stream.feed(b": waiting\n\n") == b": waiting\n\n"
    assert kinds(read(stream.feed(b"".join(WHOLE))))[0] == "created"


def test_a_failure_is_an_error_event_that_the_client_raises_and_then_the_end() -> None:
    stream = ServedStream(begun(), logprobs=False)
    told = stream.feed(ROLE + TEXT[0]) + stream.fail(ServerFailed("It broke.", code="upstream_error"))
    *_, error, failed = read(told)
    assert (error["type"], error["error"]["message"], error["code"]) == ("error", "It broke.", "upstream_error")
    assert (failed["type"], failed["response"]["status"]) == ("response.failed", "failed")
    assert failed["response"]["error"] == {"code": "server_error", "message": "It broke."}
    assert failed["response"]["output"][0]["content"][0]["text"] == "Olá, "
    assert stream.fail(ServerFailed("Again.")) + stream.feed(TEXT[1]) + stream.close() == b""


def test_a_failure_before_anything_was_told_still_begins_the_stream() -> None:
    stream = ServedStream(begun(), logprobs=False)
    events = read(stream.feed(b": waiting\n\n") + stream.fail(RateLimited("Slow down.")))
    assert kinds(events) == ["created", "in_progress", "error", "failed"]


def test_a_failure_inside_the_frames_is_one_too() -> None:
    events = tell(ROLE, TEXT[0], b'data: {"error": {"message": "Overloaded", "type": "server_error"}}\n\n', DONE)
    assert kinds(events)[-2:] == ["error", "failed"]


# ------------------------------------------------------------------------------------------------- whole and in pieces

ANSWER = {
    "id": "chatcmpl-1",
    "model": "m-1",
    "service_tier": "flex",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Hello",
                "reasoning_content": "Hm",
                "reasoning_details": [{"type": "reasoning.text", "text": "Hm", "signature": "s"}],
                "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
            "finish_reason": "tool_calls",
        }
    ],
    "usage": USAGE,
}


def test_a_whole_answer_is_what_its_stream_ends_with() -> None:
    response = whole_answer(orjson.dumps(ANSWER), begun(), logprobs=False)
    message = ANSWER["choices"][0]["message"]  # type: ignore[index]
    streamed = tell(
        chunk({"reasoning_content": "Hm"}, service_tier="auto"),
        chunk({"reasoning_details": message["reasoning_details"]}),
        chunk({"content": "Hello"}),
        chunk(call_delta(0, name="f", arguments="{}")),
        chunk(finish="tool_calls", service_tier="flex"),
        usage(),
        DONE,
    )[-1]["response"]
    assert [item["type"] for item in response["output"]] == ["reasoning", "message", "function_call"]
    streamed["output"][2]["call_id"] = "c1"
    assert response == streamed
    assert response["service_tier"] == "flex"


def test_a_whole_answer_may_have_its_text_in_parts() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    answer = {**ANSWER, "choices": [{"message": {"content": parts}, "finish_reason": "stop"}]}
    response = whole_answer(orjson.dumps(answer), begun(), logprobs=False)
    assert response["output"][0]["content"][0]["text"] == "ab"


@pytest.mark.parametrize("body", [b"not json", b"[]", b'{"choices": []}', b'{"choices": [{"index": 0}]}'])
def test_what_is_no_chat_answer_is_a_bad_answer(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        whole_answer(body, begun(), logprobs=False)


texts = st.text(min_size=1, max_size=8)
turns = st.lists(
    st.one_of(
        texts.map(lambda text: [TextDelta(text)]),
        st.tuples(texts, texts).map(
            lambda pair: [ReasoningDelta(pair[0]), ReasoningDone(ReasoningBlock(text=pair[0], signature=pair[1]))]
        ),
    ),
    max_size=5,
)


@settings(max_examples=60, deadline=None)
@given(turns=turns, calls=st.lists(texts, max_size=3), data=st.data())
def test_nothing_is_lost_or_repeated_wherever_the_frames_are_cut(
    turns: list[list[TextDelta | ReasoningDelta | ReasoningDone]], calls: list[str], data: st.DataObject
) -> None:
    said = [event for turn in turns for event in turn]
    called = [
        event
        for number, text in enumerate(calls)
        for event in (ToolCallStart(number, f"c{number}", "f"), ToolCallDelta(number, text))
    ]
    finish = Finish("tool_calls" if calls else "stop")
    encoder = StreamEncoder(model="m", created=1, include_usage=True)
    events = [StreamStart("1", "m-1"), *said, *called, finish, UsageReport(Usage(5, 7)), StreamEnd()]
    frames = b"".join(map(encoder.encode, events))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(frames)), max_size=6)))
    stream = ServedStream(begun(), logprobs=False)
    pieces = [frames[start:end] for start, end in zip([0, *cuts], [*cuts, len(frames)], strict=True)]
    told = b"".join(map(stream.feed, pieces)) + stream.close()
    response = read(told)[-1]["response"]
    wanted = "".join(event.text for event in said if isinstance(event, TextDelta))
    parts = [part for item in response["output"] if item["type"] == "message" for part in item["content"]]
    assert "".join(part["text"] for part in parts) == wanted
    assert [item["arguments"] for item in response["output"] if item["type"] == "function_call"] == calls
    kept = [block for item in response["output"] for block in unpack(item.get("encrypted_content"))]
    assert kept == [event.block for event in said if isinstance(event, ReasoningDone)]
    decoded = StreamDecoder().feed(told)
    assert "".join(event.text for event in decoded if isinstance(event, TextDelta)) == wanted
    assert decoded[-1] == StreamEnd()
