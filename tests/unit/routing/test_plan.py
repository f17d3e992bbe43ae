import pytest

from monitoring.deployment_state import Candidate
from routing.plan import RoutePlan, could_have_served, make_plan
from routing.route_query import Draws, DrawSource, RouteQuery
from routing.strategies import STRATEGIES
from tests.unit.routing.pools import candidate, ids, provider, recomputed

QUERY = RouteQuery(model="m")
PRIORITY = STRATEGIES["priority"]


def plan(*candidates: Candidate, query: RouteQuery = QUERY, strategy: str = "round_robin", **draws: float) -> RoutePlan:
    return make_plan(query, candidates, STRATEGIES[strategy], Draws(**draws))


def down(id: int, bar: str = "breaker_open", **state: object) -> Candidate:
    return candidate(id, bar=bar, yields=True, **state)


def test_one_candidate_is_its_own_plan():
    made = plan(candidate(1))
    assert (ids(made.order), made.reasons) == ([1], (None,))


def test_those_the_request_suited_could_have_served_it_whatever_their_state():
    plans = [plan(down(1), candidate(2, bar="saturated"), candidate(3, spec={"context_window": 10}), candidate(4))]
    assert ids(could_have_served(plans)) == [1, 2, 3, 4]
    plans = [plan(*plans[0].candidates, query=RouteQuery(model="m", input_tokens=11))]
    assert ids(could_have_served(plans)) == [1, 2, 4]


def test_nobody_makes_an_empty_plan():
    assert plan().order == ()


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({}, None),
        ({"capabilities": frozenset({"chat", "images"})}, "missing_capability:tools"),
        ({"capabilities": frozenset({"chat", "images", "tools"})}, None),
    ],
)
def test_excludes_who_lacks_a_capability_and_admits_who_is_unknown(spec, reason):
    made = plan(candidate(1, spec=spec), query=RouteQuery(model="m", needs=frozenset({"tools", "images"})))
    assert made.reasons == (reason,)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({}, None),
        ({"context_window": 1500}, None),
        ({"context_window": 1499}, "context_window"),
        ({"context_window": 1499, "max_output_tokens": 400}, None),
        ({"context_window": 1399, "max_output_tokens": 400}, "context_window"),
    ],
)
def test_excludes_who_cannot_hold_the_conversation_and_its_answer(spec, reason):
    made = plan(candidate(1, spec=spec), query=RouteQuery(model="m", input_tokens=1000, max_output_tokens=500))
    assert made.reasons == (reason,)


def test_without_a_wish_only_the_input_has_to_fit():
    assert plan(candidate(1, spec={"context_window": 10}), query=RouteQuery(model="m", input_tokens=10)).order


@pytest.mark.parametrize(
    ("tags", "provider_tags", "reason"),
    [({"eu", "gold"}, set(), None), ({"eu"}, {"gold"}, None), ({"eu"}, set(), "tags"), (set(), set(), "tags")],
)
def test_all_tags_must_be_carried_by_deployment_or_provider(tags, provider_tags, reason):
    of = provider(1, tags=frozenset(provider_tags))
    made = plan(
        candidate(1, of=of, spec={"tags": frozenset(tags)}),
        query=RouteQuery(model="m", tags=frozenset({"eu", "gold"})),
    )
    assert made.reasons == (reason,)


def test_names_the_reason_of_each_exclusion():
    made = plan(candidate(1), candidate(2, bar="held_open"), down(3), candidate(4))
    assert made.reasons == (None, "held_open", "breaker_open", None)
    assert made.panicked == 0


def test_ejects_up_to_half_of_a_pool():
    assert ids(plan(candidate(1), down(2)).order) == [1]
    assert ids(plan(candidate(1), candidate(2), down(3), down(4)).order) == [1, 2]


def test_beyond_half_admits_all_with_the_ejected_last():
    made = plan(down(1), candidate(2), down(3, "unhealthy"))
    assert (ids(made.order), made.panicked) == ([2, 1, 3], 2)
    assert made.reasons == (None, None, None)
    assert [made.is_sound(position) for position in range(4)] == [True, False, False, False]


@pytest.mark.parametrize("bar", ["breaker_open", "unhealthy", "credential_cooling"])
def test_the_only_candidate_is_never_blocked_by_a_verdict(bar):
    made = plan(down(1, bar))
    assert (ids(made.order), made.panicked) == ([1], 1)


@pytest.mark.parametrize(
    "bar", ["disabled", "draining", "held_open", "no_credential", "credential_cooling", "saturated"]
)
def test_what_does_not_yield_blocks_even_the_only_candidate(bar):
    made = plan(candidate(1, bar=bar))
    assert (made.order, made.reasons) == ((), (bar,))


def test_the_unfit_are_no_part_of_the_pool_whose_half_is_counted():
    tools = {"capabilities": frozenset({"tools"})}
    query = RouteQuery(model="m", needs=frozenset({"tools"}))
    blind = {"capabilities": frozenset({"chat"})}
    made = plan(
        candidate(1, spec=blind),
        candidate(2, spec=blind),
        candidate(3, spec=tools, bar="unhealthy", yields=True),
        query=query,
    )
    assert ids(made.order) == [3]
    unfit_and_down = plan(candidate(1, spec=blind, bar="unhealthy", yields=True), query=query)
    assert unfit_and_down.reasons == ("missing_capability:tools",)


def test_a_recovering_candidate_gets_its_share_and_is_kept_behind_otherwise():
    pool = [candidate(1, ramp=0.3), candidate(2), candidate(3, ramp=0.6)]
    assert ids(plan(*pool, ramp=0.29).order) == [1, 2, 3]
    assert ids(plan(*pool, ramp=0.3).order) == [2, 3, 1]
    assert ids(plan(*pool, ramp=0.9).order) == [2, 1, 3]
    assert ids(plan(candidate(1, ramp=0.1), ramp=0.9).order) == [1]


def test_recovering_candidates_count_as_whole_when_half_is_ejected():
    assert ids(plan(candidate(1, ramp=0.1), down(2), ramp=0.5).order) == [1]


def test_passes_over_a_position_that_was_barred_after_planning():
    made = plan(candidate(1), candidate(2), down(3), down(4), down(5))
    assert made.skips(0, "breaker_open", yields=True)
    assert not made.skips(0, None, yields=False)
    assert not made.skips(2, "breaker_open", yields=True), "known already"
    alone = plan(candidate(1))
    assert not alone.skips(0, "breaker_open", yields=True), "nobody else is left"
    assert alone.skips(0, "held_open", yields=False)


def test_sticky_callers_return_to_the_same_deployment_whatever_the_draw():
    query = RouteQuery(model="m", sticky="user-1")
    pool = [candidate(id) for id in range(1, 6)]
    orders = {tuple(ids(plan(*pool, query=query, strategy="weighted", uniform=u / 10).order)) for u in range(10)}
    assert len(orders) == 1


def test_a_plan_is_made_again_from_its_own_record():
    made = plan(candidate(1), candidate(2), down(3), strategy="weighted", uniform=0.7)
    assert recomputed(made) == made


def test_draws_are_fresh_and_turns_count_per_model():
    source = DrawSource(iter([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]).__next__)
    assert source.next("a") == Draws(uniform=0.1, ramp=0.2, turn=0)
    assert source.next("b").turn == 0
    assert source.next("a").turn == 1
