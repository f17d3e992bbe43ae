from hypothesis import given
from hypothesis import strategies as st

from accounts.limits import STEPS, SlidingWindow, divided, step_us

WINDOW_S = 6
WINDOW_US = WINDOW_S * 1_000_000
ANY = 1_000_000_000
moves = st.lists(st.tuples(st.integers(0, 3_000_000), st.integers(1, 7)), max_size=120)


class Model:
    """What the window must be, said without any cleverness: a list of what was let through and when."""

    def __init__(self) -> None:
        self.log: list[tuple[int, int]] = []

    def used(self, now: int) -> int:
        step = step_us(WINDOW_S)
        return sum(amount for at, amount in self.log if at // step >= now // step - STEPS)

    def wait(self, amount: int, limit: int, now: int) -> int | None:
        if amount > limit:
            return None
        step = step_us(WINDOW_S)
        moments = [now] + [moment * step for moment in range(now // step + 1, now // step + STEPS + 3)]
        return next(moment - now for moment in moments if self.used(moment) + amount <= limit)


@given(moves, st.integers(1, 20))
def test_the_window_agrees_with_the_model(steps, limit):
    window, model, now = SlidingWindow(WINDOW_S), Model(), 1_700_000_000_000_000
    for pause, amount in steps:
        now += pause
        wait = window.wait_us(amount, limit, now)
        assert wait == model.wait(amount, limit, now)
        step = window.take(amount, limit, now)
        assert (step is not None) == (wait == 0)
        if step is not None:
            model.log.append((now, amount))
        assert window.total == model.used(now)


@given(moves, st.integers(7, 20))
def test_no_stretch_of_a_window_lets_through_more_than_the_limit(steps, limit):
    window, now, let_through = SlidingWindow(WINDOW_S), 0, []
    for pause, amount in steps:
        now += pause
        if window.take(amount, limit, now) is not None:
            let_through.append((now, amount))
    for start, _ in let_through:
        assert sum(amount for at, amount in let_through if start <= at < start + WINDOW_US) <= limit


@given(moves, st.integers(7, 20))
def test_the_wait_is_exact(steps, limit):
    window, now = SlidingWindow(WINDOW_S), 0
    for pause, amount in steps:
        now += pause
        wait = window.wait_us(amount, limit, now)
        if wait:
            assert window.wait_us(amount, limit, now + wait - 1) == 1
            now += wait
            assert window.wait_us(amount, limit, now) == 0
        window.take(amount, ANY, now)


def test_all_of_it_comes_back_after_the_reset():
    window = SlidingWindow(60)
    window.take(10, ANY, 5_000_000)
    reset = window.reset_us(5_000_000)

    assert 60_000_000 <= reset <= 61_000_000
    window.advance(5_000_000 + reset - 1)
    assert not window.empty
    window.advance(5_000_000 + reset)
    assert window.empty


def test_a_correction_reaches_the_step_it_belongs_to():
    window = SlidingWindow(60)
    bucket = window.take(100, ANY, 0)
    window.take(5, ANY, 30_000_000)
    window.correct(bucket, -60)

    assert window.total == 45
    window.advance(61_000_000)
    assert window.total == 5
    window.correct(bucket, 1_000)
    assert window.total == 5


def test_what_is_put_back_was_never_taken():
    window = SlidingWindow(60)
    window.take(10, ANY, 5_000_000)
    window.put_back(10)

    assert (window.total, window.empty) == (0, True)
    bucket = window.take(10, ANY, 5_000_000)
    window.take(7, ANY, 5_000_000)
    window.put_back(7)
    window.correct(bucket, -4)
    assert window.total == 6


def test_an_estimate_of_nothing_can_be_corrected_upwards():
    window = SlidingWindow(60)
    bucket = window.take(0, ANY, 0)
    window.correct(bucket, 70)

    assert window.total == 70


def test_a_clock_that_goes_back_gives_nothing_away():
    window = SlidingWindow(60)
    window.take(10, ANY, 3_600_000_000)

    assert window.wait_us(1, 10, 0) > 0


def test_shares_never_vanish():
    assert divided(10, 4) == 2
    assert divided(1, 4) == 1
