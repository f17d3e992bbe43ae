"""Deltas of loosely compatible servers, as OpenAI's clients add them up."""

from dataclasses import replace

import orjson
import pytest

from providers.dialects.call_repair import mend_calls
from providers.dialects.content_parts import mend_choices, mend_parts
from providers.dialects.relay import RelayStream
from providers.types import ClientRequest, JsonObject, Operation

REQUEST = ClientRequest(operation=Operation.CHAT, model="m", body={"model": "m"}, stream=True)


def chunk(delta: object, index: object = 0, finish: str | None = None) -> JsonObject:
    return {"id": "c", "choices": [{"index": index, "delta": delta, "finish_reason": finish}]}


def call(index: int | None = None, id: str | None = None, name: str | None = None, arguments: str = "") -> JsonObject:
    function = {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}
    delta: JsonObject = {"function": function}
    if index is not None:
        delta["index"] = index
    return {**delta, "id": id, "type": "function"} if id is not None else delta


def frame(delta: object, index: object = 0, finish: str | None = None) -> bytes:
    return b"data: " + orjson.dumps(chunk(delta, index, finish)) + b"\n\n"


def choices_of(sent: bytes) -> list[JsonObject]:
    return [orjson.loads(each[6:])["choices"][0] for each in sent.split(b"\n\n") if each.startswith(b"data: {")]


def repaired(*deltas: JsonObject) -> list[JsonObject]:
    stream = RelayStream(REQUEST)
    return [each["delta"] for each in choices_of(b"".join(stream.feed(frame(delta)) for delta in deltas))]


def added_up(*calls: JsonObject) -> list[tuple[str, str, str]]:
    """What the official client makes of these calls: strings of the same index concatenated."""
    whole: dict[int, dict[str, str]] = {}
    for delta in repaired(*({"tool_calls": [each]} for each in calls)):
        for each in delta["tool_calls"]:
            entry = whole.setdefault(each["index"], {"id": "", "name": "", "arguments": ""})
            entry["id"] += each.get("id") or ""
            entry["name"] += each["function"].get("name") or ""
            entry["arguments"] += each["function"].get("arguments") or ""
    assert list(whole) == list(range(len(whole)))
    return [(entry["id"], entry["name"], entry["arguments"]) for entry in whole.values()]


def test_a_role_passes_once() -> None:
    assert repaired({"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}, {"content": "c"}) == [
        {"role": "assistant", "content": "a"},
        {"content": "b"},
        {"content": "c"},
    ]


@pytest.mark.parametrize(
    "calls",
    [
        # as OpenAI does it
        [
            call(0, "a", "f"),
            call(0, arguments='{"x":'),
            call(0, arguments="1}"),
            call(1, "b", "g"),
            call(1, arguments="{}"),
        ],
        # identity in every chunk
        [
            call(0, "a", "f"),
            call(0, "a", "f", '{"x":'),
            call(0, "a", "f", "1}"),
            call(1, "b", "g"),
            call(1, "b", "g", "{}"),
        ],
        # every call at index 0
        [call(0, "a", "f"), call(0, arguments='{"x":1}'), call(0, "b", "g"), call(0, arguments="{}")],
        # whole calls without an index
        [call(None, "a", "f", '{"x":1}'), call(None, "b", "g", "{}")],
        # pieces without an index
        [call(None, "a", "f"), call(None, arguments='{"x":1}'), call(None, "b", "g"), call(None, arguments="{}")],
        # indexes from 1, interleaved
        [
            call(1, "a", "f"),
            call(2, "b", "g"),
            call(1, arguments='{"x":'),
            call(2, arguments="{}"),
            call(1, arguments="1}"),
        ],
        # a name in pieces
        [call(0, "a", ""), call(0, name="f", arguments='{"x":1}'), call(1, "b", "g", "{}")],
        # empty ids afterwards
        [call(0, "a", "f"), call(0, "", None, '{"x":1}'), call(1, "b", "g"), call(1, "", None, "{}")],
    ],
)
def test_calls_add_up_to_the_same(calls: list[JsonObject]) -> None:
    assert added_up(*calls) == [("a", "f", '{"x":1}'), ("b", "g", "{}")]


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        (None, "tool_calls"),
        ("auto", "tool_calls"),
        ({"type": "allowed_tools"}, "tool_calls"),
        ({"type": "function"}, "stop"),
    ],
)
def test_calls_are_why_a_stream_ended_where_the_client_named_no_tool(choice: object, reason: str) -> None:
    """Gemini's streams say `stop`, at which agents end their loop; of a tool that was named OpenAI's say so, too."""
    stream = RelayStream(replace(REQUEST, body={"model": "m", "tool_choice": choice}))
    sent = stream.feed(frame({"tool_calls": [call(0, "a", "f", "{}")]})) + stream.feed(frame({}, finish="stop"))
    assert choices_of(sent)[-1]["finish_reason"] == stream.finish_reason == reason


