import asyncio
import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from monitoring.breaker import BreakerState
from monitoring.credential_state import ANONYMOUS
from monitoring.event_recorder import EventRecorder
from monitoring.health_refresher import HealthNews, HealthRefresher, News, OperatorNews
from monitoring.upstream_state import UpstreamStates
from providers.errors import CredentialRejected, ServerFailed
from tests.unit.routing.pools import deployment, provider

T0 = datetime(2026, 1, 1, tzinfo=UTC)
P = provider(1)
ONE, TWO = deployment(1, of=P), deployment(2, of=P)


@pytest.fixture
def states() -> UpstreamStates:
    states = UpstreamStates(lambda: 1000.0, lambda: 0.5)
    states.sync([ONE, TWO, deployment(3)])
    return states


def news(status="healthy", *, passed=True, second=0.0, deployment_id=None, provider_id=1, fresh_s=30.0) -> News:
    at, fresh_until = T0 + timedelta(seconds=second), timezone.now() + timedelta(seconds=fresh_s)
    return News([HealthNews(provider_id, deployment_id, status, passed, at, at, fresh_until)], [])


def refresher(states, *answers) -> HealthRefresher:
    """Reads the next answer at each poll; exceptions are raised."""
    waiting = list(answers)
    asked = []

    def read(since, after):
        asked.append((since, after))
        answer = waiting.pop(0) if waiting else News([], [])
        if isinstance(answer, Exception):
            raise answer
        return answer

    made = HealthRefresher(states, read=read, interval_s=0.01)
    made.asked = asked
    return made


def healths(states) -> list[str]:
    return [state.snapshot(1000.0, 0.0).health for state in states]


async def test_a_poll_brings_health_into_the_states(states):
    refresher_ = refresher(states, news("unhealthy", passed=False))
    await refresher_.refresh()
    assert healths(states) == ["unhealthy", "unhealthy", "unknown"]
    assert [candidate.bar for candidate in states.candidates([ONE, TWO])] == ["unhealthy"] * 2
    assert refresher_.fresh_results == 1


async def test_results_are_fresh_until_their_time_is_over_or_they_are_cleared(states):
    answers = [news(), news(provider_id=2), news(provider_id=3, fresh_s=-1.0), news(deployment_id=2), news(fresh_s=0.0)]
    refresher_ = refresher(states, *answers)
    for _ in range(4):
        await refresher_.refresh()
    assert refresher_.fresh_results == 2
    await refresher_.refresh()
    assert refresher_.fresh_results == 1


async def test_a_deployments_own_health_stays_its_own(states):
    await refresher(states, news("unhealthy", passed=False, deployment_id=2)).refresh()
    assert healths(states) == ["unknown", "unhealthy", "unknown"]


async def test_polls_ask_only_for_what_is_new(states):
    refresher_ = refresher(states, news(second=100), News([], [OperatorNews(9, "", None)]), news(second=200))
    for _ in range(3):
        await refresher_.refresh()
    newest = T0 + timedelta(seconds=100)
    assert refresher_.asked[0] == (None, None)
    assert refresher_.asked[1][0] is not None
    assert newest - timedelta(seconds=30) < refresher_.asked[1][0] < newest
    assert refresher_.asked[2][1] == 9


async def test_a_new_table_gets_what_is_known(states):
    refresher_ = refresher(states, news("unhealthy", passed=False))
    await refresher_.refresh()
    states.sync([])
    states.sync([ONE])
    assert healths(states) == ["unknown"]
    refresher_.reapply()
    assert healths(states) == ["unhealthy"]


def open_breaker(states) -> None:
    for _ in range(5):
        states.on_failure(states.on_start(ONE, ANONYMOUS), ServerFailed("x"))


def state_of(states) -> BreakerState:
    found = states.find(1)
    assert found is not None
    return found.breaker.state(1000.0)


async def test_two_passes_after_the_opening_allow_a_trial_and_close_nothing(states):
    open_breaker(states)
    refresher_ = refresher(states, news(second=1), news(second=1), news(second=6))
    await refresher_.refresh()
    await refresher_.refresh()
    assert state_of(states) is BreakerState.OPEN
    await refresher_.refresh()
    assert state_of(states) is BreakerState.HALF_OPEN


async def test_operators_reach_every_worker(states):
    open_breaker(states)
    asked = [OperatorNews(5, "reset", None)]
    refresher_ = refresher(states, News([], asked), News([], [OperatorNews(6, "hold_open", 2)]))
    await refresher_.refresh()
    assert state_of(states) is BreakerState.CLOSED
    await refresher_.refresh()
    assert [candidate.bar for candidate in states.candidates([ONE, TWO])] == [None, "held_open"]


async def test_a_database_that_is_away_changes_nothing_and_is_asked_again(states):
    refresher_ = refresher(
        states, news("unhealthy", passed=False), OperationalError("gone"), OperationalError("gone"), news(second=9)
    )
    await refresher_.open()
    try:
        async with asyncio.timeout(2):
            while len(refresher_.asked) < 3:
                await asyncio.sleep(0.005)
            assert refresher_.stale
            assert healths(states)[0] == "unhealthy"
            while healths(states)[0] != "healthy":
                await asyncio.sleep(0.005)
    finally:
        await refresher_.aclose()
    assert not refresher_.stale


async def test_events_are_written_off_the_hot_path_and_kept_while_sql_is_away(states):
    written, failing = [], [OperationalError("gone")]

    def write(rows):
        if failing:
            raise failing.pop()
        written.extend(rows)

    recorder = EventRecorder(states, clock=lambda: 1_700_000_000.0, write=write)
    states.hooks.append(recorder.note)
    open_breaker(states)
    states.on_failure(states.on_start(TWO, P.credentials[0]), CredentialRejected("no"))
    await recorder.flush()
    assert written == []
    await recorder.flush()
    assert [(row.kind, row.after, row.deployment_name) for row in written] == [
        ("breaker", "open", "p1/u1"),
        ("credential", "", "p1/u2"),
    ]
    assert "5 failures in a row" in written[0].cause
    assert written[0].for_s == 60
    await recorder.flush()
    assert len(written) == 2


async def test_changes_made_by_other_workers_are_theirs_to_record(states):
    written = []
    recorder = EventRecorder(states, clock=lambda: 0.0, write=written.extend, foreign=lambda: True)
    states.hooks.append(recorder.note)
    open_breaker(states)
    await recorder.flush()
    assert written == []


async def test_closing_waits_for_the_write_that_runs(states):
    begun, may_end, written = threading.Event(), threading.Event(), []

    def slowly(rows):
        begun.set()
        may_end.wait(5)
        written.extend(rows)

    recorder = EventRecorder(states, clock=lambda: 0.0, write=slowly)
    await recorder.open()
    open_breaker(states)
    await asyncio.to_thread(begun.wait, 5)
    closing = asyncio.create_task(recorder.aclose())
    await asyncio.sleep(0)
    assert not closing.done()
    may_end.set()
    await closing
    assert len(written) == 1
