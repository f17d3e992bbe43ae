"""From journal lines to ledger rows. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from accounts import journal_lines
from accounts.journal_lines import PARTED
from accounts.pricing import cost_nano_usd
from accounts.records import CEILING, SHARED, AttemptIntent, CallRecord, Rates, Tokens

STATUS_UNKNOWN = 499
OWN = ("call_id", "request_id", "created_at", "key_id", "team_id", *CallRecord._fields[SHARED:], "bookings")
CREATED_AT, KEY, TEAM, TOKENS, COST, PROVIDER_COST, BOOKINGS = 2, 3, 4, slice(5, 10), 10, 11, -1
"""Where they are in a row: `TOKENS` are input, output, cached, cache-write and reasoning tokens."""

WITHOUT_SEARCHES = SHARED - 1
"""So many values are shared in lines of the version before."""

Row = list[Any]
"""In the order of OWN."""


class Rows(NamedTuple):
    """Ledger rows to be, and what all of them share, in the order of `CallRecord`."""

    shared: list[Any]
    own: list[Row]


# Parsed in one go: enough to spread the overhead of a call, and few enough to stay in the processor's cache.
AT_ONCE = 20


def ledger_rows(lines: Iterable[bytes]) -> list[Rows]:
    """Of `s` lines. Raises ValueError if one of them is damaged."""
    rows: defaultdict[bytes, list[bytes]] = defaultdict(list)
    for line in lines:
        pieces = line[1:].split(PARTED)
        if len(pieces) == 2:
            own, shared = pieces
            rows[shared].append(own)
        else:
            _several(line, pieces, rows)
    try:
        return [Rows(_shared(shared), _own(texts)) for shared, texts in rows.items()]
    except TypeError as error:
        raise ValueError(f"a line that holds other values: {error}") from error


def _several(line: bytes, pieces: list[bytes], rows: defaultdict[bytes, list[bytes]]) -> None:
    if len(pieces) == 1:
        pieces = _of_today(line).split(PARTED)
    for own, shared in zip(pieces[::2], pieces[1::2], strict=True):
        rows[shared].append(own)


def _shared(text: bytes) -> list[Any]:
    values: list[Any] = orjson.loads(text)
    if len(values) == WITHOUT_SEARCHES:
        values.append(0)
    if len(values) != SHARED:
        raise ValueError("a line whose shared part is incomplete")
    return values


def _own(texts: Sequence[bytes]) -> list[Row]:
    found: list[Row] = []
    for start in range(0, len(texts), AT_ONCE):
        found += orjson.loads(b"[" + b",".join(texts[start : start + AT_ONCE]) + b"]")
    if len(found) != len(texts) or set(map(len, found)) != {len(OWN)}:
        raise ValueError("a line that holds no settlement, or more than one")
    columns = list(zip(*found, strict=True))
    told = max(map(max, columns[TOKENS]))
    paid = max(max(filter(None, columns[place]), default=0) for place in (COST, PROVIDER_COST))
    if told > CEILING or paid > CEILING:
        for row in found:
            _bound(row)
    return found


def _bound(row: Row) -> None:
    """No call has more than the ceiling, whatever its upstream said."""
    for place in (*range(TOKENS.start, TOKENS.stop), COST, PROVIDER_COST):
        if row[place] is not None:
            row[place] = min(row[place], CEILING)


# In the journals of the versions before: [owner, [record …]], with the fields of a record in this order.
FORMERLY = (
    "attempt", "status", "usage_source", "provider", "deployment", "model", "upstream_model", "endpoint", "stream", "final",
    "input_tokens", "output_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens", "cost_nano_usd",
    "provider_cost_nano_usd", "error_code", "duration_ms", "time_to_first_token_ms", "cache", "tags", "revision",
)  # fmt: skip


def _of_today(line: bytes) -> bytes:
    """A worker of an older version may have left it."""
    owner, records = orjson.loads(line[1:])
    # The last fields may be missing.
    return journal_lines.settled(owner, [CallRecord(**dict(zip(FORMERLY, values, strict=False))) for values in records])


@dataclass(slots=True)
class _Open:
    owner: Any
    intent: AttemptIntent
    delivered: int = 0


def replay(lines: Iterable[bytes]) -> tuple[list[bytes], int]:
    """Folds a dead worker's journal to `s` lines: settled calls as they were, open attempts as estimated at their prompt
    and what was delivered so far. Returns them and the number of damaged lines (a torn last line is one)."""
    settled: list[bytes] = []
    open_attempts: dict[str, dict[int, _Open]] = {}
    damaged = 0
    for line in lines:
        if not line:
            continue
        try:
            _fold(line, settled, open_attempts)
        except (ValueError, TypeError, KeyError):
            damaged += 1
    settled += [b"s" + _estimated(attempts) for attempts in open_attempts.values()]
    return settled, damaged


def _fold(line: bytes, settled: list[bytes], open_attempts: dict[str, dict[int, _Open]]) -> None:
    kind = line[:1]
    if kind == b"s":
        call_id = ledger_rows((line,))[0].own[0][0]
        settled.append(line)
        open_attempts.pop(call_id, None)
        return
    value = orjson.loads(line[1:])
    if kind == b"a":
        owner, values = value
        intent = AttemptIntent(*values)
        if intent.rates is not None:
            intent = intent._replace(rates=Rates(*intent.rates))
        open_attempts.setdefault(owner[0], {})[intent.attempt] = _Open(owner, intent)
    elif kind == b"p":
        call_id, attempt, delivered = value
        if attempt in open_attempts.get(call_id, {}):
            open_attempts[call_id][attempt].delivered = delivered
    elif kind == b"r":
        open_attempts.pop(value[0], None)
    else:
        raise ValueError(f"unknown journal line {kind!r}")


def _estimated(attempts: dict[int, _Open]) -> bytes:
    """The attempt that has delivered answered, which the last one need not have (a hedge); of none that has, the last."""
    answered = max(attempts, key=lambda number: (attempts[number].delivered, number))
    records = [_record(attempt, final=number == answered) for number, attempt in sorted(attempts.items())]
    return journal_lines.settled(attempts[answered].owner, records)


def _record(attempt: _Open, *, final: bool) -> CallRecord:
    intent = attempt.intent
    tokens = Tokens(input=intent.input_tokens, output=attempt.delivered)
    cost = None if intent.rates is None else cost_nano_usd(tokens, intent.rates)
    return CallRecord(
        attempt=intent.attempt,
        status=STATUS_UNKNOWN,
        usage_source="estimated",
        provider=intent.provider,
        deployment=intent.deployment,
        model=intent.model,
        upstream_model=intent.upstream_model,
        endpoint=intent.endpoint,
        stream=intent.stream,
        final=final,
        error_code="worker_lost",
        revision=intent.revision,
        input_tokens=tokens.input,
        output_tokens=tokens.output,
        cost_nano_usd=cost if final else 0,
        provider_cost_nano_usd=cost,
    )