def test_a_call_without_an_id_gets_one() -> None:
    assert added_up(call(0, None, "f"), call(0, arguments="{}")) == [("call_0", "f", "{}")]


@pytest.mark.parametrize("index", [0, None])
@pytest.mark.parametrize("id", ["", None])
def test_whole_calls_without_ids_are_told_apart_by_their_names(index: int | None, id: str | None) -> None:
    """Gemini's OpenAI-compatible address: several calls of one function, all with index 0."""
    calls = [call(index, id, "f", '{"x":1}'), call(index, id, "f", '{"x":2}'), call(index, id, "g", "{}")]
    assert added_up(*calls) == [("call_0", "f", '{"x":1}'), ("call_1", "f", '{"x":2}'), ("call_2", "g", "{}")]


def test_a_name_that_comes_again_with_pieces_of_arguments_is_no_other_call() -> None:
    assert added_up(call(0, None, "f", '{"x":'), call(0, None, "f", "1}")) == [("call_0", "f", '{"x":1}')]


def finished(*calls: JsonObject, finish: str | None = "tool_calls", end: bytes = b"data: [DONE]\n\n") -> list[str]:
    """The arguments of each call when the stream is over."""
    stream = RelayStream(REQUEST)
    last = frame({}, finish=finish) if finish else b""
    sent = b"".join([stream.feed(frame({"tool_calls": [each]})) for each in calls]) + stream.feed(last + end)
    assert stream.ended
    whole: dict[int, str] = {}
    for choice in choices_of(sent):
        for each in choice["delta"].get("tool_calls") or ():
            whole[each["index"]] = whole.get(each["index"], "") + (each["function"].get("arguments") or "")
    return list(whole.values())


@pytest.mark.parametrize("bare", [call(0, "a", "f"), {"index": 0, "id": "a", "function": {"name": "f"}}])
@pytest.mark.parametrize("finish", ["tool_calls", "stop", None])
def test_a_call_that_came_without_arguments_ends_with_an_empty_object(bare: JsonObject, finish: str | None) -> None:
    assert finished(bare, call(1, "b", "g", '{"x":1}'), finish=finish) == ["{}", '{"x":1}']


def test_arguments_beside_the_finish_are_not_said_twice() -> None:
    stream = RelayStream(REQUEST)
    calls = [call(0, "a", "f"), call(1, "b", "g", '{"x":1}')]
    choice = choices_of(stream.feed(frame({"tool_calls": calls}, finish="tool_calls")))[-1]
    assert [each["function"]["arguments"] for each in choice["delta"]["tool_calls"]] == ["", '{"x":1}', "{}"]
    assert choices_of(stream.feed(frame({}, finish="tool_calls"))) == []


def test_arguments_that_were_cut_stay_so() -> None:
    assert finished(call(0, "a", "f"), finish="length") == [""]


def test_a_custom_call_may_have_no_input_in_a_stream_either() -> None:
    stream = RelayStream(REQUEST)
    custom = {"index": 0, "id": "a", "type": "custom", "custom": {"name": "f", "input": ""}}
    sent = stream.feed(frame({"tool_calls": [custom]}) + frame({}, finish="tool_calls"))
    assert choices_of(sent)[-1]["delta"] == {}


def test_an_id_that_is_a_number_is_still_one_id() -> None:
    calls = [{"index": 0, "id": 5, "function": {"name": "f"}}, {"index": 0, "id": 5, "function": {"arguments": "{}"}}]
    assert added_up(*calls) == [("5", "f", "{}")]


@pytest.mark.parametrize(
    ("content", "text", "thought"),
    [
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "ab", None),
        ([{"type": "thinking", "thinking": [{"type": "text", "text": "h"}, 4]}], None, "h"),
        ([{"type": "thinking", "thinking": "h"}, "x", {"type": "text", "text": 1}, {"type": "reference"}], "x", "h"),
        (["a", {"type": "text", "text": "b"}, None, "c"], "abc", None),
        ([{"type": "thinking", "thinking": ["h", {"type": "text", "text": "m"}]}], None, "hm"),
        ([], None, None),
    ],
)
def test_content_in_parts_becomes_a_string(content: list[object], text: str | None, thought: str | None) -> None:
    stream = RelayStream(REQUEST)
    (told,) = choices_of(stream.feed(frame({"content": content})))
    delta = told["delta"]
    assert (delta["content"], delta.get("reasoning_content")) == (text, thought)
    assert stream.delivered_text() == (text or "") + (thought or "")


