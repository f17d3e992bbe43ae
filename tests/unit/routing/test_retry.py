import pytest

from providers import errors
from routing.retry import Failure, RetryBudget, Step, Then, backoff_s, what_follows


def step(error: errors.UpstreamError, *, draw: float = 0.5, **situation):
    situation = {"attempts": 1, "max_attempts": 3, "has_next": True, "left_s": 100.0, **situation}
    return what_follows(Failure(error=error, **situation), draw=draw)


FAILOVERS = [
    errors.ConnectFailed("x"),
    errors.ConnectFailed("x", stale=False),
    errors.UpstreamTimeout("x", phase="connect"),
    errors.UpstreamTimeout("x", phase="first_token"),
    errors.RateLimited("x", retry_after_s=500),
    errors.QuotaExhausted("x"),
    errors.CredentialRejected("x"),
    errors.Overloaded("x"),
    errors.ServerFailed("x"),
    errors.BadAnswer("x"),
    errors.StreamTruncated("x"),
    errors.Unsupported(field="tools", provider="p"),
    errors.ModelNotFound("x"),
]
FINAL = [
    errors.ClientFault("x"),
    errors.ContentFiltered("x"),
]


@pytest.mark.parametrize("error", FAILOVERS, ids=lambda error: error.reason)
def test_fails_over_at_once_and_free_of_charge(error):
    made = step(error)
    assert (made.then, made.why, made.wait_s, made.charged) == (Then.NEXT, error.reason, 0, False)


@pytest.mark.parametrize("error", FINAL, ids=lambda error: error.reason)
def test_the_clients_own_fault_goes_to_the_client(error):
    assert (step(error).then, step(error).why) == (Then.STOP, error.reason)


def test_a_conversation_that_does_not_fit_is_condensed():
    assert step(errors.ContextOverflow("x")).then is Then.CONDENSE


def test_a_candidate_in_doubt_is_paid_for():
    assert step(errors.ServerFailed("x"), next_is_sound=False).charged


def test_a_stale_connection_is_repeated_once_at_the_same_place():
    stale = errors.ConnectFailed("x", stale=True)
    made = step(stale, attempts=3)
    assert (made.then, made.wait_s, made.charged) == (Then.SAME, 0, False)
    assert step(stale, stale_retried=True).then is Then.NEXT


@pytest.mark.parametrize("error", [errors.RateLimited("x"), errors.CredentialRejected("x"), errors.QuotaExhausted("x")])
def test_another_credential_is_tried_before_another_candidate(error):
    made = step(error, other_credential=True)
    assert (made.then, made.wait_s, made.charged) == (Then.SAME, 0, False)
    assert step(errors.ServerFailed("x"), other_credential=True).then is Then.NEXT


def test_attempts_are_counted():
    assert step(errors.ServerFailed("x"), attempts=2).then is Then.NEXT
    assert step(errors.ServerFailed("x"), attempts=3).why == "attempts"


@pytest.mark.parametrize(
    ("error", "left_s"), [(errors.ServerFailed("x"), 0.0), (errors.UpstreamTimeout("x", phase="total"), 5.0)]
)
def test_the_deadline_ends_everything(error, left_s):
    assert step(error, left_s=left_s).why == "deadline"


def test_the_only_candidate_is_tried_again_after_full_jitter():
    waits = [step(errors.ServerFailed("x"), has_next=False, same_again=n, draw=0.5).wait_s for n in range(3)]
    assert waits == [0.125, 0.25, 0.5]
    assert step(errors.ServerFailed("x"), has_next=False).charged
    assert step(errors.ServerFailed("x"), has_next=False, draw=0.0).wait_s == 0.0


def test_waits_as_long_as_the_upstream_asks():
    made = step(errors.RateLimited("x", retry_after_s=7), has_next=False)
    assert (made.then, made.wait_s, made.charged) == (Then.SAME, 7, True)


@pytest.mark.parametrize(("asked", "left"), [(8, 7.9), (8, 8), (121, 600)])
def test_a_wait_beyond_the_deadline_or_patience_is_passed_on(asked, left):
    made = step(errors.RateLimited("x", retry_after_s=asked), has_next=False, left_s=left)
    assert (made.then, made.why) == (Then.STOP, "retry_after_too_long")


def test_a_back_off_that_outlasts_the_deadline_is_not_begun():
    assert step(errors.ServerFailed("x"), has_next=False, left_s=0.1).why == "deadline"


@pytest.mark.parametrize(
    "error",
    [
        errors.CredentialRejected("x"),
        errors.QuotaExhausted("x"),
        errors.Unsupported(field="f", provider="p"),
        errors.ModelNotFound("x"),
    ],
)
def test_the_same_place_is_not_asked_again_for_what_it_refused(error):
    assert step(error, has_next=False).then is Then.STOP


def test_back_off_doubles_up_to_its_cap():
    assert [backoff_s(n, base_s=1, draw=0.999) for n in (0, 1, 2, 3, 50)] == pytest.approx(
        [0.999, 1.998, 3.996, 7.992, 7.992]
    )


# ------------------------------------------------------------------------------------------------------- retry budget


def test_the_floor_is_there_from_the_start_and_no_more():
    budget = RetryBudget()
    assert [budget.spend(0) for _ in range(4)] == [True, True, True, False]


def test_a_total_outage_is_amplified_by_a_tenth_at_most():
    budget = RetryBudget()
    hits = 0
    for _ in range(2000):
        budget.request_started()
        hits += 1
        while budget.spend(0) and hits < 10_000:
            hits += 1
        budget.request_ended()
    assert hits <= 2000 * 1.1 + 3
    assert budget.in_flight == 0


def test_many_requests_in_flight_raise_the_ceiling():
    budget = RetryBudget()
    for _ in range(1000):
        budget.request_started()
    assert sum(budget.spend(0) for _ in range(500)) == pytest.approx(100, abs=1), "10 % of a thousand"


def test_moving_on_is_always_allowed_and_saved_again_later():
    budget = RetryBudget()
    for _ in range(50):
        budget.request_started()
    on = Step(then=Then.NEXT, why="x")
    assert all(budget.allows(on, 0) for _ in range(500))
    assert budget.tokens == -50
    assert not budget.allows(Step(then=Then.NEXT, why="x", charged=True), 0)
    assert budget.allows(Step(then=Then.SAME, why="stale_connection"), 0)
    assert budget.tokens == -50
    for _ in range(520):
        budget.request_started()
    assert budget.allows(Step(then=Then.SAME, why="x", charged=True), 0)


def test_a_debt_outlasts_the_requests_that_made_it():
    budget = RetryBudget()
    on = Step(then=Then.NEXT, why="x")
    for _ in range(50):
        budget.request_started()
    for _ in range(60):
        budget.allows(on, 0)
    for _ in range(40):
        budget.request_ended()
    assert budget.allows(on, 0)
    assert budget.tokens == -50


def test_a_proxy_that_was_idle_has_its_floor_again():
    budget = RetryBudget()
    for _ in range(4):
        budget.spend(0)
    assert not budget.spend(29)
    assert not budget.spend(58), "asking keeps it waiting"
    assert [budget.spend(88) for _ in range(4)] == [True, True, True, False]
    assert not budget.spend(50), "a clock that runs backwards gives nothing"
