from collections import Counter
from random import Random

import pytest

from monitoring.deployment_state import Candidate
from routing.plan import make_plan
from routing.route_query import Draws, RouteQuery
from routing.strategies import DEFAULT_STRATEGY, STRATEGIES, Balance, strategy_named
from routing.strategies.latency import drawn
from tests.unit.routing.pools import candidate, ids, prices, provider

QUERY = RouteQuery(model="m", input_tokens=1000)


def order(name: str, pool: list[Candidate], query: RouteQuery = QUERY, **draws: float) -> list[int]:
    return ids(STRATEGIES[name].order(query, pool, Draws(**draws)))


def terms(name: str, pool: list[Candidate], query: RouteQuery = QUERY, **draws: float) -> list[dict[str, float]]:
    return STRATEGIES[name].terms(query, pool, Draws(**draws))


def firsts(name: str, pool: list[Candidate], times: int = 20_000) -> dict[int, float]:
    random = Random(11)
    strategy = STRATEGIES[name]
    counts = Counter(
        strategy.order(QUERY, pool, Draws(uniform=random.random(), turn=turn))[0].deployment.id for turn in range(times)
    )
    return {id: count / times for id, count in counts.items()}


def test_the_registry_knows_all_by_name():
    assert set(STRATEGIES) == {
        "priority", "weighted", "round_robin", "least_busy", "latency", "cost", "balanced",
    }  # fmt: skip
    assert DEFAULT_STRATEGY in STRATEGIES
    assert strategy_named("cost") is STRATEGIES["cost"]
    assert strategy_named("balanced") is STRATEGIES["balanced"]
    assert strategy_named("balanced", Balance(price=1)).balance.price == 1
    with pytest.raises(KeyError):
        strategy_named("astrology")


# ----------------------------------------------------------------------------------------------------------- weighted


def test_weights_are_respected():
    pool = [candidate(1, spec={"weight": 1}), candidate(2, spec={"weight": 2}), candidate(3, of=provider(3, weight=3))]
    shares = firsts("weighted", pool)
    assert shares == pytest.approx({1: 1 / 6, 2: 2 / 6, 3: 3 / 6}, abs=0.015)
    assert [term["share"] for term in terms("weighted", pool)] == pytest.approx([1 / 6, 2 / 6, 3 / 6])


def test_the_second_choice_is_weighted_among_those_left():
    pool = [candidate(id, spec={"weight": id}) for id in (1, 2, 3)]
    random = Random(3)
    seconds = Counter()
    for _ in range(20_000):
        first, second, _ = order("weighted", pool, uniform=random.random())
        if first == 3:
            seconds[second] += 1
    assert seconds[2] / seconds.total() == pytest.approx(2 / 3, abs=0.02)


def test_weight_zero_comes_last_even_behind_the_drawn_places():
    pool = [candidate(id, spec={"weight": 0 if id in (1, 4) else 1}) for id in range(1, 9)]
    for tenth in range(10):
        assert set(order("weighted", pool, uniform=tenth / 10)[-2:]) == {1, 4}


def test_weights_that_are_all_zero_keep_the_configured_order():
    pool = [candidate(id, spec={"weight": 0}) for id in (3, 1, 2)]
    assert order("weighted", pool, uniform=0.9) == [3, 1, 2]
    assert [term["share"] for term in terms("weighted", pool)] == [0, 0, 0]


# ----------------------------------------------------------------------------------------------------------- priority


def test_a_lower_number_comes_first_and_a_deployments_own_wins():
    pool = [
        candidate(1, of=provider(1, priority=3)),
        candidate(2, of=provider(2, priority=2)),
        candidate(3, of=provider(3, priority=9), spec={"priority": 1}),
    ]
    assert order("priority", pool) == [3, 2, 1]
    assert [term["score"] for term in terms("priority", pool)] == [3, 2, 1]


def test_weights_are_respected_inside_a_tier():
    pool = [candidate(1, spec={"weight": 3}), candidate(2), candidate(3, spec={"priority": 2, "weight": 50})]
    assert firsts("priority", pool) == pytest.approx({1: 0.75, 2: 0.25}, abs=0.015)
    assert all(order("priority", pool, uniform=u / 10)[-1] == 3 for u in range(10))


def test_one_tier_is_a_weighted_choice():
    pool = [candidate(id, spec={"weight": id}) for id in (1, 2, 3)]
    assert order("priority", pool, uniform=0.4) == order("weighted", pool, uniform=0.4)


# -------------------------------------------------------------------------------------------------------- round robin


def test_takes_turns():
    pool = [candidate(id) for id in (1, 2, 3)]
    assert [order("round_robin", pool, turn=turn) for turn in range(4)] == [[1, 2, 3], [2, 3, 1], [3, 1, 2], [1, 2, 3]]
    assert [term["score"] for term in terms("round_robin", pool, turn=1)] == [2, 0, 1]


# --------------------------------------------------------------------------------------------------------- least busy


def test_the_least_busy_for_its_weight_comes_first():
    pool = [
        candidate(1, outstanding=3),
        candidate(2, outstanding=5, spec={"weight": 4}),
        candidate(3, outstanding=0, spec={"weight": 0}),
    ]
    assert order("least_busy", pool) == [2, 1, 3]
    assert [term["score"] for term in terms("least_busy", pool)] == [4, 1.5, float("inf")]


@pytest.mark.parametrize("name", ["least_busy", "cost", "balanced"])
def test_equal_bests_share_evenly(name):
    price = {"prices": prices(1, 1)}
    dear = {"prices": prices(10**9, 10**9)}
    pool = [
        candidate(1, spec=price),
        candidate(2, spec=dear, outstanding=9),
        candidate(3, spec=price),
        candidate(4, spec=price),
    ]
    assert firsts(name, pool) == pytest.approx({1: 1 / 3, 3: 1 / 3, 4: 1 / 3}, abs=0.015)


