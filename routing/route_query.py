"""What a plan must satisfy and the luck it is given. Pure values that a record keeps, so a choice can be repeated."""

from collections.abc import Callable
from typing import NamedTuple

from providers.types import Operation
from providers.values import quick_tuple

NOTHING: frozenset[str] = frozenset()


class RouteQuery(NamedTuple):
    """`model` is the client-facing name. `needs` are capability names (`tools`, `images`, `structured_output` …).
    `input_tokens` is an estimate, 0 when unknown, of the longest of several prompts; `max_output_tokens` those of one
    answer: each prompt and each answer has the context window to itself. A candidate must carry all `tags`. `sticky`
    keeps calls with the same text on the same deployment while it is eligible.
    """

    model: str
    operation: Operation = Operation.CHAT
    needs: frozenset[str] = NOTHING
    input_tokens: int = 0
    max_output_tokens: int | None = None
    tags: frozenset[str] = NOTHING
    sticky: str | None = None


class Draws(NamedTuple):
    """All chance of one plan: `uniform` for the strategy and `ramp` for recovering candidates, both in [0, 1);
    `turn` counts the plans made for a model."""

    uniform: float = 0.0
    ramp: float = 0.0
    turn: int = 0


class DrawSource:
    """Hands out `Draws`; `random` returns a number in [0, 1). Call it with names of configured models only: it keeps a
    counter for each."""

    __slots__ = ("_random", "_turns")

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._turns: dict[str, int] = {}

    def next(self, model: str) -> Draws:
        turn = self._turns.get(model, 0)
        self._turns[model] = turn + 1
        random = self._random
        return quick_tuple(Draws, (random(), random(), turn))
