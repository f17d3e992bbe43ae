import asyncio
from dataclasses import replace

import pytest

from monitoring.breaker import BreakerChange, BreakerState
from monitoring.credential_state import ANONYMOUS, CredentialChange
from monitoring.deployment_state import UpstreamEvent
from monitoring.upstream_state import UpstreamStates
from providers.errors import ClientFault, CredentialRejected, Overloaded, RateLimited, ServerFailed
from tests.unit.monitoring.clock import Clock
from tests.unit.routing.pools import credential, deployment, provider


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def states(clock: Clock) -> UpstreamStates:
    return UpstreamStates(clock, lambda: 0.5)


D = deployment(1)
KEY = D.provider.credentials[0]


def fail(states: UpstreamStates, times: int = 5, error: Exception | None = None, of=D) -> None:
    for _ in range(times):
        states.on_failure(states.on_start(of, of.provider.credentials[0]), error or ServerFailed("x"))


def succeed(states: UpstreamStates, seconds: float = 0.1, of=D, *, stream: bool = True) -> None:
    flight = states.on_start(of, of.provider.credentials[0])
    states.on_first_token(flight, seconds, stream=stream)
    states.on_success(flight)


def look(states: UpstreamStates, of=D, *, stream: bool = True):
    (candidate,) = states.candidates([of], stream=stream)
    return candidate


def test_a_deployment_never_seen_is_ready(states):
    candidate = look(states)
    assert candidate == (D, None, False, 0, None, 0.0, 1.0)


def test_counts_running_calls_until_each_ends_once(states):
    flights = [states.on_start(D, KEY) for _ in range(3)]
    assert look(states).outstanding == 3
    for end in (states.on_success, lambda flight: states.on_failure(flight, ServerFailed("x")), states.on_cancel):
        flight = flights.pop()
        end(flight)
        states.on_success(flight)
        states.on_failure(flight, ServerFailed("x"))
        states.on_cancel(flight)
        states.on_first_token(flight, 1.0)
    assert look(states).outstanding == 0


def test_averages_the_time_to_first_token_and_keeps_whole_answers_apart(states):
    succeed(states, 1.0)
    succeed(states, 2.0)
    succeed(states, 9.0, stream=False)
    succeed(states, 14.0, stream=False)
    assert look(states).ttft_s == pytest.approx(1.2)
    assert look(states, stream=False).ttft_s == pytest.approx(10.0)


def test_only_the_first_token_counts(states):
    flight = states.on_start(D, KEY)
    states.on_first_token(flight, 1.0)
    states.on_first_token(flight, 9.0)
    assert look(states).ttft_s == 1.0


def test_an_old_time_fades_so_that_a_once_slow_upstream_is_tried_again(states, clock):
    succeed(states, 8.0)
    clock.now += 10
    assert look(states).ttft_s == 8.0
    clock.now += 60
    assert look(states).ttft_s == pytest.approx(2.0)


def test_an_open_breaker_bars_and_yields(states, clock):
    fail(states)
    assert look(states)[1:3] == ("breaker_open", True)
    clock.now += 61
    assert look(states).bar is None
    trial = states.on_start(D, KEY)
    assert trial.permit < 0
    assert states.bar(D) == ("breaker_open", True)
    states.on_cancel(trial)
    assert states.bar(D) == (None, False)


def test_failures_show_as_an_error_rate_and_recovery_as_a_ramp(states, clock):
    succeed(states)
    fail(states, 1)
    assert look(states).error_rate == 0.5
    fail(states, 4)
    clock.now += 61
    succeed(states)
    assert look(states).ramp == pytest.approx(0.1)


def test_a_clients_fault_does_not_count_and_gives_the_trial_back(states, clock):
    fail(states, 50, ClientFault("x"))
    assert look(states).bar is None
    fail(states)
    clock.now += 61
    fail(states, 1, ClientFault("x"))
    assert look(states).bar is None
    assert states.find(1).breaker.state(clock.now) is BreakerState.HALF_OPEN


