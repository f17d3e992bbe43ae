"""Calls of tools, cut and numbered as servers do it, are the same calls to clients of chats and of the Responses API."""

from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.dialects.openai_chat import StreamDecoder
from providers.types import JsonObject, StreamEvent, ToolCallDelta, ToolCallStart
from tests.unit.providers.relay_events import ROLE, chunk, open_stream, values

Called = tuple[str, str, str]
NAMES = ("get_weather", "look", "go")
ARGUMENTS = ("", "{}", '{"city":"Rome","days":[1,2]}', '{"x":"{\\"y\\": 1}"}')


def pieces(text: str, cuts: list[int]) -> list[str]:
    """Some may be empty, as servers send them."""
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[start:end] for start, end in pairwise(places)] or [""]


@st.composite
def streamed(draw: st.DrawFn) -> tuple[list[Called], list[JsonObject]]:
    """The calls, and their deltas as some server sends them."""
    index = draw(st.sampled_from(["right", "from 1", "all 0", "none"]))
    is_numbered = index in ("right", "from 1")
    ids = draw(
        st.sampled_from(["once", "always", "late", "never", "new each time"] if is_numbered else ["once", "always"])
    )
    name = draw(st.sampled_from(["once", "always", "in pieces", "late"] if is_numbered else ["once", "always"]))
    if ids in ("late", "new each time"):
        name = "once"
    calls: list[Called] = []
    queues: list[list[JsonObject]] = []
    for number in range(draw(st.integers(1, 4))):
        identifier, called = f"id_{number}", draw(st.sampled_from(NAMES))
        text = draw(st.sampled_from(ARGUMENTS))
        cut = [*([""] if draw(st.booleans()) else []), *pieces(text, draw(st.lists(st.integers(0, 40), max_size=3)))]
        deltas: list[JsonObject] = [{"function": {"arguments": part}} for part in cut]
        _name(deltas, called, name)
        for place, delta in enumerate(deltas):
            if ids == "always" or (ids == "once" and place == 0) or (ids == "late" and place == 1):
                delta |= {"id": identifier, "type": "function"}
            if ids == "new each time":
                delta["id"] = identifier if place == 0 else f"{identifier}_{place}"
            if index != "none":
                delta["index"] = {"right": number, "from 1": number + 1, "all 0": 0}[index]
        given_id = identifier if ids in ("once", "always", "new each time") else f"call_{number}"
        calls.append((given_id, called, text or "{}"))
        queues.append(deltas)
    if is_numbered and draw(st.booleans()):
        return calls, _interleaved(queues)
    return calls, [delta for queue in queues for delta in queue]


def _name(deltas: list[JsonObject], called: str, how: str) -> None:
    functions = [delta["function"] for delta in deltas]
    if how == "in pieces":
        functions[0]["name"] = called[:2]
        functions.insert(1, {"name": called[2:]})
        deltas.insert(1, {"function": functions[1]})
        functions[1]["arguments"], functions[0]["arguments"] = functions[0].get("arguments", ""), ""
    elif how == "late":
        functions[min(1, len(functions) - 1)]["name"] = called
    else:
        for function in functions if how == "always" else functions[:1]:
            function["name"] = called


def _interleaved(queues: list[list[JsonObject]]) -> list[JsonObject]:
    """A piece of each in turn; the first of all of them come in order."""
    longest = max(map(len, queues))
    return [queue[place] for place in range(longest) for queue in queues if place < len(queue)]


def chunks(deltas: list[JsonObject], together: int) -> bytes:
    groups = [deltas[at : at + together] for at in range(0, len(deltas), together)]
    return b"".join(chunk({"tool_calls": group}) for group in groups)


def folded(sent: bytes) -> list[Called]:
    """As OpenAI's clients do it."""
    whole: dict[int, list[str]] = {}
    for value in values(sent):
        for choice in value["choices"] if value != "[DONE]" else ():
            for call in choice["delta"].get("tool_calls") or ():
                known = whole.setdefault(call["index"], ["", "", ""])
                function = call.get("function") or {}
                known[0] += call.get("id") or ""
                known[1] += function.get("name") or ""
                known[2] += function.get("arguments") or ""
    assert list(whole) == list(range(len(whole)))
    return [(known[0], known[1], known[2]) for known in whole.values()]


def of_events(events: list[StreamEvent]) -> list[Called]:
    starts: dict[int, ToolCallStart] = {}
    arguments: dict[int, str] = {}
    for event in events:
        if isinstance(event, ToolCallStart):
            assert event.index not in starts
            starts[event.index] = event
        elif isinstance(event, ToolCallDelta):
            assert event.index in starts
            arguments[event.index] = arguments.get(event.index, "") + event.arguments
    return [(start.id, start.name, arguments.get(number, "")) for number, start in sorted(starts.items())]


def relayed(deltas: list[JsonObject], together: int = 1, step: int = 10_000) -> bytes:
    stream = open_stream()
    body = ROLE + chunks(deltas, together) + chunk({}, "tool_calls") + b"data: [DONE]\n\n"
    sent = b"".join(stream.feed(body[at : at + step]) for at in range(0, len(body), step)) + stream.close()
    assert stream.ended
    return sent


@settings(max_examples=300, deadline=None)
@given(streamed=streamed(), together=st.integers(1, 3), step=st.integers(1, 400))
def test_calls_are_the_same_calls_however_they_come(
    streamed: tuple[list[Called], list[JsonObject]], together: int, step: int
) -> None:
    calls, deltas = streamed
    sent = relayed(orjson.loads(orjson.dumps(deltas)), together, step)
    assert folded(sent) == calls
    decoder = StreamDecoder()
    assert of_events(decoder.feed(sent) + decoder.close()) == calls


def call(index: int, id: str | None, name: str | None, arguments: str) -> JsonObject:
    function = {"arguments": arguments, **({"name": name} if name is not None else {})}
    return {"index": index, "function": function, **({"id": id} if id is not None else {})}


@pytest.mark.parametrize(
    ("deltas", "calls"),
    [
        ([call(0, "a", None, '{"x"'), call(0, None, "f", ":1}")], [("a", "f", '{"x":1}')]),
        ([call(0, "a", "get_", ""), call(0, None, "it", ""), call(0, None, None, "{}")], [("a", "get_it", "{}")]),
        ([call(0, None, "f", ""), call(0, "late", None, "{}")], [("call_0", "f", "{}")]),
        ([call(0, "a", "f", "{"), call(0, "b", None, "}")], [("a", "f", "{}")]),
        ([call(0, "a", "f", "{}"), call(0, "b", "f", "{}")], [("a", "f", "{}"), ("b", "f", "{}")]),
        ([call(0, "a", None, "{}"), call(0, "b", None, "{}")], [("a", "", "{}"), ("b", "", "{}")]),
    ],
)
def test_a_name_and_an_id_may_come_late(deltas: list[JsonObject], calls: list[Called]) -> None:
    sent = relayed(deltas)
    assert folded(sent) == calls
    assert of_events(StreamDecoder().feed(sent)) == calls


@pytest.mark.parametrize("end", [b"", b"data: [DONE]\n\n"])
def test_a_call_that_has_only_begun_is_told_at_the_end(end: bytes) -> None:
    """By the gateway's own frames it always has arguments; this reads any."""
    said: Any = chunk({"tool_calls": [call(0, "a", "f", "")]})
    decoder = StreamDecoder()
    finish = b"" if end else chunk({}, "tool_calls")
    assert of_events(decoder.feed(said + finish + end) + decoder.close()) == [("a", "f", "")]
