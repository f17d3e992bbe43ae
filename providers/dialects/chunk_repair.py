"""Brings the stream chunks of loosely compatible servers back to OpenAI's rules. Pure; one per stream.

OpenAI's clients add up the deltas of a stream: strings are concatenated, and tool calls are told apart by their index.
So a role, an id or a name that comes with every chunk turns into `assistantassistant`, and calls that all have index 0
(or none) are merged into one. Here role, id and name pass once, and calls are numbered 0, 1, 2 … in the order in which
their ids appear.

A chunk with a role or a tool call always counts as changed, or the relay would take it for a pattern by which later ones
pass unseen; what only carries text is left to pass as the bytes it came in.
"""

from dataclasses import dataclass, field

from providers.dialects.relay import RelayStream, Repair, expected_choices
from providers.types import ClientRequest, JsonObject

_ROLE = b'"role":"assistant"'


@dataclass(slots=True)
class _Call:
    number: int
    id: str
    name: str = ""


@dataclass(slots=True)
class _Choice:
    has_role: bool = False
    calls: list[_Call] = field(default_factory=list)
    by_index: dict[int, _Call] = field(default_factory=dict)


class ChunkRepair:
    """A `Repair` for chat streams; `also` is the provider's own, which sees each chunk first."""

    def __init__(self, also: Repair | None = None) -> None:
        self._also = also
        self._choices: dict[int, _Choice] = {}

    @property
    def has_role(self) -> bool:
        """True once any choice has said its role."""
        return any(choice.has_role for choice in self._choices.values())

    def __call__(self, chunk: JsonObject) -> bool:
        is_changed = self._also is not None and self._also(chunk)
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            delta = choice.get("delta") if isinstance(choice, dict) else None
            if isinstance(delta, dict) and delta:
                index = choice.get("index")
                state = self._choices.setdefault(index if isinstance(index, int) else 0, _Choice())
                is_changed = _repair_delta(delta, state) or is_changed
        return is_changed


def _repair_delta(delta: JsonObject, state: _Choice) -> bool:
    has_role = "role" in delta
    if has_role:
        if state.has_role:
            del delta["role"]
        state.has_role = True
    calls = delta.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        if isinstance(call, dict):
            _repair_call(call, state)
    return has_role or bool(calls)


def _repair_call(call: JsonObject, state: _Choice) -> None:
    index = call.get("index") if isinstance(call.get("index"), int) else None
    known = _known_call(call, index, state)
    if known is None:
        known = _open_call(call, state)
    else:
        call.pop("id", None)
        _repair_name(call, known)
    if index is not None:
        state.by_index[index] = known
    call["index"] = known.number


def _known_call(call: JsonObject, index: int | None, state: _Choice) -> _Call | None:
    """The call this delta continues: the one of its id, else of its index, else the latest; None for a new one."""
    if call.get("id"):
        return next((known for known in state.calls if known.id == str(call["id"])), None)
    if index is not None:
        return state.by_index.get(index)
    return state.calls[-1] if state.calls else None


def _open_call(call: JsonObject, state: _Choice) -> _Call:
    number = len(state.calls)
    opened = _Call(number, str(call.get("id") or f"call_{number}"))
    state.calls.append(opened)
    call["id"] = opened.id
    function = call.get("function")
    if isinstance(function, dict):
        opened.name = str(function.get("name") or "")
    return opened


def _repair_name(call: JsonObject, known: _Call) -> None:
    """Takes out a name that was already sent; another text is the rest of a name in pieces and stays."""
    function = call.get("function")
    if not isinstance(function, dict) or not function.get("name"):
        return
    if function["name"] == known.name:
        del function["name"]
    else:
        known.name += str(function["name"])


class RepairedRelay(RelayStream):
    """A relay whose chunks are repaired, without parsing those of which the only fault is a repeated role.

    Quotes inside a JSON string are escaped, so these bytes are a key and its value wherever they stand. Where a read cuts
    them apart they stay, and the chunk is repaired the long way.
    """

    __slots__ = ("_chunks", "_strips_roles")

    def __init__(self, request: ClientRequest, *, also: Repair | None = None) -> None:
        self._chunks = ChunkRepair(also)
        self._strips_roles = expected_choices(request.body) == 1
        super().__init__(request, repair=self._chunks)

    def feed(self, data: bytes) -> bytes:
        if self._strips_roles and _ROLE in data and self._chunks.has_role:
            data = data.replace(_ROLE + b",", b"").replace(b"," + _ROLE, b"")
        return super().feed(data)
