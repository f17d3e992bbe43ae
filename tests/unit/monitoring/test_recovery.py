from monitoring.recovery import MOST, RecoveryWatch


def passes_until_trial(watch: RecoveryWatch, at: float, limit: int = 500) -> int:
    for count in range(1, limit):
        if watch.checked(1, at=at + count, passed=True, opened=True):
            return count
    raise AssertionError("no trial was allowed")


def test_two_passes_after_the_opening_allow_a_trial():
    watch = RecoveryWatch()
    assert not watch.checked(1, at=1, passed=True, opened=False)
    assert not watch.checked(1, at=2, passed=True, opened=True)
    assert watch.checked(1, at=3, passed=True, opened=True)


def test_a_result_counts_once():
    watch = RecoveryWatch()
    assert not any(watch.checked(1, at=5, passed=True, opened=True) for _ in range(10))


def test_results_of_one_look_count_once():
    watch = RecoveryWatch()
    assert not watch.checked(1, at=5.00, passed=True, opened=True)
    assert not watch.checked(1, at=5.01, passed=True, opened=True)
    assert watch.checked(1, at=10.00, passed=True, opened=True)


def test_of_one_look_a_failure_counts_whatever_came_first():
    watch = RecoveryWatch()
    assert not watch.checked(1, at=5.00, passed=True, opened=True)
    assert not watch.checked(1, at=5.01, passed=False, opened=True)
    assert not watch.checked(1, at=10.00, passed=True, opened=True)
    assert watch.checked(1, at=15.00, passed=True, opened=True)


def test_passes_that_prove_nothing_lose_their_say():
    watch = RecoveryWatch()
    needed = [passes_until_trial(watch, at=1000.0 * n) for n in range(7)]
    assert needed == [2, 4, 8, 16, 32, 64, MOST]


def test_a_failed_probe_makes_the_next_passes_mean_something_again():
    watch = RecoveryWatch()
    for n in range(4):
        passes_until_trial(watch, at=1000.0 * n)
    assert not watch.checked(1, at=9000, passed=False, opened=True)
    assert passes_until_trial(watch, at=9000) == 2


def test_good_times_restore_trust_step_by_step():
    watch = RecoveryWatch()
    for n in range(3):
        passes_until_trial(watch, at=1000.0 * n)
    for n in range(3):
        watch.checked(1, at=9000 + n, passed=True, opened=False)
    assert passes_until_trial(watch, at=10_000) == 2


def test_deployments_do_not_share_their_history():
    watch = RecoveryWatch()
    passes_until_trial(watch, at=0)
    assert not watch.checked(2, at=1, passed=True, opened=True)
    assert watch.checked(2, at=2, passed=True, opened=True)
