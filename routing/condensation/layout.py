"""What of a conversation may be dropped, in which order, and what belongs together. Pure.

System and developer messages and the last message of the user stay. What came before the user's last turn goes a turn at
a time: a user's message with all that followed it. What the model has done since the last user message goes one exchange
at a time: a message of the assistant with the results of the tools it called. The newest exchange stays, because it is
what the model has to answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from providers.types import JsonObject

PINNED_ROLES = frozenset({"system", "developer"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Positions of messages. `turns` and `exchanges` may go, each as a whole, the oldest first; `question` is the last
    user message. What is in none of them stays, but all but the pinned and the question may be trimmed."""

    pinned: frozenset[int]
    question: int | None
    turns: tuple[tuple[int, ...], ...]
    exchanges: tuple[tuple[int, ...], ...]

    def untouchable(self, position: int) -> bool:
        return position in self.pinned or position == self.question


def lay_out(messages: Sequence[JsonObject]) -> Layout:
    pinned = frozenset(at for at, message in enumerate(messages) if message["role"] in PINNED_ROLES)
    question = next((at for at in range(len(messages) - 1, -1, -1) if messages[at]["role"] == "user"), None)
    owners = _owners(messages)
    turn_of = _turns(messages, owners)
    current = turn_of[question] if question is not None else (turn_of[-1] if turn_of else 0)
    turns: dict[int, list[int]] = {}
    exchanges: dict[int, list[int]] = {}
    for at in range(len(messages)):
        if at in pinned or at == question:
            continue
        if turn_of[at] == current:
            exchanges.setdefault(owners[at], []).append(at)
        else:
            turns.setdefault(turn_of[at], []).append(at)
    newest = max((at for group in exchanges.values() for at in group), default=-1)
    return Layout(
        pinned=pinned,
        question=question,
        turns=tuple(tuple(group) for group in turns.values()),
        exchanges=tuple(tuple(group) for group in exchanges.values() if newest not in group),
    )


def _owners(messages: Sequence[JsonObject]) -> list[int]:
    """For each message the position of the one it depends on: tool results on the nearest earlier call of their id."""
    owners = list(range(len(messages)))
    callers: dict[object, int] = {}
    for at, message in enumerate(messages):
        for name in _calls(message):
            callers[name] = at
        if message["role"] == "tool":
            owners[at] = callers.get(("call", message.get("tool_call_id")), at)
        elif message["role"] == "function":
            owners[at] = callers.get(("function", message.get("name")), at)
    return owners


def _calls(message: JsonObject) -> list[tuple[str, object]]:
    if message["role"] != "assistant":
        return []
    found: list[tuple[str, object]] = []
    calls = message.get("tool_calls")
    if isinstance(calls, list):
        found += [("call", call.get("id")) for call in calls if isinstance(call, dict)]
    legacy = message.get("function_call")
    if isinstance(legacy, dict):
        found.append(("function", legacy.get("name")))
    return found


def _turns(messages: Sequence[JsonObject], owners: Sequence[int]) -> list[int]:
    """A number for each message: that of its turn. Turns across which a call and its result are spread are one."""
    turn_of: list[int] = []
    turn = 0
    for message in messages:
        turn += message["role"] == "user"
        turn_of.append(turn)
    first = list(range(turn + 1))
    for at, owner in enumerate(owners):
        if turn_of[owner] != turn_of[at]:
            for each in range(turn_of[owner] + 1, turn_of[at] + 1):
                first[each] = min(first[each], first[turn_of[owner]])
    # A turn joined to one that was itself joined further back belongs there too.
    for each in range(turn + 1):
        first[each] = first[first[each]]
    return [first[each] for each in turn_of]