def test_a_named_cool_down_never_yields_and_a_guessed_one_does(states, clock):
    fail(states, 1, Overloaded("x"))
    assert look(states)[1:3] == ("credential_cooling", True)
    clock.now += 5
    assert look(states).bar is None
    fail(states, 1, RateLimited("x", retry_after_s=30))
    assert look(states)[1:3] == ("credential_cooling", False)
    assert states.pick_credential(D.provider) is None
    clock.now += 30
    assert states.pick_credential(D.provider) == KEY


def test_who_rests_is_known_when_all_do(states, clock):
    one, two, refused = D, deployment(2), deployment(3)
    states.sync([one, two, refused])
    assert states.rest_s([]) is None
    fail(states, 1, RateLimited("x", retry_after_s=30), of=one)
    assert states.rest_s([one]) == 30
    assert states.rest_s([one, two]) is None
    fail(states, 1, Overloaded("x"), of=two)
    assert states.rest_s([one, two]) == 5
    fail(states, 1, CredentialRejected("x"), of=refused)
    assert states.rest_s([one, refused]) is None, "a refused credential is not expected back"
    clock.now += 30
    assert states.rest_s([one]) is None


def test_another_credential_keeps_the_deployment_in(states):
    of = deployment(2, of=provider(2, credentials=(credential(1), credential(2))))
    fail(states, 1, CredentialRejected("x"), of=of)
    assert look(states, of).bar is None
    assert states.pick_credential(of.provider).id == 2


def test_who_is_told_of_a_refused_credential_learns_when_it_is_tried_again(states):
    of = deployment(2, of=provider(2, credentials=(credential(1),)))
    fail(states, 1, CredentialRejected("x"), of=of)
    bar = look(states, of).bar
    assert (bar, states.told(of, bar)) == ("credential_rejected", "credential_rejected, next try in 300 s")
    assert states.told(of, "saturated") == "saturated"


def test_a_provider_without_credentials_needs_none(states):
    of = deployment(3, of=provider(3, credentials=(), needs_credential=False))
    assert look(states, of).bar is None
    states.on_failure(states.on_start(of, ANONYMOUS), RateLimited("x", retry_after_s=5))
    assert look(states, of).bar == "credential_cooling"
    assert look(states, deployment(4, of=provider(4, credentials=()))).bar == "no_credential"


async def test_a_full_line_bars_but_a_full_house_does_not(states):
    of = deployment(5, of=provider(5, max_concurrency=1))
    slots = states.slots(of.provider)
    assert slots.try_acquire()
    assert look(states, of).bar is None
    waiting = asyncio.create_task(slots.acquire(5))
    await asyncio.sleep(0)
    assert look(states, of)[1:3] == ("saturated", False)
    slots.release()
    assert await waiting


def test_unhealthy_bars_and_yields_until_a_real_call_succeeds(states, clock):
    look(states)
    states.set_health(1, "unhealthy")
    assert look(states)[1:3] == ("unhealthy", True)
    succeed(states)
    assert look(states).bar is None
    states.set_health(1, "unhealthy")
    assert look(states).bar is None, "a probe does not outweigh a call that has just succeeded"
    clock.now += 31
    states.set_health(1, "unhealthy")
    assert look(states).bar == "unhealthy"
    states.set_health(1, "healthy")
    assert look(states).bar is None


def test_an_unhealthy_provider_bars_all_its_deployments(states, clock):
    of = provider(9)
    one, two, other = deployment(91, of=of), deployment(92, of=of), deployment(1)
    states.sync([one, two, other])
    states.set_provider_health(9, "unhealthy")
    assert [each.bar for each in states.candidates([one, two, other])] == ["unhealthy", "unhealthy", None]
    succeed(states, of=one)
    assert look(states, two).bar is None
    states.set_provider_health(9, "unhealthy")
    assert look(states, two).bar is None
    clock.now += 31
    states.set_provider_health(9, "unhealthy")
    assert look(states, two).bar == "unhealthy"


