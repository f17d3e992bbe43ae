"""Which rows are exported, and reading them in order of their number without holding more than a few at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from django.db.models import Q, QuerySet
from django.db.models.functions import Substr
from django.db.models.lookups import Exact

from providers.types import JsonObject
from routing.models import PayloadRecord

Format = Literal["openai", "sharegpt", "raw"]

MOST_ROWS = 1000
PAGE_BYTES = 8 * 1024 * 1024
"""Rows are read in portions of about this size; the next portion's number of rows follows from the last one's size."""


class Row(NamedTuple):
    """What training formats need comes first; the rest is only read for the raw format, because moments and many columns
    take a third of the time."""

    id: int
    endpoint: str
    status: int
    input_tokens: int
    output_tokens: int
    request: str
    response: str
    request_id: str = ""
    created_at: datetime | None = None
    key_name: str = ""
    team: str = ""
    model: str = ""
    stream: bool = False
    provider: str = ""
    upstream_model: str = ""
    cache: str = ""


NEEDED = Row._fields[:7]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportQuery:
    """`since` is included, `until` is not. `models` are names, with `*` at the end for all that begin so. `key` is a
    key's number or name. `status` is a code, or the first digit of a class of codes; None: what the format can use."""

    format: Format
    since: datetime | None = None
    until: datetime | None = None
    models: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    key: str = ""
    status: int | None = None
    min_tokens: int = 0
    redact: bool = False
    dedupe: bool = False

    def render(self) -> JsonObject:
        return {
            "format": self.format,
            "from": None if self.since is None else self.since.isoformat(),
            "to": None if self.until is None else self.until.isoformat(),
            "models": list(self.models),
            "teams": list(self.teams),
            "key": self.key,
            "status": self.status,
            "min_tokens": self.min_tokens,
            "redact": self.redact,
            "dedupe": self.dedupe,
        }

    def rows(self) -> "QuerySet[PayloadRecord]":
        found = PayloadRecord.objects.order_by("id")
        if self.since is not None:
            found = found.filter(created_at__gte=self.since)
        if self.until is not None:
            found = found.filter(created_at__lt=self.until)
        if self.models:
            found = found.filter(_any_model(self.models))
        if self.teams:
            found = found.filter(team__in=self.teams)
        if self.key:
            found = found.filter(Q(key_id=int(self.key)) if self.key.isdecimal() else Q(key_name=self.key))
        status = self.status if self.status is not None or self.format == "raw" else 200
        if status is not None:
            found = (
                found.filter(status=status)
                if status >= 100
                else found.filter(status__gte=status * 100, status__lt=status * 100 + 100)
            )
        return found


def _any_model(models: tuple[str, ...]) -> Q:
    wanted = Q()
    for name in models:
        wanted |= _begins(name[:-1]) if name.endswith("*") else Q(model=name)
    return wanted


def _begins(start: str) -> Q:
    """Not LIKE, which ignores case in SQLite and heeds it in PostgreSQL: the same query finds the same rows in both."""
    return Q(Exact(Substr("model", 1, len(start)), start))


def read(query: ExportQuery, *, after: int, last: int) -> Iterator[Row]:
    """Rows numbered above `after`, up to `last`. Each portion is a query of its own, so nothing is held open."""
    size = MOST_ROWS // 4
    min_tokens = query.min_tokens
    columns = Row._fields if query.format == "raw" else NEEDED
    while True:
        rows = query.rows().filter(id__gt=after, id__lte=last).values_list(*columns)[:size]
        page = [Row(*values) for values in rows]
        for row in page:
            if row.input_tokens + row.output_tokens >= min_tokens:
                yield row
        if len(page) < size:
            return
        after = page[-1].id
        held = sum(len(row.request) + len(row.response) for row in page) // len(page) + 1
        size = max(1, min(MOST_ROWS, PAGE_BYTES // held))
