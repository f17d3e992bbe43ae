"""Chat streams as message streams: the events of Anthropic's own, in their order, wherever the frames are cut."""

from typing import Any

import orjson
import pytest
from anthropic.types import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.dialects.anthropic_messages import StreamDecoder
from providers.dialects.openai_chat import StreamEncoder
from providers.dialects.openai_responses.carried_reasoning import unpack
from providers.dialects.served_messages import ServedMessage
from providers.dialects.served_messages.message_builder import MessageBuilder
from providers.errors import BadAnswer, RateLimited, ServerFailed
from providers.types import (
    Finish,
    Heartbeat,
    JsonObject,
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
from tests.unit.providers.message_frames import kinds, read, summed, tell
from tests.unit.providers.served_frames import DONE, USAGE, call_delta, chunk, usage

ROLE = chunk({"role": "assistant", "content": ""})
TEXT = [chunk({"content": "Olá, "}), chunk({"content": "mundo 🌍"})]
STOP = chunk(finish="stop")
WHOLE = [ROLE, *TEXT, STOP, usage(), DONE]
CLAUDES, ANOTHERS = "anthropic-claude-v1", "openai-responses-v1"


def test_a_text_has_the_events_of_anthropics_own_stream() -> None:
    events = tell(*WHOLE)
    assert kinds(events) == ["start", "block_start", "block_delta", "block_delta", "block_stop", "delta", "stop"]
    message = summed(events)
    assert (message["id"], message["model"], message["stop_reason"]) == ("msg_1", "m-1", "end_turn")
    assert message["content"] == [{"type": "text", "text": "Olá, mundo 🌍"}]
    assert (message["usage"]["input_tokens"], message["usage"]["output_tokens"]) == (5, 7)


def test_cached_tokens_are_counted_beside_the_input() -> None:
    details = {"cached_tokens": 60, "cache_write_tokens": 30}
    told = {"prompt_tokens": 100, "completion_tokens": 1, "total_tokens": 101, "prompt_tokens_details": details}
    counts = summed(tell(*TEXT, STOP, chunk(choices=[], usage=told), DONE))["usage"]
    names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    assert tuple(counts[name] for name in names) == (10, 60, 30)


@pytest.mark.parametrize(
    ("finish", "reason"),
    [("stop", "end_turn"), ("length", "max_tokens"), ("tool_calls", "tool_use"), ("content_filter", "refusal")],
)
def test_why_it_ended_is_said_in_anthropics_words(finish: str, reason: str) -> None:
    assert summed(tell(*TEXT, chunk(finish=finish), DONE))["stop_reason"] == reason


def test_a_refusal_is_a_text_that_ends_as_one() -> None:
    message = summed(tell(chunk({"refusal": "No."}), STOP, DONE))
    assert message["content"] == [{"type": "text", "text": "No."}]
    assert message["stop_reason"] == "refusal"


def test_calls_come_one_after_the_other() -> None:
    frames = [
        chunk({"content": "I look."}),
        chunk(call_delta(0, name="f", arguments="")),
        chunk(call_delta(0, arguments='{"a":')),
        chunk(call_delta(0, arguments="1}")),
        chunk(call_delta(1, name="g", arguments='{"b":2}')),
        chunk(finish="tool_calls"),
        DONE,
    ]
    events = tell(*frames)
    first, second = summed(events)["content"][1:]
    assert (first["id"], first["name"], first["input"]) == ("call_0", "f", {"a": 1})
    assert (second["id"], second["name"], second["input"]) == ("call_1", "g", {"b": 2})
    assert kinds(events)[:8] == [
        "start", "block_start", "block_delta", "block_stop", "block_start", "block_delta", "block_delta", "block_stop",
    ]  # fmt: skip


def test_calls_whose_pieces_come_in_turns_are_told_apart() -> None:
    """A block cannot be continued once another has begun."""
    frames = [
        chunk(call_delta(0, name="f", arguments='{"a"')),
        chunk(call_delta(1, name="g", arguments='{"b"')),
        chunk(call_delta(0, arguments=":1}")),
        chunk(call_delta(1, arguments=":2}")),
        chunk({"content": "Done."}),
        chunk(finish="tool_calls"),
        DONE,
    ]
    content = summed(tell(*frames))["content"]
    assert [block.get("input") for block in content] == [{"a": 1}, {"b": 2}, None]


def test_a_call_without_arguments_has_empty_input() -> None:
    (call,) = summed(tell(chunk(call_delta(0, name="f")), chunk(finish="tool_calls"), DONE))["content"]
    assert call["input"] == {}


def test_thinking_keeps_its_signature() -> None:
    detail = {"type": "reasoning.text", "text": "Hm.", "signature": "sig", "format": CLAUDES}
    frames = [chunk({"reasoning_content": "Hm."}), chunk({"reasoning_details": [detail]}), *TEXT, STOP, DONE]
    thought, text = summed(tell(*frames))["content"]
    assert thought == {"type": "thinking", "thinking": "Hm.", "signature": "sig"}
    assert text["type"] == "text"


def test_encrypted_thinking_is_redacted() -> None:
    detail = {"type": "reasoning.encrypted", "data": "xyz", "format": CLAUDES}
    thought, _ = summed(tell(chunk({"reasoning_details": [detail]}), *TEXT, STOP, DONE))["content"]
    assert thought == {"type": "redacted_thinking", "data": "xyz"}


def test_what_another_vendor_thought_is_packed_into_the_signature() -> None:
    detail = {"type": "reasoning.encrypted", "data": "xyz", "format": ANOTHERS}
    thought, _ = summed(tell(chunk({"reasoning_details": [detail]}), *TEXT, STOP, DONE))["content"]
    assert thought["type"] == "thinking"
    assert unpack(thought["signature"]) == (ReasoningBlock(encrypted="xyz", format=ANOTHERS),)


def test_sources_are_cited_in_the_text() -> None:
    source = {"type": "url_citation", "url_citation": {"url": "https://a.example", "title": "A"}}
    (text,) = summed(tell(*TEXT, chunk({"annotations": [source]}), STOP, DONE))["content"]
    assert [(each["url"], each["title"]) for each in text["citations"]] == [("https://a.example", "A")]


def test_why_anthropics_own_answer_ended_is_said_as_it_said_it() -> None:
    ended = {"stop_reason": "stop_sequence", "stop_sequence": "END"}
    message = summed(tell(*TEXT, chunk(finish="stop", provider_stop=ended), DONE))
    assert {name: message[name] for name in ended} == ended


@pytest.mark.parametrize("other", ["x", {"stop_reason": ["x"]}, {"stop_reason": "novel"}])
def test_a_reason_that_anthropic_does_not_know_is_none(other: Any) -> None:
    message = summed(tell(*TEXT, chunk(finish="length", provider_stop=other), DONE))
    assert (message["stop_reason"], message["stop_sequence"]) == ("max_tokens", None)


def test_a_source_of_no_text_is_left_out() -> None:
    source = {"type": "url_citation", "url_citation": {"url": "https://a.example", "title": "A"}}
    assert summed(tell(chunk({"annotations": [source]}), STOP, DONE))["content"] == []


def test_of_several_answers_the_first_is_told() -> None:
    second = {"index": 1, "delta": {"content": "Other"}, "finish_reason": "length"}
    message = summed(tell(*TEXT, chunk(choices=[second]), STOP, DONE, chunk({"content": "Late."})))
    assert (message["content"][0]["text"], message["stop_reason"]) == ("Olá, mundo 🌍", "end_turn")


def test_a_failure_among_the_frames_is_the_last_event() -> None:
    failed = b'data: {"error": {"message": "Too many.", "code": 429}}\n\n'
    *_, last = tell(TEXT[0], failed, STOP, DONE)
    assert (last["type"], last["error"]["type"]) == ("error", "rate_limit_error")


def test_a_sign_of_life_tells_nothing() -> None:
    assert list(MessageBuilder("msg_1", "m").take(Heartbeat())) == []


def test_blocks_that_a_chat_has_no_place_for_come_at_the_end() -> None:
    ran = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}}
    pieces = [{"type": "citation", "citation": {}}, {"type": "delta", "index": 0, "delta": {"type": "novel_delta"}}]
    extra = chunk({"content": "Found."}, provider_content=[ran, *pieces])
    text, last = summed(tell(extra, STOP, DONE))["content"]
    assert (text["text"], last) == ("Found.", ran)


