from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.health import CheckResult, HealthPolicy, HealthRecord, judge

POLICY = HealthPolicy()


def result(passed: bool, at: float = 0.0, **fields) -> CheckResult:
    fields.setdefault("evidence", "models")
    if not passed:
        fields.setdefault("message", "refused")
    return CheckResult(passed=passed, at=at, **fields)


def after(text: str, record: HealthRecord | None = None, **fields) -> HealthRecord:
    """The record after passes (`+`) and failures (`-`), ten seconds apart."""
    record = record or HealthRecord()
    for position, sign in enumerate(text):
        record = judge(record, result(sign == "+", at=10.0 * position, **fields), POLICY)
    return record


@pytest.mark.parametrize(
    ("seen", "status"),
    [
        ("", "unknown"),
        ("+", "healthy"),
        ("-", "degraded"),
        ("--", "degraded"),
        ("---", "unhealthy"),
        ("+-", "degraded"),
        ("+--", "degraded"),
        ("+---", "unhealthy"),
        ("+--+", "degraded"),
        ("+--++", "healthy"),
        ("---+", "unhealthy"),
        ("---++", "healthy"),
        ("---+-", "unhealthy"),
        ("---+-+", "unhealthy"),
        ("---+-++", "healthy"),
        ("-+-+-+", "degraded"),
    ],
)
def test_three_failures_take_out_and_two_passes_bring_back(seen, status):
    assert after(seen).status == status


def test_a_slow_probe_degrades_and_a_quick_one_heals_after_two():
    slow = after("+", response_time_s=4.0)
    assert slow.status == "degraded"
    assert "slow" in slow.cause
    assert after("+", slow, response_time_s=0.1).status == "healthy"


def test_slow_real_calls_are_not_a_sign_of_ill_health():
    assert after("+", response_time_s=40.0, evidence="traffic").status == "healthy"


def test_calls_that_succeed_outweigh_probes_that_fail():
    record = after("+")
    for at in (10.0, 20.0, 30.0, 40.0):
        record = judge(record, result(False, at, last_success_at=at - 5), POLICY)
    assert record.status == "degraded"
    assert judge(record, result(False, 50.0, last_success_at=15.0), POLICY).status == "unhealthy"


def test_real_calls_bring_back_at_once():
    assert after("+", after("---"), evidence="traffic").status == "healthy"


def test_the_cause_is_kept_until_it_is_healthy_again():
    record = after("---+")
    assert record.cause == "refused"
    healed = judge(record, result(True, 99.0), POLICY)
    assert (healed.status, healed.cause) == ("healthy", "")


def test_the_thresholds_are_the_operators():
    policy = HealthPolicy(fails_down=1, passes_up=1)
    down = judge(HealthRecord(), result(False), policy)
    assert down.status == "unhealthy"
    assert judge(down, result(True), policy).status == "healthy"


@given(st.lists(st.booleans(), max_size=40))
def test_the_status_follows_from_the_last_results_alone(seen):
    record = after("".join("+" if passed else "-" for passed in seen))
    if seen[-3:] == [False] * 3:
        assert record.status == "unhealthy"
    if seen[-2:] == [True] * 2:
        assert record.status == "healthy"
    if record.status == "unhealthy":
        assert any(not any(seen[start : start + 3]) for start in range(len(seen) - 2))


def test_every_short_history_keeps_count_of_one_row_only():
    for signs in product("+-", repeat=5):
        record = after("".join(signs))
        assert (record.fails == 0) != (record.passes == 0)
