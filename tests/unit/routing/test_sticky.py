from collections import Counter

import pytest

from routing.sticky import sticky_order
from tests.unit.routing.pools import candidate, ids

POOL = [candidate(id, spec={"weight": weight}) for id, weight in ((1, 1), (2, 1), (3, 2))]
USERS = [f"tenant/user-{number}" for number in range(6000)]


def first(key: str, pool: list, *, tiered: bool = False) -> int:
    return ids(sticky_order(key, pool, tiered=tiered))[0]


def test_callers_spread_by_weight():
    shares = Counter(first(user, POOL) for user in USERS)
    assert {id: count / len(USERS) for id, count in shares.items()} == pytest.approx(
        {1: 0.25, 2: 0.25, 3: 0.5}, abs=0.02
    )


def test_when_one_leaves_only_its_own_callers_move():
    for user in USERS[:500]:
        before = ids(sticky_order(user, POOL, tiered=False))
        after = ids(sticky_order(user, [each for each in POOL if each.deployment.id != 2], tiered=False))
        assert after == [id for id in before if id != 2]


def test_the_order_of_configuration_does_not_matter():
    assert all(first(user, POOL) == first(user, POOL[::-1]) for user in USERS[:200])


def test_tiers_come_before_preference():
    pool = [*POOL, candidate(4, spec={"priority": 0})]
    assert {first(user, pool, tiered=True) for user in USERS[:200]} == {4}
    assert {first(user, pool) for user in USERS[:200]} == {1, 2, 3, 4}


def test_weight_zero_is_nobodys_first_choice():
    pool = [candidate(1, spec={"weight": 0}), candidate(2)]
    assert {first(user, pool) for user in USERS[:200]} == {2}


def test_any_text_is_a_key():
    assert first("\ud800 \x00 ünï", POOL) in {1, 2, 3}
