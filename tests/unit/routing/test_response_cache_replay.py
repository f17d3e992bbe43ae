"""An answer told as a stream and a stream told as an answer say the same, to the last field."""

import json
from typing import Any

import orjson
import pytest

from providers.types import Usage
from routing.cached_answers import CachedAnswer, of_body, of_stream
from routing.replay import DONE, as_frames, assemble, events

NAMES = {"id": "chatcmpl-9", "created": 7, "model": "m", "system_fingerprint": "fp"}
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
LONG = 'Ein längerer Satz mit Umlauten, 数据 und "Zeichen" \\ darin. ' * 5


def completion(*messages: dict[str, Any], finish: str = "stop", **more: Any) -> dict[str, Any]:
    choices = [
        {
            "index": index,
            "message": {"role": "assistant", "content": None, "refusal": None, **message},
            "logprobs": None,
            "finish_reason": finish,
        }
        for index, message in enumerate(messages)
    ]
    return {**NAMES, "object": "chat.completion", "choices": choices, **more}


ANSWERS = [
    completion({"content": LONG}),
    completion({"content": ""}),
    completion({"content": "a"}, {"content": "b"}),
    completion({"tool_calls": [CALL, {**CALL, "id": "c2"}]}, finish="tool_calls"),
    completion({"content": "x", "reasoning_content": LONG}),
    completion({"refusal": "No."}),
    completion({"content": "x", "annotations": [{"type": "url_citation"}]}, citations=["https://example.com"]),
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_there_and_back_again_nothing_is_lost(answer: dict[str, Any]) -> None:
    told = assemble(as_frames(answer, chat=True), chat=True)
    for choice in answer["choices"]:
        choice["message"] = {key: value for key, value in choice["message"].items() if value}
    for choice in told["choices"]:
        choice["message"] = {key: value for key, value in choice["message"].items() if value}
    assert told == answer


def test_text_completions_too() -> None:
    choice = {"index": 0, "text": LONG, "logprobs": None, "finish_reason": "stop"}
    answer = {**NAMES, "object": "text_completion", "choices": [choice]}
    assert assemble(as_frames(answer, chat=False), chat=False) == answer


def test_a_stream_in_pieces_becomes_one_answer() -> None:
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "content": ""},
        {"content": "a"},
        {"content": "b"},
        {"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"x'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '":1}'}}]},
    ]
    frames = b": comment\n\n" + b"".join(
        b"data: " + orjson.dumps({**NAMES, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}) + b"\n\n"
        for delta in deltas
    )
    (choice,) = assemble(frames, chat=True)["choices"]
    assert choice["message"]["content"] == "ab"
    assert choice["message"]["tool_calls"] == [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}
    ]


