"""Keeps one caller on one deployment: weighted rendezvous hashing, so that when one leaves or returns, only its own
callers move. Pure; no seed, so every worker agrees."""

import hashlib
import math
from collections.abc import Sequence

from monitoring.deployment_state import Candidate

_MASK = (1 << 64) - 1


def sticky_order(key: str, candidates: Sequence[Candidate], *, tiered: bool) -> list[Candidate]:
    """Best first for this key; with `tiered`, a better priority comes before any preference."""
    seed = int.from_bytes(hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")

    def rank(candidate: Candidate) -> tuple[int, float]:
        return candidate.deployment.tier if tiered else 0, _distance(seed, candidate)

    return sorted(candidates, key=rank)


def _distance(seed: int, candidate: Candidate) -> float:
    """-ln(u) / weight with u uniform in (0, 1]: the smallest wins in proportion to weight (rendezvous)."""
    weight = candidate.deployment.traffic_weight
    if weight <= 0:
        return float("inf")
    return -math.log(((_mix(seed ^ _mix(candidate.deployment.id)) >> 11) + 1) / (1 << 53)) / weight


def _mix(value: int) -> int:
    """The finaliser of splitmix64: neighbouring ids give unrelated numbers."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)
