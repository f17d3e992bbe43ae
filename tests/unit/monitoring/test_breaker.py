from dataclasses import replace

import pytest

from monitoring.breaker import (
    Breaker,
    BreakerChange,
    BreakerPolicy,
    BreakerState,
    OutcomeWindow,
    SharedBreaker,
    merge,
)

CLOSED, HALF_OPEN, OPEN = BreakerState.CLOSED, BreakerState.HALF_OPEN, BreakerState.OPEN


def make(draw: float = 0.5, **policy: float) -> tuple[Breaker, list[BreakerChange]]:
    """With draw 0.5 the jitter is nil."""
    changes: list[BreakerChange] = []
    return Breaker(BreakerPolicy(**policy), draw=lambda: draw, on_change=changes.append), changes


def fail(breaker: Breaker, times: int, now: float = 0.0, *, answered: bool = False) -> None:
    for _ in range(times):
        permit = breaker.start(now)
        if answered:
            permit = breaker.answered(permit, now)
        breaker.failed(permit, now, "server_error", answered=answered)


def opened(draw: float = 0.5, **policy: float) -> Breaker:
    breaker, _ = make(draw, **policy)
    fail(breaker, 5)
    return breaker


def test_opens_at_the_threshold_of_failures_in_a_row_and_not_before():
    breaker, changes = make()
    fail(breaker, 4)
    assert (breaker.state(0), breaker.failure_count, breaker.permits(0)) == (CLOSED, 4, True)
    fail(breaker, 1)
    assert (breaker.state(0), breaker.permits(0)) == (OPEN, False)
    cause = "5 failures in a row: server_error"
    assert changes == [BreakerChange(before=CLOSED, after=OPEN, cause=cause, open_for_s=60.0)]
    assert breaker.last_failure_at == 0


def test_works_without_anybody_listening():
    breaker = Breaker(BreakerPolicy(), draw=lambda: 0.5)
    fail(breaker, 5)
    assert breaker.state(0) is OPEN


def test_a_success_between_failures_begins_a_new_row():
    breaker, _ = make()
    fail(breaker, 4)
    breaker.succeeded(breaker.start(0), 0)
    fail(breaker, 4)
    assert breaker.state(0) is CLOSED


def test_opens_when_half_of_twenty_failed_within_the_window():
    breaker, changes = make()
    for _ in range(9):
        breaker.succeeded(breaker.start(1), 1)
        fail(breaker, 1, now=1)
    breaker.succeeded(breaker.start(1), 1)
    assert breaker.state(1) is CLOSED
    fail(breaker, 1, now=2)
    assert breaker.state(2) is OPEN
    assert changes[-1].cause == "10 of 20 calls failed within 30 s: server_error"


def test_stays_closed_when_fewer_than_half_failed():
    breaker, _ = make()
    for _ in range(50):
        breaker.succeeded(breaker.start(1), 1)
        breaker.succeeded(breaker.start(1), 1)
        fail(breaker, 1, now=1)
    assert breaker.state(1) is CLOSED


def test_outcomes_older_than_the_window_are_forgotten():
    breaker, _ = make(threshold=100)
    fail(breaker, 19, now=0)
    assert breaker.window.error_rate(29) == 1.0
    fail(breaker, 1, now=31)
    assert breaker.state(31) is CLOSED
    assert breaker.window.bad == 1


def test_streams_that_always_break_off_open_it_although_each_began_well():
    breaker, _ = make()
    fail(breaker, 5, answered=True)
    assert breaker.state(0) is OPEN


def test_first_tokens_end_the_row_of_calls_that_were_never_answered():
    breaker, _ = make()
    slow_streams = [breaker.start(0) for _ in range(100)]
    fail(breaker, 4)
    breaker.answered(slow_streams[0], 0)
    fail(breaker, 4)
    assert breaker.state(0) is CLOSED


def test_a_completed_stream_ends_the_row_of_broken_ones():
    breaker, _ = make()
    fail(breaker, 4, answered=True)
    permit = breaker.answered(breaker.start(0), 0)
    breaker.succeeded(permit, 0, answered=True)
    fail(breaker, 4, answered=True)
    assert breaker.state(0) is CLOSED


