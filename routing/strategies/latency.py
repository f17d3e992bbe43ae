"""The quicker of two drawn at random: running calls × average time to first token (Finagle's "peak EWMA").

Two random choices instead of the best of all, because all workers see the same best one and would bury it.
"""

from collections.abc import Sequence
from typing import ClassVar

from monitoring.deployment_state import Candidate
from routing.route_query import Draws, RouteQuery
from routing.strategies.base import Strategy, Terms

UNMEASURED_S = 1.0


def scores(candidates: Sequence[Candidate]) -> list[float]:
    """An unmeasured candidate counts as quick as the quickest measured one, so that it gets measured."""
    known = [each.ttft_s for each in candidates if each.ttft_s is not None]
    guess = min(known) if known else UNMEASURED_S
    return [(each.outstanding + 1) * (guess if each.ttft_s is None else each.ttft_s) for each in candidates]


def drawn(count: int, uniform: float) -> tuple[int, int]:
    """Two different indexes below `count`, every pair as likely: the rest of the first draw is the second."""
    scaled = uniform * count
    first = int(scaled)
    second = int((scaled - first) * (count - 1))
    return first, second + (second >= first)


class Latency(Strategy):
    name: ClassVar[str] = "latency"

    def order(self, query: RouteQuery, candidates: Sequence[Candidate], draws: Draws) -> list[Candidate]:
        score = scores(candidates)
        first, second = drawn(len(score), draws.uniform)
        if score[second] < score[first]:
            first = second
        ranked = sorted(range(len(score)), key=score.__getitem__)
        ranked.remove(first)
        return [candidates[first], *[candidates[index] for index in ranked]]

    def terms(self, query: RouteQuery, candidates: Sequence[Candidate], draws: Draws) -> list[Terms]:
        pair = drawn(len(candidates), draws.uniform)
        return [
            {
                "score": score,
                "outstanding": each.outstanding,
                "time_to_first_token": each.ttft_s,
                "drawn": int(index in pair),
            }
            for index, (each, score) in enumerate(zip(candidates, scores(candidates), strict=True))
        ]