def test_an_answer_without_content_is_whole() -> None:
    assert kinds(tell(ROLE, STOP, DONE)) == ["start", "delta", "stop"]


def test_a_failure_is_the_last_event() -> None:
    stream = ServedMessage("msg_1", "m")
    told = stream.feed(TEXT[0]) + stream.fail(RateLimited("Too many."), "req_1") + stream.feed(STOP) + stream.close()
    *_, last = read(told)
    assert last == {
        "type": "error",
        "error": {"type": "rate_limit_error", "message": "Too many.", "code": "rate_limit_exceeded", "param": None},
        "request_id": "req_1",
    }
    assert stream.fail(ServerFailed("Again."), "req_1") == b""


def test_an_error_in_the_frames_themselves_names_the_request_as_well() -> None:
    stream = ServedMessage("msg_1", "m", request_id="req_1")
    *_, last = read(stream.feed(TEXT[0]) + stream.feed(b'data: {"error": {"message": "Broken."}}\n\n'))
    assert (last["type"], last["error"]["message"], last["request_id"]) == ("error", "Broken.", "req_1")


def test_comments_pass() -> None:
    assert ServedMessage("msg_1", "m").feed(b": waiting\n\n") == b": waiting\n\n"


def whole(message: JsonObject, finish: str = "stop", **fields: Any) -> JsonObject:
    body = {"id": "c", "model": "m-1", "choices": [{"index": 0, "message": message, "finish_reason": finish}], **fields}
    found = ServedMessage("msg_1", "asked-for").whole(orjson.dumps(body))
    Message.model_validate(found)
    return found


