"""From journal lines to what is booked. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from accounts.pricing import cost_nano_usd
from accounts.records import CEILING, AttemptIntent, CallRecord, Rates, Tokens

STATUS_UNKNOWN = 499


class Settlement(NamedTuple):
    """All attempts of one ended call, and the leases that pay for it: (lease id, budget period id), and for a call that
    cost more than its lease can pay also the nano-USD and tokens that it pays."""

    call_id: str
    request_id: str
    created_at: float
    key_id: int
    team_id: int | None
    bookings: tuple[tuple[int, ...], ...]
    records: tuple[CallRecord, ...]


# Parsed in one go: enough to spread the overhead of a call, and few enough to stay in the processor's cache.
LINES_AT_ONCE = 20
FIELDS = len(CallRecord._fields)
TOLD = slice(CallRecord._fields.index("input_tokens"), CallRecord._fields.index("provider_cost_nano_usd") + 1)
"""The seven numbers that an upstream tells: five counts of tokens, what the client pays and what it costs us."""


def settlements(lines: Sequence[bytes]) -> list[Settlement]:
    """Of `s` lines. Raises ValueError or TypeError if one of them is damaged."""
    found = []
    for start in range(0, len(lines), LINES_AT_ONCE):
        text = b",".join([line[1:] for line in lines[start : start + LINES_AT_ONCE]])
        values = orjson.loads(b"[" + text + b"]")
        found += [_settlement(owner, [_record(record) for record in records]) for owner, records in values]
    if len(found) != len(lines):
        raise ValueError("a line that holds no settlement, or more than one")
    return found


def _record(values: Sequence[Any]) -> CallRecord:
    """Bounded: no call has more than the ceiling, whatever its upstream said."""
    # A line of an older version may lack the last fields.
    record = tuple.__new__(CallRecord, values) if len(values) == FIELDS else CallRecord(*values)
    told: Sequence[Any] = record[TOLD]  # type: ignore[assignment]
    given, made, cached, written, thought, cost, paid = told
    if (
        given <= CEILING and made <= CEILING and cached <= CEILING and written <= CEILING and thought <= CEILING
        and (cost is None or cost <= CEILING) and (paid is None or paid <= CEILING)
    ):  # fmt: skip
        return record
    bounded = [None if value is None else min(value, CEILING) for value in told]
    return CallRecord._make((*record[: TOLD.start], *bounded, *record[TOLD.stop :]))


@dataclass(slots=True)
class _Open:
    owner: list[Any]
    intent: AttemptIntent
    delivered: int = 0


def replay(lines: Iterable[bytes]) -> tuple[list[Settlement], int]:
    """Folds a dead worker's journal: settled calls as they were, open attempts as estimated at their prompt and what
    was delivered so far. Returns them and the number of damaged lines (a torn last line is one)."""
    settled: list[Settlement] = []
    open_attempts: dict[str, dict[int, _Open]] = {}
    damaged = 0
    for line in lines:
        if not line:
            continue
        try:
            _fold(line, settled, open_attempts)
        except (ValueError, TypeError, KeyError):
            damaged += 1
    for attempts in open_attempts.values():
        answered = _answered(attempts)
        records = [_estimated(attempt, final=number == answered) for number, attempt in sorted(attempts.items())]
        settled.append(_settlement(attempts[answered].owner, records))
    return settled, damaged


def _fold(line: bytes, settled: list[Settlement], open_attempts: dict[str, dict[int, _Open]]) -> None:
    kind = line[:1]
    if kind == b"s":
        found = settlements((line,))
        settled += found
        open_attempts.pop(found[0].call_id, None)
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


def _answered(attempts: dict[int, _Open]) -> int:
    """The attempt that has delivered, which the last one need not be (a hedge); of none that has, the last."""
    return max(attempts, key=lambda number: (attempts[number].delivered, number))


def _settlement(owner: list[Any], records: list[CallRecord]) -> Settlement:
    call_id, request_id, created_at, key_id, team_id, bookings = owner
    leases = tuple(map(tuple, bookings)) if bookings else ()
    return tuple.__new__(Settlement, (call_id, request_id, created_at, key_id, team_id, leases, tuple(records)))


def _estimated(attempt: _Open, *, final: bool) -> CallRecord:
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
        input_tokens=tokens.input,
        output_tokens=tokens.output,
        cost_nano_usd=cost if final else 0,
        provider_cost_nano_usd=cost,
        error_code="worker_lost",
        revision=intent.revision,
    )
