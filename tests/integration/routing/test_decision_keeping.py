"""Which decisions are written down, by whom they may be read, and what happens when the database is away."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError

from monitoring.credential_state import ANONYMOUS
from routing.call import Attempt
from routing.decision_keeping import BATCH, DecisionKeeper, Kept, prune_decisions, write_decisions
from routing.decisions import Decision
from routing.models import RouteDecisionRecord
from routing.plan import make_plan
from routing.route_query import Draws, RouteQuery
from routing.strategies import DEFAULT_STRATEGY, STRATEGIES
from tests.unit.routing.pools import candidate


def decision(*outcomes: str, request_id: str = "req_1", started_at: float = 1_790_000_000.0) -> Decision:
    found = Decision(request_id, "m", 3, started_at, "team:1")
    pool = [candidate(1), candidate(2)]
    found.plans.append(make_plan(RouteQuery(model="m"), pool, STRATEGIES[DEFAULT_STRATEGY], Draws()))
    for number, outcome in enumerate(outcomes, 1):
        target = pool[number - 1].deployment
        attempt = Attempt(number=number, deployment=target, credential=ANONYMOUS, started_at=0.0, outcome=outcome)
        found.attempts.append(attempt)
    return found


def keeper(draw: float = 1.0) -> tuple[DecisionKeeper, list[Kept]]:
    written: list[Kept] = []
    return DecisionKeeper(write=written.extend, draw=lambda: draw), written


@pytest.mark.parametrize("outcomes", [(), ("timeout",), ("timeout", "success")])
async def test_failures_and_failovers_are_kept(outcomes: tuple[str, ...]) -> None:
    kept, written = keeper()
    kept.finished(decision(*outcomes))
    await kept.aclose()
    assert [each.why for each in written] == ["failure"]


async def test_of_quiet_requests_only_a_sample_is_kept() -> None:
    kept, written = keeper(draw=0.5)
    kept.finished(decision("success"))
    kept.finished(decision("client_gone"))
    await kept.aclose()
    assert written == []
    kept, written = keeper(draw=0.001)
    kept.finished(decision("success"))
    await kept.aclose()
    assert [each.why for each in written] == ["sample"]


async def test_more_than_a_batch_is_dropped_and_counted() -> None:
    kept, written = keeper()
    for _ in range(BATCH + 5):
        kept.finished(decision("timeout"))
    await kept.aclose()
    assert (len(written), kept.dropped) == (BATCH, 5)


async def test_a_database_that_is_away_costs_decisions_and_nothing_else() -> None:
    def fail(batch: Sequence[Kept]) -> None:
        raise DatabaseError("away")

    kept = DecisionKeeper(write=fail)
    kept.asked_for(decision("success"))
    await kept.aclose()
    assert kept.dropped == 1


@pytest.mark.django_db
def test_a_decision_is_written_once_and_whole() -> None:
    first = decision("timeout", "success")
    write_decisions([Kept(first, "failure")])
    write_decisions([Kept(first, "asked")])
    (row,) = RouteDecisionRecord.objects.all()
    assert (row.request_id, row.tenant, row.revision, row.kept_for) == ("req_1", "team:1", 3, "failure")
    assert row.decision == first.render()


@pytest.mark.django_db
def test_old_decisions_are_forgotten() -> None:
    old = (datetime.now(UTC) - timedelta(days=8)).timestamp()
    new = datetime.now(UTC).timestamp()
    write_decisions(
        [
            Kept(decision(request_id="req_old", started_at=old), "failure"),
            Kept(decision(request_id="req_new", started_at=new), "failure"),
        ]
    )
    prune_decisions()
    assert [row.request_id for row in RouteDecisionRecord.objects.all()] == ["req_new"]