@pytest.mark.parametrize(("draw", "wait"), [(0.0, 54.0), (0.5, 60.0), (0.999999, 66.0)])
def test_the_wait_has_ten_percent_of_jitter(draw, wait):
    breaker = opened(draw)
    assert breaker.open_until == pytest.approx(wait, abs=0.001)
    assert breaker.state(wait - 0.1) is OPEN
    assert breaker.state(wait + 0.1) is HALF_OPEN


def test_half_open_invites_one_trial_at_a_time():
    breaker = opened()
    assert breaker.permits(60)
    trial = breaker.start(60)
    assert trial < 0
    assert not breaker.permits(60)
    assert breaker.start(60) > 0
    breaker.abandoned(trial)
    assert breaker.permits(60)


def test_an_abandoned_ordinary_call_changes_nothing():
    breaker = opened()
    trial = breaker.start(60)
    breaker.abandoned(breaker.start(60))
    assert not breaker.permits(60)
    breaker.abandoned(trial)


def test_the_first_token_of_a_trial_closes_and_traffic_ramps_up():
    breaker = opened()
    permit = breaker.answered(breaker.start(60), 61)
    assert breaker.state(61) is CLOSED
    assert [breaker.ramp(at) for at in (61, 76, 91)] == pytest.approx([0.1, 0.55, 1.0])
    breaker.failed(permit, 62, "truncated", answered=True)
    assert breaker.failure_count == 1, "the trial's own later failure counts like any other"


def test_a_complete_answer_of_a_trial_closes():
    breaker = opened()
    breaker.succeeded(breaker.start(60), 61)
    assert (breaker.state(61), breaker.cause) == (CLOSED, "a trial was answered")


def test_a_failed_trial_opens_again_for_twice_as_long_up_to_the_cap():
    breaker = opened()
    waits, now = [], 60.0
    for _ in range(4):
        breaker.failed(breaker.start(now), now, "timeout")
        waits.append(breaker.open_until - now)
        now = breaker.open_until
    assert waits == [120, 240, 300, 300]
    assert breaker.cause == "the trial failed: timeout"


def test_a_timeout_longer_than_the_cap_is_kept():
    assert opened(timeout_s=900).open_until == 900


def test_opening_again_during_the_ramp_goes_on_doubling_and_after_it_starts_over():
    breaker = opened()
    breaker.succeeded(breaker.start(60), 60)
    fail(breaker, 5, now=80)
    assert breaker.open_until == 80 + 120
    breaker.succeeded(breaker.start(200), 200)
    fail(breaker, 5, now=231)
    assert breaker.open_until == 231 + 60


def test_calls_from_before_the_opening_say_nothing_about_the_time_after():
    breaker, _ = make()
    late = [breaker.start(0) for _ in range(3)]
    fail(breaker, 5)
    breaker.answered(late[0], 1)
    breaker.succeeded(late[1], 1)
    breaker.succeeded(late[2], 1, answered=True)
    assert breaker.state(1) is OPEN
    breaker.succeeded(breaker.start(60), 60)
    for _ in range(5):
        breaker.failed(late[0], 61, "reset")
    assert breaker.state(61) is CLOSED


def test_a_call_sent_while_open_closes_when_answered_and_counts_nothing_when_it_fails():
    breaker = opened()
    until = breaker.open_until
    fail(breaker, 5, now=10)
    assert breaker.open_until == until
    breaker.succeeded(breaker.start(10), 11)
    assert (breaker.state(11), breaker.cause) == (CLOSED, "a call was answered while open")


def test_a_passed_probe_allows_a_trial_but_closes_nothing():
    breaker = opened()
    breaker.probe_passed()
    assert (breaker.state(1), breaker.permits(1)) == (HALF_OPEN, True)
    closed, changes = make()
    closed.probe_passed()
    assert (closed.state(0), changes) == (CLOSED, [])


def test_held_open_refuses_whatever_happens_until_it_is_reset():
    breaker, changes = make()
    breaker.hold_open(0)
    breaker.succeeded(breaker.start(1), 1)
    assert (breaker.state(1), breaker.permits(1)) == (OPEN, False)
    breaker.reset(2)
    assert (breaker.state(2), breaker.override) == (CLOSED, None)
    assert [change.cause for change in changes] == ["held open by an operator", "reset by an operator"]


def test_forced_closed_admits_whatever_happens():
    breaker = opened()
    breaker.force_close(1)
    fail(breaker, 50, now=1)
    assert (breaker.state(1), breaker.permits(1), breaker.failure_count) == (CLOSED, True, 50)


