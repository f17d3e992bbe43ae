"""One run of an export: rows in, lines out, a manifest at the end; interrupted, it goes on where it was.

Beside `FILE` there are while it runs: `FILE.part` (what is written so far), `FILE.part.json` (the checkpoint) and
`FILE.part.seen` (contents seen, with `dedupe`). At the end there are `FILE` and `FILE.manifest.json`, and nothing else.
"""

import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson
from django.db.models import Max

from providers.types import JsonObject
from routing.export.files import LineFile, sha256
from routing.export.formats import Skipped, content_of, encode, exchange_of
from routing.export.parquet import check_available, convert
from routing.export.query import ExportQuery, Row, read
from routing.export.seen import SeenContents
from routing.redaction import redact_json

SCHEMA_VERSION = 1
SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet")
TELL_EVERY = 2000


class ExportFailed(Exception):
    """The file cannot be written as asked; the message says why."""


@dataclass(slots=True, kw_only=True)
class Counts:
    """`skipped` and `redacted` by reason and kind."""

    read: int = 0
    written: int = 0
    duplicates: int = 0
    skipped: "Counter[str]" = field(default_factory=Counter)
    redacted: "Counter[str]" = field(default_factory=Counter)

    def render(self) -> JsonObject:
        return asdict(self) | {
            "skipped": dict(sorted(self.skipped.items())),
            "redacted": dict(sorted(self.redacted.items())),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """`total` rows may be read in all; `elapsed_s` seconds of this run."""

    read: int
    written: int
    total: int
    elapsed_s: float


@dataclass(slots=True, kw_only=True)
class _Checkpoint:
    """How far a run has come: `offset` bytes of the file hold everything up to row `row`."""

    query: JsonObject
    last: int
    total: int
    row: int = 0
    offset: int = 0
    counts: Counts = field(default_factory=Counts)

    def render(self) -> JsonObject:
        fields = {name: getattr(self, name) for name in ("query", "last", "total", "row", "offset")}
        return {**fields, "counts": self.counts.render()}

    @classmethod
    def read(cls, stored: Any) -> "_Checkpoint":
        counts = stored.pop("counts")
        for name in ("skipped", "redacted"):
            counts[name] = Counter(counts[name])
        return cls(counts=Counts(**counts), **stored)


class Export:
    """`revision` of the configuration goes into the manifest; `tell` hears of progress now and then."""

    def __init__(
        self,
        query: ExportQuery,
        path: Path,
        *,
        revision: int = 0,
        tell: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        if not path.name.endswith(SUFFIXES):
            raise ExportFailed(f"The file's name must end in {', '.join(SUFFIXES)}, not '{path.name}'.")
        self._query = query
        self._path = path
        self._revision = revision
        self._tell = tell
        self._part = path.with_name(path.name + ".part")
        self._state = path.with_name(path.name + ".part.json")
        self._seen_path = path.with_name(path.name + ".part.seen")
        self.resumed = False

    def run(self) -> JsonObject:
        """Writes the file and returns its manifest. Raises ExportFailed and ParquetUnavailable."""
        if self._path.name.endswith(".parquet"):
            check_available()
        if not self._path.parent.is_dir():
            raise ExportFailed(f"There is no folder {self._path.parent}.")
        checkpoint = self._begin()
        with contextlib.ExitStack() as stack:
            seen = self._open_seen(checkpoint, stack)
            file = LineFile(self._part, gzip=self._path.name.endswith(".gz"), offset=checkpoint.offset)
            stack.callback(file.close)
            self._write(checkpoint, file, seen)
        return self._finish(checkpoint.counts)

    def _begin(self) -> _Checkpoint:
        """Where an interrupted run of the same query stopped, or the start."""
        asked = self._query.render()
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            checkpoint = _Checkpoint.read(orjson.loads(self._state.read_bytes()))
            if checkpoint.query == asked and self._part.stat().st_size >= checkpoint.offset:
                self.resumed = True
                return checkpoint
        for path in (self._part, self._state, self._seen_path):
            path.unlink(missing_ok=True)
        rows = self._query.rows()
        last = last_row(self._query)
        return _Checkpoint(query=asked, last=last, total=rows.filter(id__lte=last).order_by().count())

    def _open_seen(self, checkpoint: _Checkpoint, stack: contextlib.ExitStack) -> SeenContents | None:
        if not self._query.dedupe:
            return None
        seen = SeenContents(self._seen_path)
        stack.callback(seen.close)
        seen.forget_after(checkpoint.row)
        return seen

    def _write(self, checkpoint: _Checkpoint, file: LineFile, seen: SeenContents | None) -> None:
        began = time.monotonic()
        counts = checkpoint.counts
        for row in read(self._query, after=checkpoint.row, last=checkpoint.last):
            line = line_of(self._query, row, counts, seen)
            if line is not None and file.add(line):
                self._save(checkpoint, file, seen, row.id)
            if counts.read % TELL_EVERY == 0:
                self._tell(self._progress(checkpoint, began))
        checkpoint.offset = file.end_segment()
        self._tell(self._progress(checkpoint, began))

    def _save(self, checkpoint: _Checkpoint, file: LineFile, seen: SeenContents | None, row: int) -> None:
        checkpoint.offset = file.end_segment()
        checkpoint.row = row
        if seen is not None:
            seen.save()
        _replace(self._state, orjson.dumps(checkpoint.render()))

    def _progress(self, checkpoint: _Checkpoint, began: float) -> Progress:
        counts = checkpoint.counts
        elapsed_s = time.monotonic() - began
        return Progress(read=counts.read, written=counts.written, total=checkpoint.total, elapsed_s=elapsed_s)

    def _finish(self, counts: Counts) -> JsonObject:
        done = self._part
        if self._path.name.endswith(".parquet"):
            done = self._path.with_name(self._path.name + ".part.parquet")
            convert(self._part, done, self._query.format)
        manifest = manifest_of(
            self._query,
            self._path.name,
            revision=self._revision,
            counts=counts,
            size=done.stat().st_size,
            sha256=sha256(done),
        )
        done.replace(self._path)
        _replace(
            self._path.with_name(self._path.name + ".manifest.json"), orjson.dumps(manifest, option=orjson.OPT_INDENT_2)
        )
        for path in (self._part, self._state, self._seen_path):
            path.unlink(missing_ok=True)
        return manifest


def line_of(query: ExportQuery, row: Row, counts: Counts, seen: SeenContents | None) -> bytes | None:
    """The line of a row, with its line feed; None for what is skipped. Either is counted."""
    counts.read += 1
    try:
        exchange = exchange_of(row)
        if query.redact:
            request, answer = exchange
            exchange = redact_json(request, counts.redacted), redact_json(answer, counts.redacted)
        line = orjson.dumps(encode(query.format, row, exchange))
    except Skipped as skipped:
        counts.skipped[skipped.reason] += 1
        return None
    if seen is not None and not seen.is_new(content_of(query.format, line, exchange), row.id):
        counts.duplicates += 1
        return None
    counts.written += 1
    return line + b"\n"


def last_row(query: ExportQuery) -> int:
    """The number of the newest row that is there now: what comes later is not in this export."""
    return query.rows().order_by().aggregate(last=Max("id"))["last"] or 0


def manifest_of(query: ExportQuery, file: str, *, revision: int, counts: Counts, size: int, sha256: str) -> JsonObject:
    """`size` in bytes; `sha256` in hexadecimal."""
    return {
        "file": file,
        "schema": {"format": query.format, "version": SCHEMA_VERSION},
        "query": query.render(),
        "revision": revision,
        "counts": counts.render(),
        "bytes": size,
        "sha256": sha256,
    }


def _replace(path: Path, data: bytes) -> None:
    """All of it or nothing, whenever the machine stops."""
    new = path.with_name(path.name + ".new")
    with new.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
