"""What must hold for every request and every state of the upstreams."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.deployment_state import Candidate
from monitoring.upstream_state import UpstreamStates
from providers import errors
from routing.plan import RoutePlan, make_plan
from routing.route_query import Draws, DrawSource, RouteQuery
from routing.strategies import STRATEGIES, Balance, strategy_named
from tests.unit.routing.pools import candidate, credential, deployment, ids, prices, provider, recomputed

CAPABILITIES = ["tools", "images", "streaming", "reasoning"]
TAGS = ["eu", "gold"]
HARD = ["disabled", "draining", "held_open", "no_credential", "credential_cooling", "saturated"]
SOFT = ["breaker_open", "unhealthy", "credential_cooling"]

names = st.frozensets(st.sampled_from(CAPABILITIES))
tags = st.frozensets(st.sampled_from(TAGS))
strategies = st.sampled_from([*STRATEGIES.values(), strategy_named("balanced", Balance(price=5, load=2))])
fractions = st.floats(0, 1, exclude_max=True)
draws = st.builds(Draws, uniform=fractions, ramp=fractions, turn=st.integers(0, 10**6))
bars = st.one_of(
    st.just((None, False)),
    st.tuples(st.sampled_from(HARD), st.just(False)),
    st.tuples(st.sampled_from(SOFT), st.just(True)),
)


@st.composite
def candidates(draw: st.DrawFn, id: int) -> Candidate:
    of = provider(id, priority=draw(st.integers(1, 3)), weight=draw(st.integers(0, 5)), tags=draw(tags))
    bar, yields = draw(bars)
    price = st.none() | st.integers(0, 10**11)
    return candidate(
        id,
        of=of,
        spec={
            "model": draw(st.sampled_from(["a", "b"])),
            "weight": draw(st.integers(0, 5)),
            "priority": draw(st.none() | st.integers(1, 3)),
            "tags": draw(tags),
            "capabilities": draw(names),
            "context_window": draw(st.none() | st.integers(100, 2000)),
            "max_output_tokens": draw(st.none() | st.integers(10, 500)),
            "prices": prices(draw(price), draw(price)),
        },
        bar=bar,
        yields=yields,
        outstanding=draw(st.integers(0, 50)),
        ttft_s=draw(st.none() | st.floats(0, 100)),
        error_rate=draw(fractions),
        ramp=draw(st.sampled_from([1.0, 1.0, 0.1, 0.6])),
    )


pools = st.integers(0, 6).flatmap(lambda size: st.tuples(*[candidates(id) for id in range(1, size + 1)]))
queries = st.builds(
    RouteQuery,
    model=st.just("alias"),
    needs=names,
    tags=tags,
    input_tokens=st.integers(0, 2000),
    max_output_tokens=st.none() | st.integers(0, 2000),
    sticky=st.none() | st.text(max_size=5),
)


def serves(query: RouteQuery, each: Candidate) -> bool:
    """What the request asks for, said a second time and independently."""
    spec = each.deployment
    room = min(query.max_output_tokens or 0, spec.max_output_tokens or 10**9)
    return (
        (spec.context_window is None or query.input_tokens + room <= spec.context_window)
        and (not spec.capabilities or all(need in spec.capabilities for need in query.needs))
        and all(tag in spec.tags or tag in spec.provider.tags for tag in query.tags)
    )


@settings(max_examples=120, deadline=None)
@given(query=queries, pool=pools, strategy=strategies, draws=draws)
def test_never_chooses_an_ineligible_candidate_and_never_forgets_an_eligible_one(query, pool, strategy, draws):
    plan = make_plan(query, pool, strategy, draws)
    chosen = ids(plan.order)
    able = [each for each in pool if serves(query, each) and (each.bar is None or each.yields)]
    sound = [each for each in able if each.bar is None]
    panic = 2 * len(sound) < len(able)
    assert sorted(chosen) == sorted(ids(able if panic else sound))
    assert len(set(chosen)) == len(chosen)
    assert plan.panicked == (len(able) - len(sound) if panic else 0)
    assert set(chosen[: len(chosen) - plan.panicked]) == set(ids(sound)), "the sound come first"
    assert [reason is None for reason in plan.reasons] == [each.deployment.id in chosen for each in pool]
    assert recomputed(plan) == plan


@settings(max_examples=60, deadline=None)
@given(pool=pools, strategy=strategies, draws=draws, query=queries)
def test_every_strategy_only_reorders_and_explains_each_candidate(pool, strategy, draws, query):
    if len(pool) > 1:
        assert sorted(ids(strategy.order(query, pool, draws))) == ids(pool)
    if pool:
        assert len(strategy.terms(query, pool, draws)) == len(pool)


def test_ten_thousand_requests_recompute_to_the_identical_choice():
    """Through the live state, under traffic that fails, cools, opens and recovers."""
    random = Random(2024)
    clock = [0.0]
    states = UpstreamStates(lambda: clock[0], random.random)
    pool = [
        deployment(
            id,
            of=provider(
                id,
                priority=id % 3,
                weight=1 + id % 4,
                breaker_timeout_s=5.0,
                credentials=(credential(id), credential(id + 100)),
            ),
            prices=prices(id * 10**8, (11 - id) * 10**9) if id % 4 else prices(None, None),
            context_window=None if id % 5 == 0 else 1000 * id,
            capabilities=frozenset({"tools"}) if id % 2 else frozenset(),
            weight=id % 3,
        )
        for id in range(1, 11)
    ]
    failures = [
        errors.ServerFailed("x"), errors.Overloaded("x"), errors.RateLimited("x", retry_after_s=2.0),
        errors.ClientFault("x"), errors.CredentialRejected("x"), errors.UpstreamTimeout("x", phase="idle"),
    ]  # fmt: skip
    source = DrawSource(random.random)
    plans: list[RoutePlan] = []
    kept: list[tuple[int, ...]] = []
    for number in range(10_000):
        clock[0] += random.expovariate(5)
        query = RouteQuery(
            model="m",
            needs=frozenset({random.choice(["tools", "images"])}) if random.random() < 0.2 else frozenset(),
            input_tokens=random.randrange(6000),
            max_output_tokens=random.choice([None, 10, 2000]),
            sticky=f"u{random.randrange(50)}" if random.random() < 0.1 else None,
        )
        strategy = random.choice(list(STRATEGIES.values()))
        plan = make_plan(query, states.candidates(pool), strategy, source.next("m"))
        plans.append(plan)
        kept.append(tuple(ids(plan.order)))
        for target in plan.order[:2]:
            flight = states.on_start(target, states.pick_credential(target.provider))
            if random.random() < 0.8:
                states.on_first_token(flight, random.random())
            sick = target.id == number // 1000 + 1
            if random.random() < (0.95 if sick else 0.02):
                states.on_failure(flight, random.choice(failures))
            else:
                states.on_success(flight)
    assert len({reason for plan in plans for reason in plan.reasons}) >= 5, "the traffic met many states"
    assert any(plan.panicked for plan in plans)
    for plan, order in zip(plans, kept, strict=True):
        assert recomputed(plan) == plan
        assert tuple(ids(recomputed(plan).order)) == order
