"""The file that grows: lines in segments, each of which can be taken as the end when a run is interrupted.

A segment ends after a number of lines or bytes, never by time, so the same lines make the same bytes. With gzip each
segment is a member of its own, which every reader of gzip reads as one stream.
"""

import hashlib
import os
import zlib
from pathlib import Path

LINES = 10_000
BYTES = 16 * 1024 * 1024
GZIP_LEVEL = 6
_GZIP = 31
"""zlib's window bits for gzip; its header holds no time and no name."""


class LineFile:
    """Opens `path` at `offset` bytes, cutting off what is behind it."""

    def __init__(self, path: Path, *, gzip: bool, offset: int = 0) -> None:
        self._gzip = gzip
        self._file = path.open("r+b" if path.exists() else "w+b")
        self._file.truncate(offset)
        self._file.seek(offset)
        self._compress = self._compressor()
        self._lines = 0
        self._bytes = 0

    def _compressor(self) -> "zlib._Compress | None":
        return zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, _GZIP) if self._gzip else None

    def add(self, line: bytes) -> bool:
        """Writes a line (with its line feed); True when the segment is full: `end_segment` is then due."""
        self._file.write(line if self._compress is None else self._compress.compress(line))
        self._lines += 1
        self._bytes += len(line)
        return self._lines >= LINES or self._bytes >= BYTES

    def end_segment(self) -> int:
        """The size of the file, with everything on disk up to there. A gzip file of nothing has a member, too: readers take
        one without any for cut off."""
        if self._compress is not None and (self._lines or not self._file.tell()):
            self._file.write(self._compress.flush())
            self._compress = self._compressor()
        self._lines = self._bytes = 0
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        self._file.close()


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
