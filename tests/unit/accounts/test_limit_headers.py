from accounts.header_lines import header_pairs
from accounts.limit_headers import rate_lines, refusal_headers, refusal_of
from accounts.limit_store import Refused
from accounts.records import LimitRule

KEY = LimitRule(scope="key:1", kind="requests", limit=10, window_s=60)
TEAM = LimitRule(scope="team:2", kind="requests", limit=100, window_s=60)
TOKENS = LimitRule(scope="key:1", kind="tokens", limit=1000, window_s=60)
RUNNING = LimitRule(scope="key:1", kind="concurrency", limit=2)


def test_headers_show_the_tightest_rule_of_each_kind():
    states = ((10, 9, 6.0), (100, 3, 0.0121), (1000, 900, 61.5), (2, 1, 0.0))
    headers = dict(header_pairs(rate_lines((KEY, TEAM, TOKENS, RUNNING), states)))

    assert headers == {
        b"x-ratelimit-limit-requests": b"100",
        b"x-ratelimit-remaining-requests": b"3",
        b"x-ratelimit-reset-requests": b"13ms",
        b"x-ratelimit-limit-tokens": b"1000",
        b"x-ratelimit-remaining-tokens": b"900",
        b"x-ratelimit-reset-tokens": b"61.5s",
    }


def test_a_key_with_only_a_concurrency_limit_has_no_rate_headers():
    assert rate_lines((RUNNING,), ((2, 1, 0.0),)) == b""


def test_a_refusal_says_when_to_come_back():
    refused = Refused(KEY, 2.0501, ((10, 0, 60.0),))
    headers = dict(refusal_headers((KEY,), refused))

    assert headers[b"retry-after"] == b"3"
    assert headers[b"retry-after-ms"] == b"2051"
    assert refusal_of(refused) == "Rate limit reached: 10 requests per 60 s for this key. Try again in 2.050 s."


def test_a_call_larger_than_the_limit_is_told_not_to_retry():
    refused = Refused(TOKENS, None, ((1000, 1000, 0.0),))

    assert (b"x-should-retry", b"false") in refusal_headers((TOKENS,), refused)
    assert "alone is larger" in refusal_of(refused)


def test_too_many_at_once_is_worth_a_retry():
    refused = Refused(RUNNING, None, ((2, 0, 0.0),))

    assert refusal_headers((RUNNING,), refused) == ((b"retry-after", b"1"),)
    assert "2 running" in refusal_of(refused)