def test_reset_forgets_failures_and_doubling():
    breaker = opened()
    breaker.failed(breaker.start(60), 60, "x")
    breaker.reset(61)
    assert (breaker.state(61), breaker.failure_count, breaker.ramp(61)) == (CLOSED, 0, 1.0)
    fail(breaker, 5, now=62)
    assert breaker.open_until == 62 + 60


def test_states_have_the_numbers_of_the_gauge():
    assert [state.gauge for state in (CLOSED, HALF_OPEN, OPEN)] == [0, 1, 2]


# ------------------------------------------------------------------------------------------------------ other workers


def test_another_worker_takes_over_an_opening_with_its_remaining_time():
    mine, theirs = opened(), make()[0]
    assert theirs.adopt(mine.export(10, 1_000_010), 500, 1_000_011)
    assert (theirs.state(500), theirs.open_until) == (OPEN, 549)
    assert theirs.cause == "another worker: 5 failures in a row: server_error"


def test_another_worker_takes_over_a_closing_and_ramps_up_too():
    mine, theirs = opened(), make()[0]
    theirs.adopt(mine.export(0, 0), 0, 0)
    mine.succeeded(mine.start(60), 60)
    assert theirs.adopt(mine.export(60, 60), 60, 60)
    assert (theirs.state(60), theirs.ramp(60)) == (CLOSED, pytest.approx(0.1))


def test_a_closing_that_was_never_seen_open_does_not_slow_traffic():
    mine, theirs = opened(), make()[0]
    mine.succeeded(mine.start(60), 60)
    assert theirs.adopt(mine.export(60, 60), 60, 60)
    assert theirs.ramp(60) == 1.0


def test_older_or_equal_news_is_ignored():
    breaker = opened()
    assert not breaker.adopt(SharedBreaker(version=0), 1, 1)
    assert not breaker.adopt(breaker.export(0, 0), 5, 5)
    assert not breaker.adopt(SharedBreaker(version=1), 1, 1), "of equal versions the open one wins"


def test_operators_decisions_travel():
    mine, theirs = make()[0], make()[0]
    mine.hold_open(0)
    theirs.adopt(mine.export(0, 0), 0, 0)
    assert theirs.override == "open"
    theirs.reset(1)
    mine.adopt(theirs.export(1, 1), 1, 1)
    assert mine.state(1) is CLOSED


@pytest.mark.parametrize("jump", [-3600, 3600])
def test_a_clock_that_jumps_locks_nobody_out(jump):
    theirs, _ = make()
    theirs.adopt(opened().export(0, 10_000 + jump), 0, 10_000)
    assert 0 <= theirs.open_until <= 330


def test_every_order_of_merging_ends_the_same():
    states = [
        SharedBreaker(version=2),
        SharedBreaker(version=2, override="open"),
        SharedBreaker(version=2, override="closed"),
        SharedBreaker(version=2, open_until_epoch_s=5.0),
        SharedBreaker(version=1, open_until_epoch_s=9.0),
    ]
    for one in states:
        for two in states:
            assert merge(one, two) == merge(two, one)
            assert merge(one, one) is one
            for three in states:
                assert merge(merge(one, two), three) == merge(one, merge(two, three))
    assert merge(states[0], states[4]) is states[0]
    assert merge(states[1], states[3]) is states[1]


def test_adopting_a_change_that_shows_nothing_tells_nobody():
    breaker, changes = make()
    assert breaker.adopt(replace(SharedBreaker(version=7), cause="closed"), 0, 0)
    assert changes == []
    breaker.hold_open(1)
    assert breaker.export(1, 1).version == 8


# ------------------------------------------------------------------------------------------------------------- window


def test_the_window_slides_in_slices():
    window = OutcomeWindow(30)
    assert window.error_rate(0) == 0.0
    window.add(good=True, now=100)
    window.add(good=False, now=110)
    assert window.error_rate(110) == 0.5
    assert window.error_rate(131) == 1.0
    assert (window.error_rate(145), window.good, window.bad) == (0.0, 0, 0)


def test_a_clock_that_runs_backwards_loses_nothing():
    window = OutcomeWindow(30)
    window.add(good=False, now=100)
    window.slice_ends_at = 0
    window.add(good=False, now=50)
    assert window.bad == 2