def told(*deltas: dict[str, Any]) -> dict[str, Any]:
    """The message of a stream of these deltas."""
    event = {**NAMES, "choices": []}
    frames = [{**event, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    (choice,) = assemble(b"".join(b"data: " + orjson.dumps(each) + b"\n\n" for each in frames), chat=True)["choices"]
    return {key: value for key, value in choice["message"].items() if value is not None}


def test_sound_and_its_words_are_joined() -> None:
    message = told(
        {"role": "assistant", "audio": {"id": "a1", "data": "AAAA"}},
        {"audio": {"transcript": "Hel"}},
        {"audio": {"data": "BBBB", "transcript": "lo"}},
        {"audio": {"expires_at": 9}},
    )
    assert message["audio"] == {"id": "a1", "data": "AAAABBBB", "transcript": "Hello", "expires_at": 9}


def test_pieces_of_a_block_of_reasoning_are_joined_and_other_blocks_stay_apart() -> None:
    text = {"type": "reasoning.text", "index": 0}
    message = told(
        {"role": "assistant", "reasoning_details": [{**text, "text": "Let", "signature": None}]},
        {"reasoning_details": [{**text, "text": " me"}]},
        {"reasoning_details": [{**text, "signature": "SIG"}, {"type": "reasoning.encrypted", "data": "E", "index": 0}]},
        {"reasoning_details": [{"type": "reasoning.summary", "summary": "I", "index": 1}]},
        {"reasoning_details": [{"type": "reasoning.summary", "summary": " see", "index": 1}]},
        {"reasoning_details": [{"type": "reasoning.text", "text": "unnumbered"}]},
    )
    assert message["reasoning_details"] == [
        {**text, "text": "Let me", "signature": "SIG"},
        {"type": "reasoning.encrypted", "data": "E", "index": 0},
        {"type": "reasoning.summary", "summary": "I see", "index": 1},
        {"type": "reasoning.text", "text": "unnumbered"},
    ]


def test_a_thought_under_two_names_is_replayed_once_for_who_reads_whichever_is_there() -> None:
    answer = completion({"content": "x", "reasoning_content": LONG, "reasoning": LONG})
    deltas = [event["choices"][0]["delta"] for event in events(as_frames(answer, chat=True))]
    assert "".join(delta.get("reasoning_content") or delta.get("reasoning") or "" for delta in deltas) == LONG
    assert "".join(delta.get("reasoning", "") for delta in deltas) == LONG


def test_two_thoughts_under_two_names_are_both_replayed() -> None:
    answer = completion({"content": "x", "reasoning_content": "a", "reasoning": "b"})
    assert assemble(as_frames(answer, chat=True), chat=True)["choices"][0]["message"]["reasoning"] == "b"


def test_citations_lose_the_numbers_that_only_streams_need() -> None:
    links = [{"type": "url_citation", "url_citation": {"url": url}} for url in ("a", "b")]
    message = told(*({"annotations": [{"index": number, **link}]} for number, link in enumerate(links)))
    assert message["annotations"] == links


def test_an_old_function_call_is_joined() -> None:
    message = told({"function_call": {"name": "f", "arguments": '{"x'}}, {"function_call": {"arguments": '":1}'}})
    assert message["function_call"] == {"name": "f", "arguments": '{"x":1}'}


def stream(finish: str = "stop", usage: bool = False) -> bytes:
    frames = as_frames(completion({"content": "hello"}, finish=finish), chat=True)
    more = b"data: " + orjson.dumps({**NAMES, "choices": [], "usage": USAGE}) + b"\n\n" if usage else b""
    return frames + more + DONE


def kept(frames: bytes, finish: str | None = "stop") -> CachedAnswer | None:
    usage = Usage(input_tokens=3, output_tokens=2)
    return of_stream(frames, tenant="t", chat=True, finish=finish, usage=usage)


@pytest.mark.parametrize("usage", [True, False])
def test_a_kept_stream_tells_usage_to_those_who_ask_whoever_asked_first(usage: bool) -> None:
    answer = kept(b": keep-alive\n\n" + stream(usage=usage))
    assert answer is not None
    assert answer.frames(include_usage=False) == stream()
    *_, last = events(answer.frames(include_usage=True))
    assert last["choices"] == []
    assert {key: last["usage"][key] for key in USAGE} == USAGE
    assert last["id"] == NAMES["id"]
    body = orjson.loads(answer.body())
    assert body["choices"][0]["message"]["content"] == "hello"
    assert body["usage"]["total_tokens"] == 5


def test_what_is_not_whole_is_not_kept() -> None:
    assert kept(stream()) is not None
    assert kept(stream()[: -len(DONE)]) is None
    assert kept(stream(), finish=None) is None
    assert kept(stream(finish="content_filter"), finish="content_filter") is None
    assert kept(b"data: " + b"x" * 2_000_000 + DONE) is None
    whole = completion({"content": "x"})
    assert of_body(orjson.dumps(whole), tenant="t", chat=True) is not None
    for broken in (
        b"not json",
        b"[]",
        orjson.dumps({"error": {"message": "x"}}),
        orjson.dumps({**whole, "choices": []}),
        orjson.dumps(completion({"content": "x"}, finish="content_filter")),
        orjson.dumps({**whole, "choices": [*whole["choices"], {"index": 1, "finish_reason": None}]}),
        b" " * 2_000_000 + orjson.dumps(whole),
    ):
        assert of_body(broken, tenant="t", chat=True) is None


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_of_several_choices_none_may_be_cut_off_by_a_filter(separators: tuple[str, str]) -> None:
    def frames(second: str) -> bytes:
        ends = [(0, {"content": 'says "content_filter"'}, "stop"), (1, {"content": "b"}, second)]
        choices = [[{"index": at, "delta": delta, "finish_reason": reason}] for at, delta, reason in ends]
        events = [json.dumps({"id": "x", "choices": each}, separators=separators) for each in choices]
        return b"".join(b"data: " + event.encode() + b"\n\n" for event in events) + DONE

    assert kept(frames("stop")) is not None
    assert kept(frames("content_filter")) is None


def test_an_answer_survives_being_stored() -> None:
    answer = kept(stream(usage=True))
    assert answer is not None
    again = CachedAnswer.decode(answer.encode())
    assert again is not None
    assert (again.tenant, again.frames(include_usage=True)) == ("t", answer.frames(include_usage=True))
    assert CachedAnswer.decode(b"rubbish") is None
    assert CachedAnswer.decode(b"{}\nx") is None
