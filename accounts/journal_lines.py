"""The lines of a journal as bytes. Pure.

Each begins with a letter, followed by JSON:

    a  an attempt is about to be sent:  [owner, intent]
    p  so many output tokens delivered: [call_id, attempt, output_tokens]
    s  the call is settled:             for each attempt what it has of its own, a tab, and what many calls share
    r  released: nothing is to be paid: [call_id]

`owner` is [call_id, request_id, created_at, key_id, team_id, bookings], `bookings` are (lease id, budget period id)
pairs; where a call cost more than its lease can pay, what that does pay follows, in nano-USD and tokens. What many calls
share are the first fields of `CallRecord`; an attempt's own are the owner's, the other fields, and the bookings. So what is
shared by a thousand calls is the same text in each line, and read once.
"""

from collections.abc import Sequence
from typing import Any

import orjson

from accounts.records import CEILING, SHARED, RecordFields

ATTEMPT, PROGRESS, SETTLED, RELEASED = b"apsr"
PARTED = b"\t"

Bookings = tuple[tuple[int, ...], ...]
Owner = tuple[str, str, float, int, int | None, Bookings]


def encoded(value: Any) -> bytes:
    try:
        return orjson.dumps(value, tuple)
    except TypeError:
        return orjson.dumps(_encodable(value))


def settled(owner: Owner, records: Sequence[RecordFields]) -> bytes:
    """An `s` line without its letter."""
    if len(records) > 1:
        return PARTED.join([settled(owner, (record,)) for record in records])
    record = records[0]
    return encoded((*owner[:5], *record[SHARED:], owner[5])) + PARTED + encoded(record[:SHARED])


def _encodable(value: Any) -> Any:
    """What an upstream made up (an integer beyond 64 bits, half a surrogate pair) must not keep a call unwritten."""
    if isinstance(value, tuple | list):
        return [_encodable(item) for item in value]
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, int) and not isinstance(value, bool):
        return max(0, min(value, CEILING))
    return value
