"""Shortens a conversation step by step until it fits: oldest turns, tool output, long texts, and last what is left. Pure.

Texts that stay are given back as they were, the very same objects; what is changed is copied.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from providers.types import JsonObject
from routing.condensation.layout import PINNED_ROLES, Layout, lay_out
from routing.condensation.policy import step
from routing.condensation.trimming import Piece, cap_tokens, pieces, replace_text, trim
from routing.estimation import message_tokens

KEPT_TURNS = 1
"""So many of the newest earlier turns are trimmed before they are dropped: a question often refers to the last answer."""
TOOL_ROLES = frozenset({"tool", "function"})

DROP_TURNS = "drop_turns"
TRIM_TOOLS = "trim_tools"
TRUNCATE = "truncate"
DROP_EXCHANGES = "drop_exchanges"
STEPS = (DROP_TURNS, TRIM_TOOLS, TRUNCATE, DROP_EXCHANGES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condensed:
    """`before` and `after` are estimated tokens of the messages; `dropped` the messages that are gone, in order, for a
    summary."""

    messages: list[JsonObject]
    before: int
    after: int
    steps: tuple[str, ...]
    dropped: tuple[JsonObject, ...]


def condense(messages: Sequence[JsonObject], *, target: int) -> Condensed:
    """As much of the conversation as fits into `target` tokens. When what must stay is larger than that, all that may
    go is gone. Deterministic."""
    work = _Work(messages, target)
    layout = lay_out(messages)
    early = max(len(layout.turns) - KEPT_TURNS, 0)
    work.drop(layout.turns[:early], DROP_TURNS)
    work.shorten(layout, TRIM_TOOLS, tools=True)
    work.shorten(layout, TRUNCATE, tools=False)
    work.drop(layout.turns[early:], DROP_TURNS)
    work.drop(layout.exchanges, DROP_EXCHANGES)
    return work.result()


def insert_note(messages: Sequence[JsonObject], text: str) -> list[JsonObject]:
    """The messages with a system message after the leading ones."""
    at = 0
    while at < len(messages) and messages[at]["role"] in PINNED_ROLES:
        at += 1
    return [*messages[:at], {"role": "system", "content": text}, *messages[at:]]


class _Work:
    def __init__(self, messages: Sequence[JsonObject], target: int) -> None:
        self._original = messages
        self._target = target
        self._kept: list[JsonObject | None] = list(messages)
        self._tokens = [message_tokens(message) for message in messages]
        self._before = self._after = sum(self._tokens)
        self._dropped: dict[str, int] = {}
        self._changed: dict[str, set[int]] = {}

    def drop(self, groups: Iterable[tuple[int, ...]], name: str) -> None:
        for group in groups:
            if self._after <= self._target:
                return
            for at in group:
                self._after -= self._tokens[at]
                self._kept[at] = None
            self._dropped[name] = self._dropped.get(name, 0) + 1

    def shorten(self, layout: Layout, name: str, *, tools: bool) -> None:
        """Cuts the longest texts of what is left: those of tools, or those of everybody else."""
        excess = self._after - self._target
        if excess <= 0:
            return
        found = [
            piece
            for at, message in enumerate(self._kept)
            if message is not None and not layout.untouchable(at) and (message["role"] in TOOL_ROLES) is tools
            for piece in pieces(at, message)
        ]
        cap = cap_tokens(found, excess)
        changed = {piece.message for piece in found if piece.tokens > cap and self._cut(piece, cap)}
        self._changed[name] = changed

    def _cut(self, piece: Piece, cap: int) -> bool:
        message = self._kept[piece.message]
        shorter = trim(piece.text, cap)
        if message is None or len(shorter) >= len(piece.text):
            return False
        self._kept[piece.message] = changed = replace_text(message, piece.part, shorter)
        tokens = message_tokens(changed)
        self._after += tokens - self._tokens[piece.message]
        self._tokens[piece.message] = tokens
        return True

    def _count(self, name: str) -> int:
        """Groups dropped, or messages shortened and still there."""
        still_there = [at for at in self._changed.get(name, ()) if self._kept[at] is not None]
        return self._dropped.get(name, 0) + len(still_there)

    def result(self) -> Condensed:
        return Condensed(
            messages=[message for message in self._kept if message is not None],
            before=self._before,
            after=self._after,
            steps=tuple(step(name, count) for name in STEPS if (count := self._count(name))),
            dropped=tuple(message for message, kept in zip(self._original, self._kept, strict=True) if kept is None),
        )
