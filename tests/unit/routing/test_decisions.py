import json
from types import SimpleNamespace

from monitoring.credential_state import ANONYMOUS
from monitoring.deployment_state import Candidate
from proxy_site.live_worker import WorkerLiveState
from routing.decisions import Decision, DecisionRing
from routing.plan import RoutePlan, make_plan
from routing.route_query import Draws, RouteQuery
from routing.strategies import STRATEGIES
from tests.unit.routing.pools import candidate, credential, prices


def plan(*pool: Candidate, strategy: str = "cost", sticky: str | None = None) -> RoutePlan:
    query = RouteQuery(model="m", input_tokens=1000, tags=frozenset(), needs=frozenset({"tools"}), sticky=sticky)
    return make_plan(query, pool, STRATEGIES[strategy], Draws(uniform=0.25, ramp=0.5, turn=3))


def attempt(of: Candidate, **fields: object) -> SimpleNamespace:
    made = {
        "deployment": of.deployment, "credential": ANONYMOUS, "started_at": 1.0, "outcome": "ok", "status": 200,
        "duration_s": 2.0, "first_token_s": None, "message": "", "then": None,
    }  # fmt: skip
    return SimpleNamespace(**{**made, **fields})


CHEAP = candidate(1, spec={"prices": prices(10**9, 10**9)}, ttft_s=0.2, outstanding=3)
UNPRICED = candidate(2)
OUT = candidate(3, bar="held_open")


def test_renders_what_the_contract_promises():
    decision = Decision("req_1", "m", 7, started_at=5.0)
    decision.plans.append(plan(CHEAP, UNPRICED, OUT))
    failed = attempt(CHEAP, outcome="timeout", status=None, then="next", message="slow", credential=credential(1))
    decision.attempts += [failed, attempt(UNPRICED, first_token_s=1.5)]
    shown = decision.render()
    assert json.loads(json.dumps(shown, allow_nan=False)) == shown
    assert (shown["request_id"], shown["model"], shown["revision"], shown["strategy"]) == ("req_1", "m", 7, "cost")
    assert shown["order"] == ["p1/u1", "p2/u2"]
    first, second, third = shown["candidates"]
    assert (first["deployment"], first["provider"], first["excluded"]) == ("p1/u1", "p1", None)
    assert first["score"] == 2000 * 10**9
    assert first["terms"]["expected_cost_usd"] == 0.002
    assert first["state"] == {
        "bar": None, "outstanding": 3, "time_to_first_token": 0.2, "error_rate": 0.0, "ramp": 1.0,
    }  # fmt: skip
    assert second["score"] is None, "infinitely dear, which JSON cannot say"
    assert (third["excluded"], third["score"], third["terms"]) == ("held_open", None, {})
    assert shown["attempts"][0] == {
        "provider": "p1", "deployment": "p1/u1", "outcome": "timeout", "status": None, "started": 1.0, "duration": 2.0,
        "time_to_first_token": None, "credential": "key-1", "then": "next", "message": "slow",
    }  # fmt: skip
    assert shown["attempts"][1]["time_to_first_token"] == 0.5
    assert shown["attempts"][1]["message"] is None
    assert shown["draws"] == {"uniform": 0.25, "ramp": 0.5, "turn": 3}


def test_after_a_fallback_each_plan_names_the_route_it_was_made_for():
    decision = Decision("req_1", "asked-for", 7)
    for route in ("asked-for", "fallback"):
        made = plan(CHEAP)
        decision.plans.append(made._replace(query=made.query._replace(model=route)))
    shown = decision.render()
    assert (shown["model"], shown["route"]) == ("asked-for", "fallback")
    assert [(each["model"], each["route"]) for each in shown["before"]] == [("asked-for", "asked-for")]


def test_never_shows_secrets_or_the_callers_name():
    decision = Decision("req_1", "m", 7)
    decision.plans.append(plan(CHEAP, UNPRICED, sticky="alice"))
    decision.attempts.append(attempt(CHEAP, credential=credential(1, secret="hunter2")))
    assert "hunter2" not in json.dumps(decision.render())
    assert "alice" not in json.dumps(decision.render())


def test_shows_the_last_plan_and_those_before_it():
    decision = Decision("req_1", "m", 7)
    decision.plans += [plan(OUT), plan(CHEAP)]
    shown = decision.render()
    assert shown["order"] == ["p1/u1"]
    assert [before["order"] for before in shown["before"]] == [[]]


def test_the_name_asked_for_stays_on_top_when_a_fallback_was_planned():
    decision = Decision("req_1", "asked", 7)
    decision.plans.append(plan(CHEAP))
    assert decision.render()["model"] == "asked"


def test_a_request_that_was_never_planned_renders_too():
    shown = Decision("req_1", "m", 7).render()
    assert (shown["candidates"], shown["order"], shown["attempts"]) == ([], [], [])


def test_shows_who_was_admitted_against_better_knowledge():
    decision = Decision("req_1", "m", 7)
    decision.plans.append(plan(candidate(1, bar="breaker_open", yields=True)))
    assert decision.render()["panicked"] == ["p1/u1"]


def test_the_ring_forgets_the_oldest():
    ring = DecisionRing(size=2)
    for number in range(3):
        ring.add(Decision(f"req_{number}", "m", 1))
    assert ring.get("req_0") is None
    assert [decision.request_id for decision in ring] == ["req_2", "req_1"]
    assert ring.get("req_1").request_id == "req_1"
    assert len(ring) == 2


def test_who_repeats_the_id_of_another_tenant_takes_no_decision_away():
    ring = DecisionRing()
    mine, older, others = (Decision("req_1", model, 1, tenant=tenant) for model, tenant in
                           (("mine", "team:1"), ("older", "team:2"), ("newer", "team:2")))  # fmt: skip
    for decision in (mine, older, others):
        ring.add(decision)
    assert ring.get("req_1", "team:1") is mine
    assert ring.get("req_1", "team:2") is ring.get("req_1") is others
    assert ring.get("req_1", "team:3") is None


def test_a_decision_that_another_tenant_asks_for_is_neither_shown_nor_kept():
    ring, asked = DecisionRing(), []
    gateway = SimpleNamespace(decisions=ring, kept=SimpleNamespace(asked_for=asked.append))
    state = WorkerLiveState(SimpleNamespace(gateway=gateway))
    ring.add(mine := Decision("req_1", "m", 1, tenant="team:1"))
    assert (state.decision("req_1", "team:2"), asked) == (None, [])
    assert state.decision("req_1", "team:1") == state.decision("req_1") == mine.render()
    assert asked == [mine, mine]


def test_a_busy_ring_is_short_and_a_quiet_one_is_long():
    ring = DecisionRing(size=100, busy_size=10)
    for number in range(60):
        ring.add(Decision(f"quiet-{number}", "m", 1, started_at=number * 2.0))
    assert len(ring) == 60
    for number in range(300):
        ring.add(Decision(f"busy-{number}", "m", 1, started_at=200.0 + number / 1000))
    assert len(ring) == 10
    assert ring.get("busy-299") is not None


def test_in_a_rush_the_ring_is_shorter_still():
    ring = DecisionRing(size=100, busy_size=10, rush_size=3)
    for number in range(60):
        ring.add(Decision(f"busy-{number}", "m", 1, started_at=number / 20))
    assert len(ring) == 10
    for number in range(60):
        ring.add(Decision(f"rush-{number}", "m", 1, started_at=6 + number / 1000))
    assert [decision.request_id for decision in ring] == ["rush-59", "rush-58", "rush-57"]
