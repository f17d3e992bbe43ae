from accounts.outages import Breaker


def failing(breaker: Breaker, times) -> list[bool]:
    return [breaker.failed(now) for now in times]


def test_a_burst_of_failures_alone_does_not_open_it():
    breaker = Breaker()

    assert failing(breaker, [0.0, 0.01, 0.02, 0.03, 0.04, 0.05]) == [False] * 6
    assert breaker.permits(0.06)


def test_it_opens_when_failing_goes_on():
    breaker = Breaker()

    assert failing(breaker, [0.0, 0.1, 0.2, 0.3, 0.6]) == [False, False, False, False, True]
    assert not breaker.permits(1.0)


def test_a_success_in_between_starts_anew():
    breaker = Breaker()
    failing(breaker, [0.0, 0.1, 0.2, 0.3])
    breaker.succeeded()

    assert not breaker.failed(0.6)


def test_open_lets_one_probe_a_second_through_and_a_success_closes():
    breaker = Breaker()
    failing(breaker, [0.0, 0.2, 0.4, 0.6, 0.8])

    assert [breaker.permits(now) for now in (1.0, 1.8, 1.9, 2.7, 2.8)] == [False, True, False, False, True]
    assert breaker.succeeded()
    assert breaker.permits(2.81)
