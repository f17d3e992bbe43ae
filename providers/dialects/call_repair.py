"""Numbers the tool calls of a stream as OpenAI does. Pure; one per choice.

OpenAI's clients add up the deltas of a stream: strings are concatenated, and calls are told apart by their index. So an id
or a name that comes with every chunk turns into `call_acall_a`, and calls that all have index 0 (or none) are merged into
one. Here id and name pass once, and calls are numbered 0, 1, 2 … in the order in which their ids appear. Without ids
(Gemini's OpenAI-compatible address) a call that came whole is over, so what names a function after it is the next one.
Arguments that are an object become its text, and where none came `{}` follows: nobody can parse the empty text.
"""

from dataclasses import dataclass
from typing import Any

import orjson

from providers.types import JsonObject


@dataclass(slots=True)
class _Call:
    number: int
    id: str
    name: str
    is_whole: bool
    """It came with all its arguments in its first delta."""
    has_input: bool = False
    """Arguments came for it, or it is a custom tool's, whose input may be empty."""


class CallRepair:
    """`renumbers` is true once a call has another number than upstream gave it; `continues` while the latest deltas only
    went on with calls whose names and ids were known."""

    __slots__ = ("_by_index", "_calls", "continues", "renumbers")

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}
        self.continues = True
        self.renumbers = False

    def mend(self, deltas: list[Any]) -> bool:
        """Corrects the deltas in place; True when it changed something."""
        self.continues = True
        is_changed = False
        for delta in deltas:
            if isinstance(delta, dict):
                is_changed = self._mend(delta) or is_changed
        return is_changed

    def complete(self) -> list[JsonObject]:
        """What is still to be said when the answer is complete: the arguments of calls that came without any."""
        bare = [known for known in self._calls if not known.has_input]
        for known in bare:
            known.has_input = True
        return [{"index": known.number, "function": {"arguments": "{}"}} for known in bare]

    def _mend(self, delta: JsonObject) -> bool:
        is_written = _write_arguments(delta)
        return self._number(delta) or is_written

    def _number(self, delta: JsonObject) -> bool:
        index = delta["index"] if type(delta.get("index")) is int else None
        known = self._known(delta, index)
        if known is None:
            known, is_changed = self._open(delta)
        else:
            is_changed = bool(delta.get("id"))
            if is_changed:
                del delta["id"]
            is_changed = self._mend_name(delta, known) or is_changed
        if index is not None:
            self._by_index[index] = known
        known.has_input = known.has_input or "custom" in delta or bool(_called(delta).get("arguments"))
        if index == known.number:
            return is_changed
        delta["index"] = known.number
        self.renumbers = True
        return True

    def _known(self, delta: JsonObject, index: int | None) -> _Call | None:
        """The call this delta continues: the one of its id, else of its index, else the latest; None for a new one. A call
        that has a name is not followed by one without: an id that is new there came late, or is new in each chunk."""
        identifier = delta.get("id")
        for known in self._calls if identifier else ():
            if known.id == str(identifier):
                return known
        latest = self._calls[-1] if self._calls else None
        before = latest if index is None else self._by_index.get(index)
        if before is None:
            return None
        is_named = bool(_called(delta).get("name"))
        is_other = is_named or not before.name if identifier else is_named and before.is_whole
        return None if is_other else before

    def _open(self, delta: JsonObject) -> tuple[_Call, bool]:
        """The new call, and whether it had to be given an id."""
        self.continues = False
        number = len(self._calls)
        identifier = delta.get("id")
        called = _called(delta)
        name, is_whole = str(called.get("name") or ""), _is_object(called.get("arguments"))
        opened = _Call(number, str(identifier or f"call_{number}"), name, is_whole)
        self._calls.append(opened)
        is_changed = identifier != opened.id
        if is_changed:
            delta["id"] = opened.id
        return opened, is_changed

    def _mend_name(self, delta: JsonObject, known: _Call) -> bool:
        """Takes out a name that was already sent; another text is the rest of a name in pieces and stays."""
        called = _called(delta)
        name = called.get("name")
        if not name:
            return False
        self.continues = False
        if name == known.name:
            del called["name"]
            return True
        known.name += str(name)
        return False


def mend_calls(choices: list[JsonObject]) -> bool:
    """Gives calls of a whole answer that have no id the one they would have in a stream, and arguments that are an object
    the form of text; takes a list of none out. True when something changed."""
    is_changed = False
    for choice in choices:
        message = choice.get("message")
        calls = message.get("tool_calls") if isinstance(message, dict) else None
        if isinstance(message, dict) and calls == []:
            # vLLM's word for none, which OpenAI refuses when a client sends the turn back.
            del message["tool_calls"]
            is_changed = True
        for number, call in enumerate(calls if isinstance(calls, list) else ()):
            if isinstance(call, dict):
                is_changed = _write_arguments(call) | _write_none(call) or is_changed
                is_changed = is_changed or not call.get("id")
                call["id"] = call.get("id") or f"call_{number}"
    return is_changed


def _write_arguments(call: JsonObject) -> bool:
    """OpenAI's clients parse arguments themselves; TGI and some versions of llama.cpp have done it already."""
    called = _called(call)
    if not isinstance(called.get("arguments"), dict):
        return False
    called["arguments"] = orjson.dumps(called["arguments"]).decode()
    return True


def _write_none(call: JsonObject) -> bool:
    """Of a whole call, no arguments are an empty object: nobody can parse null, or an empty text."""
    function = call.get("function")
    if not isinstance(function, dict) or function.get("arguments"):
        return False
    function["arguments"] = "{}"
    return True


def _is_object(arguments: Any) -> bool:
    if not isinstance(arguments, str) or not arguments.startswith("{"):
        return False
    try:
        orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return False
    return True


def _called(delta: JsonObject) -> JsonObject:
    called: Any = delta.get("function") or delta.get("custom")
    return called if isinstance(called, dict) else {}