def test_overrides_never_yield(states):
    look(states)
    states.hold_open(1)
    assert look(states)[1:3] == ("held_open", False)
    states.force_close(1)
    fail(states, 20)
    assert look(states).bar is None
    states.reset(1)
    assert states.find(1).breaker.override is None


def test_news_about_strangers_is_ignored(states):
    states.hold_open(77)
    states.force_close(77)
    states.reset(77)
    states.set_health(77, "unhealthy")
    states.set_provider_health(77, "unhealthy")
    states.probe_passed(77)
    states.adopt_breakers({}, 0)
    assert list(states) == []


def test_a_passed_probe_allows_one_trial(states):
    fail(states)
    states.probe_passed(1)
    assert look(states).bar is None
    states.on_start(D, KEY)
    assert look(states).bar == "breaker_open"


def test_state_survives_a_new_table_and_the_unconfigured_is_forgotten(states, clock):
    look(states, deployment(2))
    fail(states)
    fail(states, 1, RateLimited("x", retry_after_s=90))
    newer = replace(D, weight=7, provider=replace(D.provider, breaker_threshold=1, max_concurrency=3))
    states.sync([newer])
    candidate = look(states, newer)
    assert candidate.deployment.weight == 7
    assert candidate.bar == "credential_cooling"
    assert states.find(2) is None
    assert states.slots(newer.provider).limit == 3
    clock.now += 200
    succeed(states, of=newer)
    clock.now += 31
    fail(states, 1, of=newer)
    assert look(states, newer).bar == "breaker_open"


def test_providers_without_deployments_are_kept_when_they_are_configured(states):
    lonely = provider(8)
    states.provider(lonely).health = "degraded"
    states.sync([], [lonely])
    assert states.provider(lonely).health == "degraded"
    states.sync([])
    assert states.provider(lonely).health == "unknown"


def test_a_call_that_runs_while_its_deployment_is_removed_ends_quietly(states):
    flight = states.on_start(D, KEY)
    states.sync([])
    states.on_first_token(flight, 1.0)
    states.on_success(flight)


def test_hooks_hear_of_breakers_and_credentials(states):
    heard: list[UpstreamEvent] = []
    states.hooks.append(heard.append)
    fail(states, 1, RateLimited("x", retry_after_s=3))
    fail(states)
    cooled, opened = heard
    assert (cooled.provider, cooled.deployment) == ("p1", "p1/u1")
    assert isinstance(cooled.change, CredentialChange)
    assert isinstance(opened.change, BreakerChange)
    assert opened.change.after is BreakerState.OPEN


def test_workers_share_what_they_know_of_breakers(states):
    elsewhere = UpstreamStates(Clock(), lambda: 0.5)
    look(elsewhere)
    assert states.export_breakers(0) == {}
    fail(states)
    states.hold_open(1)
    shared = states.export_breakers(50)
    elsewhere.adopt_breakers({**shared, 99: shared[1]}, 50)
    assert look(elsewhere).bar == "held_open"
    elsewhere.adopt_breakers(shared, 50)


def test_a_snapshot_tells_the_status_page(states, clock):
    succeed(states, 0.25)
    fail(states)
    clock.now += 10
    (shot,) = states.snapshots(epoch_now=5000.0)
    assert (shot.deployment, shot.provider, shot.bar) == ("p1/u1", "p1", "breaker_open")
    assert (shot.breaker, shot.last_failure_at, shot.opens_in_s) == (BreakerState.OPEN, 4990.0, 50.0)
    assert shot.ttft_s == 0.25
    states.sync([deployment(2)])
    (fresh,) = states.snapshots(epoch_now=5000.0)
    assert (fresh.last_failure_at, fresh.opens_in_s, fresh.health) == (None, None, "unknown")
