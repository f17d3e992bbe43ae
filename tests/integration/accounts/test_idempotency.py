from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from accounts.idempotency import (
    GIVEN_UP_AFTER,
    IdempotencyInFlight,
    IdempotencyMismatch,
    StoredAnswer,
    abandon,
    begin,
    finish,
)
from accounts.models import IdempotencyRecord

pytestmark = pytest.mark.django_db(transaction=True)


def attempt(body: bytes = b"{}", key_id: int = 1, key: str = "k") -> StoredAnswer | None:
    return begin(key_id=key_id, idempotency_key=key, body=body, request_id="req_1")


def test_the_second_call_gets_the_first_answer():
    assert attempt() is None
    finish(key_id=1, idempotency_key="k", status=200, headers=[("content-type", "application/json")], body=b"answer")

    assert attempt() == StoredAnswer(
        request_id="req_1", status=200, headers=(("content-type", "application/json"),), body=b"answer"
    )


def test_another_body_is_refused_and_another_api_key_is_not_concerned():
    attempt()
    with pytest.raises(IdempotencyMismatch):
        attempt(b"other")
    assert attempt(b"other", key_id=2) is None


def test_a_running_call_is_not_repeated_until_it_is_given_up():
    attempt()
    with pytest.raises(IdempotencyInFlight):
        attempt()
    IdempotencyRecord.objects.update(created_at=timezone.now() - GIVEN_UP_AFTER)
    assert attempt() is None


def test_an_abandoned_call_may_be_tried_again():
    attempt()
    abandon(key_id=1, idempotency_key="k")
    assert attempt() is None


def test_answers_are_forgotten_after_a_day():
    attempt()
    finish(key_id=1, idempotency_key="k", status=200, headers=[], body=b"")
    IdempotencyRecord.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert attempt(b"other") is None


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_unusable_keys_are_refused(key):
    with pytest.raises(IdempotencyMismatch):
        attempt(key=key)


def test_of_many_at_once_exactly_one_is_the_first():
    def one(_: int) -> str:
        try:
            return "first" if attempt() is None else "stored"
        except IdempotencyInFlight:
            return "in flight"
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(one, range(24)))
    assert outcomes.count("first") == 1
    assert outcomes.count("in flight") == 23
