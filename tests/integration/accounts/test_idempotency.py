import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from accounts.admission import Accounts
from accounts.errors import AccountsUnavailable
from accounts.idempotency import (
    Claim,
    IdempotencyInFlight,
    IdempotencyMismatch,
    StoredAnswer,
    UnusableIdempotencyKey,
    abandon,
    begin,
    finish,
)
from accounts.models import IdempotencyRecord
from accounts.records import AccountsSettings
from proxy_site.worker import accounts_settings
from routing.table import GatewayPolicy

pytestmark = pytest.mark.django_db(transaction=True)
GIVEN_UP_AFTER = timedelta(minutes=11)


def claimed(body: bytes = b"{}", key_id: int = 1, key: str = "k", request_id: str = "req_1") -> Claim:
    return Claim(key_id=key_id, idempotency_key=key, body=body, request_id=request_id)


def attempt(body: bytes = b"{}", **of: Any) -> StoredAnswer | None:
    return begin(claimed(body, **of), given_up_after=GIVEN_UP_AFTER)


def end(body: bytes = b"", request_id: str = "req_1") -> None:
    headers = (("content-type", "application/json"),)
    answer = StoredAnswer(request_id=request_id, status=200, headers=headers, body=body)
    finish(claimed(request_id=request_id), answer)


def test_the_second_call_gets_the_first_answer():
    assert attempt() is None
    end(b"answer")

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


def test_an_answer_that_comes_after_its_call_was_given_up_is_nobodys():
    attempt(b"first")
    IdempotencyRecord.objects.update(created_at=timezone.now() - GIVEN_UP_AFTER)
    attempt(b"second", request_id="req_2")
    end(b"answer of the first")
    with pytest.raises(IdempotencyInFlight):
        attempt(b"second", request_id="req_3")

    end(b"answer of the second", request_id="req_2")
    found = attempt(b"second", request_id="req_3")
    assert found is not None
    assert found.body == b"answer of the second"


def test_an_abandoned_call_may_be_tried_again():
    attempt()
    abandon(claimed(request_id="req_2"))
    with pytest.raises(IdempotencyInFlight):
        attempt()
    abandon(claimed())
    assert attempt() is None


@contextmanager
def frozen() -> Iterator[None]:
    """Nobody can write a claim meanwhile."""
    freeze, thaw = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            attempt()
            freeze.set()
            thaw.wait(10)
            transaction.set_rollback(True)
        connection.close()

    with ThreadPoolExecutor(1) as threads:
        held = threads.submit(hold)
        assert freeze.wait(5)
        yield
        thaw.set()
        held.result()


async def test_a_claim_that_succeeds_after_its_caller_was_refused_blocks_nobody(tmp_path):
    claim = Claim(key_id=1, idempotency_key="k", body=b"{}", request_id="req_1")
    accounts = Accounts(pepper=settings.KEY_PEPPER, data_dir=tmp_path)
    accounts.configure(AccountsSettings(sql_timeout_s=0.2))
    with frozen(), pytest.raises(AccountsUnavailable):
        await accounts.claim(claim)
    accounts.configure(AccountsSettings(sql_timeout_s=10.0))
    await asyncio.sleep(0.5)  # the claim that was waited for in vain is made meanwhile

    started, repeated = time.monotonic(), replace(claim, request_id="req_2")
    while True:
        with suppress(IdempotencyInFlight):
            assert await accounts.claim(repeated) is None
            break
        assert time.monotonic() - started < 5.0, "nobody has the claim, and it keeps all others out"
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.2)
    with pytest.raises(IdempotencyInFlight):
        await accounts.claim(replace(claim, request_id="req_3"))
    await accounts.aclose()


async def test_where_calls_may_last_longer_a_running_one_is_not_repeated_sooner(tmp_path):
    claim = Claim(key_id=1, idempotency_key="k", body=b"{}", request_id="req_1")
    accounts = Accounts(pepper=settings.KEY_PEPPER, data_dir=tmp_path)
    accounts.configure(accounts_settings(GatewayPolicy(request_timeout_s=3600.0)))
    assert await accounts.claim(claim) is None
    await IdempotencyRecord.objects.aupdate(created_at=timezone.now() - timedelta(minutes=59))
    with pytest.raises(IdempotencyInFlight):
        await accounts.claim(replace(claim, request_id="req_2"))
    await IdempotencyRecord.objects.aupdate(created_at=timezone.now() - timedelta(minutes=62))
    assert await accounts.claim(replace(claim, request_id="req_3")) is None
    await accounts.aclose()


def test_leases_and_claims_outlive_the_longest_call_that_is_allowed():
    graces = [accounts_settings(GatewayPolicy(request_timeout_s=each)).lease_grace_s for each in (1.0, 600.0, 86_400.0)]
    assert graces == [660.0, 660.0, 86_460.0]


def test_answers_are_forgotten_after_a_day():
    attempt()
    end()
    IdempotencyRecord.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert attempt(b"other") is None


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_unusable_keys_are_refused_and_not_as_used_before(key):
    with pytest.raises(UnusableIdempotencyKey) as refused:
        attempt(key=key)
    assert (refused.value.status, refused.value.code) == (400, "invalid_idempotency_key")


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
