"""Idempotency-Key for calls that do not stream: the same key and body within 24 h get the first answer again.

One row per (API key, Idempotency-Key), inserted before the call: the unique constraint decides who is first, across
workers. Runs in threads.
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.errors import AccessDenied
from accounts.models import IdempotencyRecord

KEPT_FOR = timedelta(hours=24)
LONGEST_KEY = 255


class UnusableIdempotencyKey(AccessDenied):
    status = 400
    code = "invalid_idempotency_key"
    kind = "idempotency"


class IdempotencyMismatch(AccessDenied):
    status = 422
    code = "idempotency_mismatch"
    kind = "idempotency"


class IdempotencyInFlight(AccessDenied):
    status = 409
    code = "idempotency_in_flight"
    kind = "idempotency"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    request_id: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One use of an Idempotency-Key. `body` is whatever must be equal for a call to count as the same."""

    key_id: int
    idempotency_key: str
    body: bytes
    request_id: str


def begin(claim: Claim, *, given_up_after: timedelta) -> StoredAnswer | None:
    """None: the caller is the first and must `finish` or `abandon`. Raises UnusableIdempotencyKey (its length),
    IdempotencyMismatch (another body) or IdempotencyInFlight (the first call still runs). `given_up_after`: a call that
    ended without an answer (its worker was killed) may be tried again after as long as the longest call there is."""
    if not 1 <= len(claim.idempotency_key) <= LONGEST_KEY:
        raise UnusableIdempotencyKey(f"An Idempotency-Key has 1 to {LONGEST_KEY} characters.", param="Idempotency-Key")
    digest, now = hashlib.sha256(claim.body).hexdigest(), timezone.now()
    mine = _rows(claim)
    mine.filter(expires_at__lte=now).delete()
    mine.filter(status__isnull=True, created_at__lte=now - given_up_after).delete()
    try:
        with transaction.atomic():
            IdempotencyRecord.objects.create(
                key_id=claim.key_id,
                idempotency_key=claim.idempotency_key,
                body_hash=digest,
                request_id=claim.request_id,
                expires_at=now + KEPT_FOR,
            )
    except IntegrityError:
        return _stored(claim, digest)
    return None


def _rows(claim: Claim) -> QuerySet[IdempotencyRecord]:
    """Of its key: one, or none."""
    return IdempotencyRecord.objects.filter(key_id=claim.key_id, idempotency_key=claim.idempotency_key)


def _stored(claim: Claim, digest: str) -> StoredAnswer:
    row = _rows(claim).first()
    if row is not None and row.body_hash != digest:
        raise IdempotencyMismatch("This Idempotency-Key was used with another body.", param="Idempotency-Key")
    if row is None or row.status is None:
        raise IdempotencyInFlight("A call with this Idempotency-Key is still running.", param="Idempotency-Key")
    return StoredAnswer(
        request_id=row.request_id,
        status=row.status,
        headers=tuple((name, value) for name, value in row.headers),
        body=bytes(row.body or b""),
    )


def finish(claim: Claim, answer: StoredAnswer) -> None:
    """Keeps the answer for whoever repeats the call. Only for answers worth repeating: below 500, not 429. One that comes
    after it was given up is kept by nobody: the claim is another call's, maybe of another body."""
    _unanswered(claim).update(status=answer.status, headers=[list(pair) for pair in answer.headers], body=answer.body)


def abandon(claim: Claim) -> None:
    """The call failed in a way that a repetition may mend: the next one is the first again."""
    _unanswered(claim).delete()


def _unanswered(claim: Claim) -> QuerySet[IdempotencyRecord]:
    """Of this very call."""
    return _rows(claim).filter(request_id=claim.request_id, status__isnull=True)
