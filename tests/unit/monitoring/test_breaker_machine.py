"""The breaker against a model that says only what must hold, under any order of calls, failures, probes and operators."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from monitoring.breaker import Breaker, BreakerChange, BreakerPolicy, BreakerState

CLOSED, HALF_OPEN, OPEN = BreakerState.CLOSED, BreakerState.HALF_OPEN, BreakerState.OPEN


class BreakerMachine(RuleBasedStateMachine):
    @initialize(draw=st.floats(0, 0.999), threshold=st.integers(1, 6))
    def begin(self, draw: float, threshold: int) -> None:
        self.now = 0.0
        self.changes: list[BreakerChange] = []
        self.policy = BreakerPolicy(threshold=threshold, rate_minimum=8, timeout_s=10, timeout_cap_s=40)
        self.breaker = Breaker(self.policy, draw=lambda: draw, on_change=self.changes.append)
        self.running: list[tuple[int, bool]] = []

    @rule(seconds=st.floats(0, 30))
    def time_passes(self, seconds: float) -> None:
        before = self.breaker.state(self.now)
        self.now += seconds
        after = self.breaker.state(self.now)
        assert after is before or (before is OPEN and after is HALF_OPEN), "time alone only ever allows a trial"

    @rule()
    def a_call_starts_if_invited(self) -> None:
        if self.breaker.permits(self.now):
            half_open = self.breaker.state(self.now) is HALF_OPEN
            permit = self.breaker.start(self.now)
            assert (permit < 0) == half_open
            self.running.append((permit, False))

    @rule()
    def a_call_starts_uninvited(self) -> None:
        invited = self.breaker.permits(self.now)
        permit = self.breaker.start(self.now)
        assert invited or permit > 0, "who was not invited is no trial"
        self.running.append((permit, False))

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def a_first_token_arrives(self, data: st.DataObject) -> None:
        permit, answered = self.take(data)
        before = self.breaker.state(self.now)
        if not answered:
            permit = self.breaker.answered(permit, self.now)
        self.running.append((permit, True))
        if before is CLOSED:
            assert self.breaker.state(self.now) is CLOSED

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def a_call_succeeds(self, data: st.DataObject) -> None:
        permit, answered = self.take(data)
        before = self.breaker.state(self.now)
        trial = permit == -self.breaker.period
        self.breaker.succeeded(permit, self.now, answered=answered)
        after = self.breaker.state(self.now)
        assert after in {before, CLOSED}
        if trial and self.breaker.override is None:
            assert after is CLOSED

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def a_call_fails(self, data: st.DataObject) -> None:
        permit, answered = self.take(data)
        before = self.breaker.state(self.now)
        trial = permit == -self.breaker.period
        self.breaker.failed(permit, self.now, "x", answered=answered)
        after = self.breaker.state(self.now)
        assert after in {before, OPEN}
        if trial:
            assert after is OPEN or self.breaker.override == "closed"

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def a_client_leaves(self, data: st.DataObject) -> None:
        permit, _ = self.take(data)
        before = self.breaker.state(self.now)
        self.breaker.abandoned(permit)
        assert self.breaker.state(self.now) is before

    @rule()
    def a_probe_passes(self) -> None:
        before = self.breaker.state(self.now)
        self.breaker.probe_passed()
        after = self.breaker.state(self.now)
        assert (before is CLOSED) == (after is CLOSED), "a probe closes nothing and opens nothing"

    @rule(action=st.sampled_from(["hold_open", "force_close", "reset"]))
    def an_operator_acts(self, action: str) -> None:
        getattr(self.breaker, action)(self.now)
        assert self.breaker.state(self.now) is (OPEN if action == "hold_open" else CLOSED)

    @rule()
    def another_worker_sees_the_same(self) -> None:
        other = Breaker(self.policy, draw=lambda: 0.5)
        other.adopt(self.breaker.export(self.now, self.now), self.now, self.now)
        mine, theirs = self.breaker.state(self.now), other.state(self.now)
        assert mine is theirs

    def take(self, data: st.DataObject) -> tuple[int, bool]:
        return self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))

    @invariant()
    def at_most_one_trial_runs(self) -> None:
        if hasattr(self, "breaker"):
            trials = [permit for permit, _ in self.running if permit == -self.breaker.period]
            assert len(trials) <= 1
            if self.breaker.state(self.now) is HALF_OPEN:
                assert self.breaker.permits(self.now) == (not trials)

    @invariant()
    def it_is_never_open_for_longer_than_the_cap(self) -> None:
        if hasattr(self, "breaker") and self.breaker.open_until is not None:
            assert self.breaker.open_until - self.now <= 40 * 1.1

    @invariant()
    def a_closed_one_has_fewer_failures_than_the_threshold(self) -> None:
        if hasattr(self, "breaker") and self.breaker.override is None and self.breaker.state(self.now) is CLOSED:
            assert self.breaker.failure_count < self.policy.threshold

    @invariant()
    def changes_form_a_chain(self) -> None:
        if hasattr(self, "changes"):
            assert all(change.cause for change in self.changes)


BreakerMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestBreaker = BreakerMachine.TestCase
