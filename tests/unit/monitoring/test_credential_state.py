from collections import Counter
from random import Random

import pytest

from monitoring.credential_state import ANONYMOUS, CredentialPool
from providers.errors import CredentialRejected, Overloaded, QuotaExhausted, RateLimited, ServerFailed
from tests.unit.routing.pools import credential


def pool(*ids: int, needed: bool = True, weights: dict[int, int] | None = None) -> CredentialPool:
    specs = tuple(credential(id, weight=(weights or {}).get(id, 1)) for id in ids)
    return CredentialPool(specs, needed=needed)


def pick(credentials: CredentialPool, now: float = 0.0, draw: float = 0.5) -> int | None:
    spec = credentials.pick(now, lambda: draw)
    return None if spec is None else spec.id


def test_picks_by_weight_among_the_available():
    credentials = pool(1, 2, 3, weights={1: 1, 2: 3, 3: 0})
    random = Random(7)
    counts = Counter(credentials.pick(0, random.random).id for _ in range(8000))
    assert counts[2] / 8000 == pytest.approx(0.75, abs=0.02)
    assert counts[3] == 0


def test_weights_that_are_all_zero_still_give_one():
    assert pick(pool(1, 2, weights={1: 0, 2: 0})) == 2


def test_nothing_is_sent_earlier_than_the_upstream_asked():
    credentials = pool(1)
    change = credentials.failed(1, RateLimited("x", retry_after_s=30), 100)
    assert (change.name, change.reason, change.for_s) == ("key-1", "rate_limit", 30)
    assert (pick(credentials, 129.9), credentials.bar(129.9)) == (None, "credential_cooling")
    assert (pick(credentials, 130), credentials.bar(130)) == (1, None)
    assert credentials.usable_at == credentials.free_at == 130


def test_a_shorter_wait_asked_later_does_not_shorten_the_first():
    credentials = pool(1)
    credentials.failed(1, RateLimited("x", retry_after_s=30), 0)
    credentials.failed(1, RateLimited("x", retry_after_s=1), 0)
    credentials.failed(1, RateLimited("x"), 0)
    assert pick(credentials, 29) is None


def test_what_the_upstream_says_replaces_a_guess():
    credentials = pool(1)
    credentials.failed(1, Overloaded("x"), 0)
    credentials.failed(1, Overloaded("x", retry_after_s=1), 0)
    assert credentials.free_at == 1


def test_guessed_cool_downs_grow_until_a_success():
    credentials = pool(1)
    waits = [credentials.failed(1, RateLimited("x"), 0).for_s for _ in range(8)]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    credentials.succeeded(1)
    assert credentials.failed(1, RateLimited("x"), 0).for_s == 1


def test_a_guessed_cool_down_may_be_broken_when_there_is_no_other_way():
    credentials = pool(1, 2)
    credentials.failed(1, Overloaded("x"), 0)
    credentials.failed(2, Overloaded("x"), 1)
    assert credentials.bar(2) == "credential_cooling"
    assert credentials.usable_at <= 2
    assert pick(credentials, 2) == 1, "the one whose guess ends first"
    assert pick(credentials, 5.5, draw=0.9) == 1, "the only one that is free again"


def test_a_wait_that_was_asked_for_is_never_broken():
    credentials = pool(1, 2)
    credentials.failed(1, RateLimited("x", retry_after_s=9), 0)
    credentials.failed(2, RateLimited("x", retry_after_s=10), 0)
    assert pick(credentials, 8.9) is None


@pytest.mark.parametrize(
    ("error", "bar"),
    [(CredentialRejected("x"), "credential_rejected"), (QuotaExhausted("x"), "credential_out_of_quota")],
)
def test_a_refused_credential_is_out_for_five_minutes_and_not_called_missing(error, bar):
    credentials = pool(1, 2)
    assert credentials.failed(1, error, 0).for_s == 300
    assert {pick(credentials, 299, draw) for draw in (0, 0.5, 0.9)} == {2}
    credentials.failed(2, error, 0)
    assert (pick(credentials, 299), credentials.bar(299)) == (None, bar)
    assert {pick(credentials, 300, draw) for draw in (0, 0.9)} == {1, 2}


def test_other_errors_and_unknown_credentials_change_nothing():
    credentials = pool(1)
    assert credentials.failed(1, ServerFailed("x"), 0) is None
    assert credentials.failed(9, RateLimited("x"), 0) is None
    credentials.succeeded(9)
    assert credentials.bar(0) is None


def test_an_absurd_wait_is_cut_to_a_day():
    assert pool(1).failed(1, RateLimited("x", retry_after_s=1e12), 0).for_s == 86_400


def test_no_credentials_bar_a_provider_only_when_it_needs_one():
    assert pool().bar(0) == "no_credential"
    assert pool(needed=False).bar(0) is None
    assert pick(pool()) is None


def test_a_new_secret_starts_afresh_and_an_unchanged_one_does_not():
    credentials = pool(1, 2)
    for id in (1, 2):
        credentials.failed(id, CredentialRejected("x"), 0)
    credentials.sync((credential(1, secret="new"), credential(2)), needed=True)
    assert {pick(credentials, 299, draw) for draw in (0, 0.9)} == {1}


def test_a_wait_that_is_over_already_counts_as_none_named():
    credentials = pool(1)
    assert credentials.failed(1, RateLimited("x", retry_after_s=0), 0).for_s == 1
    assert credentials.usable_at == float("-inf")


def test_a_provider_without_credentials_is_left_alone_as_long_as_it_asks():
    credentials = pool(needed=False)
    assert credentials.pick(0, lambda: 0.5) is ANONYMOUS
    credentials.failed(ANONYMOUS.id, RateLimited("x", retry_after_s=30), 0)
    assert (pick(credentials, 29), pick(credentials, 30)) == (None, ANONYMOUS.id)


def test_knows_whether_another_credential_than_the_one_just_used_is_available():
    credentials = pool(1, 2)
    assert credentials.has_other(1, 0)
    credentials.failed(2, RateLimited("x", retry_after_s=30), 0)
    assert not credentials.has_other(1, 0)
    assert credentials.has_other(1, 30)