def test_calls_beside_content_in_parts_are_numbered() -> None:
    (told,) = repaired({"content": [{"type": "text", "text": "a"}], "tool_calls": [call(None, "a", "f", "{}")]})
    assert told == {"content": "a", "tool_calls": [{**call(None, "a", "f", "{}"), "index": 0}]}


@pytest.mark.parametrize("delta", [{}, [], "x", {"tool_calls": None}, {"tool_calls": "None"}, {"content": "x"}])
def test_leaves_other_deltas_alone(delta: object) -> None:
    assert RelayStream(REQUEST).feed(frame(delta)) == frame(delta)


@pytest.mark.parametrize(
    "choices", [[{}], [{"delta": {"tool_calls": [None, 4, {}]}}], [{"index": [], "delta": {"role": "x"}}]]
)
def test_never_stumbles_over_a_shape(choices: object) -> None:
    stream = RelayStream(REQUEST)
    assert stream.feed(b"data: " + orjson.dumps({"choices": choices}) + b"\n\n")
    assert stream.failure is None


def test_only_a_chunk_out_of_order_is_written_anew() -> None:
    stream = RelayStream(REQUEST)
    in_order: list[JsonObject] = [
        {"role": "assistant", "content": ""},
        {"content": "x"},
        {"content": "x", "role": None},
        {"tool_calls": [call(0, "a", "f")]},
        {"tool_calls": [call(0, arguments="{}")]},
        {"tool_calls": [{**call(0, arguments="{}"), "id": ""}]},
        {"tool_calls": [call(1, "b", "g", "{}")]},
    ]
    out_of_order: list[JsonObject] = [
        {"role": "assistant", "content": "x"},
        {"tool_calls": [call(0, "a", arguments="{}")]},
        {"tool_calls": [call(0, name="f")]},
        {"tool_calls": [call(0, "c", "h")]},
        {"tool_calls": [call(arguments="{}")]},
        {"tool_calls": [call(9, None, "i")]},
    ]
    assert [stream.feed(frame(delta)) == frame(delta) for delta in in_order] == [True] * len(in_order)
    assert [stream.feed(frame(delta)) == frame(delta) for delta in out_of_order] == [False] * len(out_of_order)


def test_the_providers_own_repair_comes_first() -> None:
    def drop_role(answer: JsonObject) -> bool:
        del answer["choices"][0]["delta"]["role"]
        return True

    stream = RelayStream(REQUEST, repair=drop_role)
    sent = b"".join(stream.feed(frame({"role": "tool", "content": "x"})) for _ in range(2))
    assert [each["delta"] for each in choices_of(sent)] == [{"content": "x"}] * 2


def test_a_relay_does_not_learn_a_repeated_role_as_its_pattern() -> None:
    stream = RelayStream(REQUEST)
    sent = b"".join(stream.feed(frame({"role": "assistant", "content": f"word {n}"})) for n in range(20))
    assert sent.count(b'"role"') == 1
    assert sent.count(b"word") == 20


def test_chunks_whose_only_fault_is_a_role_are_not_parsed_one_by_one() -> None:
    seen: list[JsonObject] = []

    def look(parsed: JsonObject) -> bool:
        seen.append(parsed)
        return False

    stream = RelayStream(REQUEST, repair=look)
    for n in range(20):
        stream.feed(frame({"role": "assistant", "content": f"word {n}"}))
    assert len(seen) == len(["the first", "the first repetition", "the first without one, which is the pattern"])


def test_a_relay_does_not_learn_arguments_of_one_call_for_another() -> None:
    calls = [call(0, "a", "f"), *[call(0, arguments=f"x{n}") for n in range(6)]]
    calls += [call(0, "b", "g"), *[call(0, arguments=f"y{n}") for n in range(6)]]
    frames = [frame({"tool_calls": [each]}) for each in calls]
    for pieces in (frames, [b"".join(frames)], [b"".join(frames[:7]), b"".join(frames[7:])]):
        stream = RelayStream(REQUEST)
        got = [each["delta"]["tool_calls"][0] for each in choices_of(b"".join(map(stream.feed, pieces)))]
        assert [each["index"] for each in got] == [0] * 7 + [1] * 7


def test_a_stream_in_order_passes_as_it_came_and_its_arguments_by_their_pattern() -> None:
    deltas: list[JsonObject] = [{"role": "assistant", "content": ""}, *({"content": f"word {n}"} for n in range(9))]
    for number, name in enumerate("ab"):
        deltas.append({"tool_calls": [call(number, name, f"get_{name}")]})
        deltas += [{"tool_calls": [call(number, arguments=f" piece {n}")]} for n in range(9)]
    seen: list[JsonObject] = []

    def look(parsed: JsonObject) -> bool:
        seen.append(parsed)
        return False

    stream = RelayStream(REQUEST, repair=look)
    for delta in deltas:
        assert stream.feed(frame(delta)) == frame(delta)
    assert len(seen) == len(["role", "text", "call", "arguments", "call", "arguments"])


