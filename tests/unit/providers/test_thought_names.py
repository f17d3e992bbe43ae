"""What a model thought has one name for clients, in streams as in whole answers."""

import pytest

from providers.dialects.content_parts import mend_choices
from providers.dialects.relay import RelayStream
from providers.types import JsonObject
from tests.unit.providers.relay_events import NAMES, STOP, chunk, frame, open_stream, values

OPENROUTER = {"type": "reasoning.text", "index": 0}


def deltas(sent: bytes) -> list[JsonObject]:
    return [event["choices"][0]["delta"] for event in values(sent)]


def passed(stream: RelayStream, *events: bytes) -> list[JsonObject]:
    return deltas(b"".join(stream.feed(event) for event in events))


def test_a_thought_gets_the_name_beside_its_own() -> None:
    assert passed(open_stream(), chunk({"reasoning": "a"})) == [{"reasoning": "a", "reasoning_content": "a"}]


@pytest.mark.parametrize(
    "delta",
    [
        {"reasoning": ""},
        {"reasoning": None, "content": "x"},
        {"reasoning": {"text": "a"}},
        {"reasoning": "a", "reasoning_content": "b"},
        {"reasoning_content": "a"},
        {"reasoning_details": [{"type": "reasoning.text", "text": "a"}]},
    ],
)
def test_other_deltas_pass_byte_for_byte(delta: JsonObject) -> None:
    assert open_stream().feed(chunk(delta)) == chunk(delta)


@pytest.mark.parametrize("per_read", [1, 3])
@pytest.mark.parametrize(
    "make",
    [
        lambda word: {"reasoning": word},
        lambda word: {"content": "", "reasoning": word},
        lambda word: {"content": "", "reasoning": word, "reasoning_details": [{**OPENROUTER, "text": word}]},
        lambda word: {"role": "assistant", "content": "", "reasoning": word},
    ],
)
def test_every_frame_of_a_long_thought_is_as_if_it_had_been_parsed(make: object, per_read: int) -> None:
    assert callable(make)
    words = ["one", ":", " tw\u00f6", '"', "th\\ree", "\n", "~probe~", "m", " four", "reasoning", " five", "", " six"]
    events = [chunk(make(word)) for word in words] + [chunk({"content": "Hi"}), STOP]
    stream = open_stream()
    reads = [b"".join(events[start : start + per_read]) for start in range(0, len(events), per_read)]
    told = passed(stream, *reads)
    assert "".join(delta.get("reasoning_content", "") for delta in told) == "".join(words)
    assert "".join(delta.get("reasoning", "") for delta in told) == "".join(words)
    assert [delta for delta in told if delta.get("reasoning")] == [
        {key: value for key, value in make(word).items() if key != "role" or not number} | {"reasoning_content": word}
        for number, word in enumerate(words)
        if word
    ]
    assert stream.delivered_text() == "".join(words) + "Hi"


def test_a_frame_that_says_more_than_a_thought_is_read() -> None:
    stream = open_stream()
    stream.feed(chunk({"reasoning": "a"}) + chunk({"reasoning": "b"}))
    (both,) = passed(stream, chunk({"reasoning": "c", "content": "x"}))
    assert both == {"reasoning": "c", "content": "x", "reasoning_content": "c"}
    (call,) = passed(
        stream, chunk({"reasoning": "d", "tool_calls": [{"id": "i", "function": {"name": "f", "arguments": ""}}]})
    )
    assert call["tool_calls"][0]["index"] == 0
    assert sorted(stream.delivered_text()) == list("abcdfx")


def test_the_thought_of_a_second_choice_has_the_name_too() -> None:
    stream = open_stream(n=2)
    stream.feed(chunk({"reasoning": "a"}) + chunk({"reasoning": "b"}))
    (event,) = values(stream.feed(chunk({"reasoning": "c"}, index=1)))
    assert (event["choices"][0]["index"], event["choices"][0]["delta"]["reasoning_content"]) == (1, "c")


def test_a_finish_beside_a_thought_is_seen_each_time() -> None:
    stream = open_stream()
    first = values(stream.feed(chunk({"reasoning": "a"}, "stop")))
    again = values(stream.feed(chunk({"reasoning": "b"}, "stop")))
    assert [event["choices"][0]["finish_reason"] for event in first + again] == ["stop", None]


def test_padding_that_changes_with_each_frame_does_not_hurt() -> None:
    stream = open_stream()
    events = [
        frame({**NAMES, "pad": "p" * size, "choices": [{"index": 0, "delta": {"reasoning": "a"}}]}) for size in range(9)
    ]
    assert [delta["reasoning_content"] for delta in passed(stream, *events)] == ["a"] * 9


def test_bytes_that_are_no_utf8_fail_the_stream() -> None:
    stream = open_stream()
    stream.feed(chunk({"reasoning": "a"}) + chunk({"reasoning": "b"}))
    assert stream.feed(chunk({"reasoning": "@"}).replace(b"@", b"\xff")) == b""
    assert stream.failure is not None


@pytest.mark.parametrize(
    ("message", "thought"),
    [
        ({"reasoning": "a"}, "a"),
        ({"reasoning": "a", "reasoning_details": [{**OPENROUTER, "text": "b"}]}, "a"),
        ({"reasoning_details": [{**OPENROUTER, "text": "b"}, {"summary": "c"}, {"data": "x"}, {"text": 1}, 4]}, "bc"),
        ({"reasoning": None, "reasoning_content": "d", "reasoning_details": [{**OPENROUTER, "text": "b"}]}, "d"),
        ({"reasoning": {"a": 1}, "reasoning_details": None}, None),
        ({"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]}, None),
    ],
)
def test_a_whole_answer_has_the_name_and_keeps_what_came(message: JsonObject, thought: str | None) -> None:
    told = {"role": "assistant", "content": "Hi", **message}
    assert mend_choices([{"message": told}]) is (thought is not None and "reasoning_content" not in message)
    assert told == {
        "role": "assistant", "content": "Hi", **message, **({} if thought is None else {"reasoning_content": thought})
    }  # fmt: skip