# ------------------------------------------------------------------------------------------------------------ latency


def test_every_pair_is_drawn_equally_often():
    random = Random(5)
    pairs = Counter(frozenset(drawn(4, random.random())) for _ in range(30_000))
    assert len(pairs) == 6
    assert all(len(pair) == 2 for pair in pairs)
    assert all(count / 30_000 == pytest.approx(1 / 6, abs=0.01) for count in pairs.values())


def test_the_quicker_of_two_wins_and_the_rest_follow_by_score():
    pool = [
        candidate(1, ttft_s=0.1, outstanding=9),
        candidate(2, ttft_s=0.4),
        candidate(3, ttft_s=0.2),
    ]
    assert terms("latency", pool)[0] == {"score": 1.0, "outstanding": 9, "time_to_first_token": 0.1, "drawn": 1}
    assert {tuple(order("latency", pool, uniform=u / 60)) for u in range(60)} == {(2, 3, 1), (3, 2, 1)}
    assert 1 not in firsts("latency", pool, 1000), "the slowest wins against nobody"


def test_the_unmeasured_count_as_quick_as_the_quickest():
    pool = [candidate(1, ttft_s=0.5), candidate(2), candidate(3, ttft_s=0.2)]
    assert [term["score"] for term in terms("latency", pool)] == [0.5, 0.2, 0.2]
    assert [term["score"] for term in terms("latency", [candidate(1, outstanding=2), candidate(2)])] == [3, 1]


# --------------------------------------------------------------------------------------------------------------- cost


def test_the_cheapest_for_this_request_comes_first_and_the_unknown_last():
    cheap_in = candidate(1, spec={"prices": prices(1_000_000, 50_000_000)})
    cheap_out = candidate(2, spec={"prices": prices(10_000_000, 10_000_000)})
    unknown = candidate(3, spec={"prices": prices(1, None)})
    half_known = candidate(4, spec={"prices": prices(None, 1)})
    pool = [unknown, cheap_in, cheap_out, half_known]
    assert order("cost", pool, RouteQuery(model="m", input_tokens=100_000, max_output_tokens=10)) == [1, 2, 3, 4]
    assert order("cost", pool, RouteQuery(model="m", input_tokens=10))[:2] == [2, 1]
    assert order("cost", pool, RouteQuery(model="m", input_tokens=10, max_output_tokens=10**6))[:2] == [2, 1]


def test_the_terms_of_cost_are_dollars():
    dollar_in, dollar_out = candidate(1, spec={"prices": prices(10**9, 2 * 10**9)}), candidate(2)
    known, unknown = terms("cost", [dollar_in, dollar_out])
    assert known["expected_cost_usd"] == pytest.approx(0.003)
    assert (known["input_usd_per_mtok"], known["output_usd_per_mtok"]) == (1, 2)
    assert unknown["score"] == float("inf")
    assert (unknown["expected_cost_usd"], unknown["input_usd_per_mtok"], unknown["output_usd_per_mtok"]) == (None,) * 3


# ----------------------------------------------------------------------------------------------------------- balanced


def test_balances_price_latency_errors_and_load():
    good = {"prices": prices(1, 1)}
    bad = {"prices": prices(4, 4)}
    pool = [
        candidate(1, spec=bad, ttft_s=0.1),
        candidate(2, spec=good, ttft_s=0.1, error_rate=1.0),
        candidate(3, spec=good, ttft_s=0.1, outstanding=4),
        candidate(4, spec=good, ttft_s=0.4),
    ]
    assert order("balanced", pool)[0] == 3, "load weighs least"
    first = terms("balanced", pool)[0]
    assert first == pytest.approx({"score": 0.375, "price": 0.3, "latency": 0.075, "errors": 0.0, "load": 0.0})


def test_the_weights_of_the_balance_are_configurable():
    pool = [
        candidate(1, spec={"prices": prices(9, 9)}, ttft_s=0.1),
        candidate(2, spec={"prices": prices(1, 1)}, ttft_s=0.9),
    ]
    cheap = strategy_named("balanced", Balance(price=1, latency=0, errors=0, load=0))
    quick = strategy_named("balanced", Balance(price=0, latency=1, errors=0, load=0))
    assert ids(cheap.order(QUERY, pool, Draws())) == [2, 1]
    assert ids(quick.order(QUERY, pool, Draws())) == [1, 2]


def test_the_unknown_is_neither_praised_nor_blamed():
    pool = [candidate(1, ttft_s=0.1), candidate(2), candidate(3, ttft_s=0.9)]
    assert order("balanced", pool) == [1, 2, 3]


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_score_explains_the_order_of_scoring_strategies(name):
    random = Random(name)
    for _ in range(50):
        pool = [
            candidate(
                id,
                spec={"prices": prices(random.randrange(9), random.randrange(9)), "priority": random.randrange(3)},
                outstanding=random.randrange(4),
                ttft_s=random.random(),
            )
            for id in range(1, 6)
        ]
        draws = Draws(uniform=random.random(), turn=random.randrange(9))
        made = make_plan(QUERY, pool, STRATEGIES[name], draws)
        explained = zip(pool, terms(name, pool, **draws._asdict()), strict=True)
        scores = {each.deployment.id: term.get("score", 0) for each, term in explained}
        ranked = [scores[id] for id in ids(made.order)]
        if name == "latency":
            ranked = ranked[1:]
        assert ranked == sorted(ranked)