SAID = '{"role":"assistant","content":"x"},"role":"assistant"'
ROLES = b"".join(
    [
        b": hi\n\n",
        frame({"role": "assistant", "content": ""}),
        *[frame({"role": "assistant", "content": f"é{n}"}) for n in range(4)],
        frame({"content": SAID, "role": "assistant"}),
        frame({"role": "assistant"}),
        frame({"role": "assistant", "content": ""}, finish="stop"),
        b"data: [DONE]\n\n",
    ]
)


def relayed(pieces: list[bytes], **body: object) -> list[JsonObject]:
    stream = RelayStream(ClientRequest(Operation.CHAT, "m", {"model": "m", **body}, stream=True))
    sent = b"".join(stream.feed(piece) for piece in pieces) + stream.close()
    assert stream.ended
    return choices_of(sent)


def test_roles_are_taken_out_alike_under_every_cut() -> None:
    by_event = relayed([each + b"\n\n" for each in ROLES.split(b"\n\n") if each])
    deltas = [each["delta"] for each in by_event]
    assert [delta.get("role") for delta in deltas] == ["assistant"] + [None] * (len(deltas) - 1)
    assert "".join(delta.get("content", "") for delta in deltas) == "é0é1é2é3" + SAID
    for cut in range(1, len(ROLES)):
        assert relayed([ROLES[:cut], ROLES[cut:]]) == by_event, cut
    assert relayed([ROLES[at : at + 1] for at in range(len(ROLES))]) == by_event


def test_roles_of_several_choices_all_pass() -> None:
    events = [frame({"role": "assistant", "content": "a"}, at) for at in (0, 1, 0, 1)]
    ends = [frame({}, at, "stop") for at in (0, 1)]
    chunks = relayed([*events, *ends, b"data: [DONE]\n\n"], n=2)
    assert [each["delta"].get("role") for each in chunks[:4]] == ["assistant", "assistant", None, None]


def test_arguments_that_are_an_object_become_text() -> None:
    """OpenAI's clients parse them, and would fail at what is no text."""
    parsed = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": {"x": [1, "é"]}}}
    assert added_up(orjson.loads(orjson.dumps(parsed))) == [("a", "f", '{"x":[1,"é"]}')]
    message: JsonObject = {"role": "assistant", "content": None, "tool_calls": [parsed]}
    choices: list[JsonObject] = [{"index": 0, "message": message, "finish_reason": "tool_calls"}]
    assert mend_calls(choices)
    assert message["tool_calls"][0]["function"]["arguments"] == '{"x":[1,"é"]}'
    assert not mend_calls(choices)


@pytest.mark.parametrize("function", [{"name": "f"}, {"name": "f", "arguments": None}, {"name": "f", "arguments": ""}])
def test_a_whole_call_without_arguments_has_an_empty_object(function: JsonObject) -> None:
    choices: list[JsonObject] = [{"message": {"tool_calls": [{"id": "a", "type": "function", "function": function}]}}]
    assert mend_calls(choices)
    assert function == {"name": "f", "arguments": "{}"}


def test_a_custom_call_without_input_is_left_as_it_is() -> None:
    choices: list[JsonObject] = [{"message": {"tool_calls": [{"id": "a", "custom": {"name": "f", "input": ""}}]}}]
    assert not mend_calls(choices)


def test_content_in_parts_becomes_text_in_whichever_choice_it_is() -> None:
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "h"}]}, {"type": "text", "text": "x"}]
    choices: list[JsonObject] = [{"message": {"content": parts}}, {"message": {"content": "y"}}, {"message": None}]
    assert mend_choices(choices)
    assert choices[0]["message"] == {"content": "x", "reasoning_content": "h"}
    assert not mend_choices(choices)


@pytest.mark.parametrize("choice", [{"finish_reason": "content_filter"}, {"message": None, "finish_reason": "stop"}])
def test_an_answer_of_which_nothing_is_left_has_a_message_all_the_same(choice: JsonObject) -> None:
    choices: list[JsonObject] = [choice, {"text": "of a text completion"}]
    assert mend_choices(choices)
    assert choice["message"] == {"role": "assistant", "content": None}
    assert "message" not in choices[1]


@pytest.mark.parametrize(("before", "after"), [("a", "ah"), (None, "h"), (5, "h")])
def test_what_was_thought_in_parts_follows_what_was_thought_before_them(before: object, after: str) -> None:
    said: JsonObject = {"content": [{"type": "thinking", "thinking": "h"}], "reasoning_content": before}
    assert mend_parts(said)
    assert said == {"content": None, "reasoning_content": after}
