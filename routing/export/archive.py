"""An export as a ZIP file that is made while it is read: the lines, then their manifest. For a download.

Nothing waits for the whole: memory holds one portion of rows and one piece of the archive, whatever the number of rows.
The lines are those that `Export` would write into a file, byte for byte, and the same query makes the same archive.
"""

import io
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path

import orjson

from routing.export.exporter import Counts, last_row, line_of, manifest_of
from routing.export.query import ExportQuery, read
from routing.export.seen import SeenContents

LINES = "dataset.jsonl"
MANIFEST = "dataset.jsonl.manifest.json"
PIECE_BYTES = 256 * 1024
ROWS_PER_PIECE = 2000
_LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The earliest moment a ZIP file can name: the bytes shall not depend on when they were made."""


class _Pipe(io.RawIOBase):
    """What `zipfile` writes to; it cannot seek, so every entry is followed by its sizes."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._pieces.append(bytes(data))
        self.size += len(data)
        return len(data)

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        self.size = 0
        return taken


def archive(query: ExportQuery, *, revision: int) -> Iterator[bytes]:
    """Pieces of about PIECE_BYTES. Some are empty: nothing passed for ROWS_PER_PIECE rows, and whoever waits may stop."""
    pipe = _Pipe()
    counts, digest, size = Counts(), sha256(), 0
    with ExitStack() as stack:
        seen = _open_seen(query, stack)
        bundle = stack.enter_context(zipfile.ZipFile(pipe, "w"))
        with bundle.open(_entry(LINES), "w", force_zip64=True) as file:
            for row in read(query, after=0, last=last_row(query)):
                line = line_of(query, row, counts, seen)
                if line is not None:
                    file.write(line)
                    digest.update(line)
                    size += len(line)
                if pipe.size >= PIECE_BYTES or counts.read % ROWS_PER_PIECE == 0:
                    yield pipe.take()
        manifest = manifest_of(query, LINES, revision=revision, counts=counts, size=size, sha256=digest.hexdigest())
        bundle.writestr(_entry(MANIFEST), orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
    yield pipe.take()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _LONG_AGO)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o600 << 16
    return entry


def _open_seen(query: ExportQuery, stack: ExitStack) -> SeenContents | None:
    if not query.dedupe:
        return None
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="llm-proxy-export-")))
    seen = SeenContents(folder / "seen")
    stack.callback(seen.close)
    return seen