def test_a_whole_answer_is_what_its_stream_adds_up_to() -> None:
    detail = {"type": "reasoning.text", "text": "Hm.", "signature": "sig", "format": CLAUDES}
    call = call_delta(0, name="f", arguments='{"a":1}')["tool_calls"][0]
    message = {
        "role": "assistant",
        "content": "Hi",
        "reasoning_content": "Hm.",
        "reasoning_details": [detail],
        "tool_calls": [{key: value for key, value in call.items() if key != "index"}],
    }
    streamed = tell(
        chunk({"reasoning_content": "Hm."}), chunk({"reasoning_details": [detail]}), chunk({"content": "Hi"}),
        chunk({"tool_calls": [call]}), chunk(finish="tool_calls"), usage(), DONE,
    )  # fmt: skip
    assert whole(message, "tool_calls", usage=USAGE) == summed(streamed)


def test_each_block_of_a_whole_answer_keeps_its_own_thinking() -> None:
    """A provider refuses a signature of another text than it signed."""
    details = [{"type": "reasoning.text", "text": text, "signature": text, "format": CLAUDES} for text in ("a", "b")]
    blocks = whole({"content": None, "reasoning_content": "ab", "reasoning_details": details})["content"]
    assert [(block["thinking"], block["signature"]) for block in blocks] == [("a", "a"), ("b", "b")]


def test_the_text_beside_encrypted_thinking_is_told_whole_as_in_a_stream() -> None:
    thought = {
        "reasoning_content": "Hm.",
        "reasoning_details": [{"type": "reasoning.encrypted", "data": "xyz", "format": ANOTHERS}],
    }
    streamed = summed(tell(*[chunk({name: value}) for name, value in thought.items()], *TEXT, STOP, DONE))
    (first, *_) = whole({"content": "Hi", **thought})["content"]
    assert first == streamed["content"][0]
    assert first["thinking"] == "Hm."


def test_of_several_calls_of_a_whole_answer_each_keeps_its_input() -> None:
    calls = [call_delta(index, name="f", arguments=f'{{"a":{index}}}')["tool_calls"][0] for index in range(3)]
    blocks = whole({"content": None, "tool_calls": calls}, "tool_calls")["content"]
    assert [block["input"] for block in blocks] == [{"a": 0}, {"a": 1}, {"a": 2}]


def test_what_was_thought_and_searched_is_counted() -> None:
    told = {
        **USAGE,
        "completion_tokens_details": {"reasoning_tokens": 3},
        "server_tool_use": {"web_search_requests": 2},
    }
    usage = whole({"content": "Hi"}, usage=told)["usage"]
    assert usage["output_tokens_details"] == {"thinking_tokens": 3}
    assert usage["server_tool_use"] == {"web_search_requests": 2, "web_fetch_requests": 0}


def test_what_was_thought_without_a_signature_has_none() -> None:
    (block,) = whole({"content": None, "reasoning_content": "Hm."})["content"]
    assert block == {"type": "thinking", "thinking": "Hm.", "signature": ""}


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"choices": []}'])
def test_what_is_no_answer_is_a_failure(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        ServedMessage("msg_1", "m").whole(body)


@given(st.lists(st.integers(1, len(b"".join(WHOLE))), max_size=8))
@settings(max_examples=60)
def test_frames_may_be_cut_anywhere(cuts: list[int]) -> None:
    frames, stream, start = b"".join(WHOLE), ServedMessage("msg_1", "m"), 0
    told = b""
    for end in [*sorted(cuts), len(frames)]:
        told += stream.feed(frames[start:end])
        start = max(start, end)
    assert summed(read(told + stream.close())) == summed(tell(*WHOLE))


_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(
    thoughts=st.lists(_TEXTS, max_size=2),
    texts=st.lists(_TEXTS, max_size=3),
    calls=st.lists(st.dictionaries(_TEXTS, _TEXTS, max_size=2), max_size=3),
)
@settings(max_examples=60)
def test_the_adapter_of_the_same_dialect_reads_what_is_served(
    thoughts: list[str], texts: list[str], calls: list[dict[str, str]]
) -> None:
    """A gateway in front of a gateway: nothing of the chat is lost between them."""
    encoder = StreamEncoder(model="m-1", created=1, include_usage=True)
    events: list[Any] = [StreamStart("c", "m-1", 1)]
    for text in thoughts:
        done = ReasoningDone(ReasoningBlock(text=text, signature="s", format=CLAUDES))
        events += [ReasoningDelta(text), done]
    events += map(TextDelta, texts)
    for index, arguments in enumerate(calls):
        text = orjson.dumps(arguments).decode()
        events += [ToolCallStart(index, f"call_{index}", "f"), ToolCallDelta(index, text)]
    events += [
        Finish("tool_calls" if calls else "stop"),
        UsageReport(Usage(input_tokens=5, output_tokens=7)),
        StreamEnd(),
    ]
    stream = ServedMessage("msg_1", "m")
    told = stream.feed(b"".join(map(encoder.encode, events))) + stream.close()
    found = StreamDecoder().feed(told)
    assert "".join(each.text for each in found if isinstance(each, TextDelta)) == "".join(texts)
    assert [each.block.text for each in found if isinstance(each, ReasoningDone)] == thoughts
    given_back = [
        orjson.loads(
            "".join(each.arguments for each in found if isinstance(each, ToolCallDelta) and each.index == index)
        )
        for index in range(len(calls))
    ]
    assert given_back == calls
    assert [each.usage.output_tokens for each in found if isinstance(each, UsageReport)][-1] == 7
