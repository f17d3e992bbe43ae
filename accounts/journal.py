"""The local append-only file of one worker: what was sent upstream, and how each call was settled.

The file is mapped into memory, so a line costs a copy and no system call, and no other thread gets the interpreter in
between. What was copied lies in the kernel's page cache, exactly as after a `write`, so it survives `kill -9` of the
process. A file is filled with zeros before it is used: a full disk shows there, as an error and not as a signal. A line
is complete once its first byte, which is written last, is no longer zero; `journal_lines` says what it holds. Files are
`<worker>.<sequence>.journal`; `<worker>.lock` is locked for as long as the worker lives, so that nobody else replays a
live journal.
"""

import contextlib
import fcntl
import mmap
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accounts import journal_lines
from accounts.journal_lines import ATTEMPT, PROGRESS, RELEASED, SETTLED, Owner
from accounts.records import IntentFields, RecordFields

# Filling a file takes 0.3 ms per MiB, which is the longest that an append can take.
SEGMENT_BYTES = 1024 * 1024
MADV_POPULATE_WRITE = 23
"""Of Linux 5.14; Python has no name for it."""
# About a thousand calls: what is booked in one transaction.
READ_BYTES = 512 * 1024

Position = tuple[int, int]
"""A file's sequence number and an offset in it."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Settlement lines read for draining, and the position up to which they were read."""

    lines: list[bytes]
    sequence: int
    offset: int


class Journal:
    """Owned by one thread, but for `read` and `drained`, which one drain task calls while others append."""

    def __init__(
        self,
        directory: Path,
        worker: str,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        read_bytes: int = READ_BYTES,
        cap_bytes: int = 512 * 1024 * 1024,
        write: Callable[[int, bytes], int] = os.write,
    ) -> None:
        self._read_bytes = read_bytes
        self._write = write
        self._directory = directory
        self._worker = worker
        self._segment_bytes = segment_bytes
        self.cap_bytes = cap_bytes
        self._sequence = 0
        self._map: mmap.mmap | None = None
        self._room = 0
        self._lock = -1
        self._size = 0
        self._sizes: dict[int, int] = {}
        self._open: dict[str, int] = {}
        self._unwritten: list[tuple[int, bytes]] = []
        self._read_sequence = 1
        self._read_offset = 0
        self._kept_bytes = 0
        self.backlog = 0

    def open(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = _locked(self._directory / f"{self._worker}.lock")
        self._next_segment()

    def attempt(self, owner: Owner, intent: IntentFields) -> None:
        self._open.setdefault(owner[0], self._sequence)
        self._append(ATTEMPT, (owner, intent))

    def progress(self, call_id: str, attempt: int, output_tokens: int) -> None:
        self._append(PROGRESS, (call_id, attempt, output_tokens))

    def settled(self, owner: Owner, records: Sequence[RecordFields]) -> None:
        self.backlog += 1
        self._append_line(SETTLED, journal_lines.settled(owner, records) + b"\n")
        self._open.pop(owner[0], None)

    def released(self, call_id: str) -> None:
        if self._open.pop(call_id, None) is not None:
            self._append(RELEASED, (call_id,))

    @property
    def full(self) -> bool:
        """No call may be admitted: the cap is reached, or the disk refuses what was already promised."""
        return self._kept_bytes + self._size > self.cap_bytes or bool(self._unwritten)

    @property
    def drained_up(self) -> bool:
        return not self._unwritten and self._read_sequence == self._sequence and self._read_offset == self._size

    def end(self) -> Position:
        """Up to where it is written now."""
        self._write_the_unwritten()
        return self._sequence, self._size

    def drained_to(self, end: Position) -> bool:
        return (self._read_sequence, self._read_offset) >= end

    def read(self) -> Batch:
        """The next lines after what was `drained`; may hold no settlement although it moves the position."""
        sequence, offset = self._read_sequence, self._read_offset
        self._write_the_unwritten()
        end = self._size if sequence == self._sequence else self._sizes[sequence]
        with contextlib.closing(_Descriptor(self._path(sequence))) as file:
            data = os.pread(file.number, min(self._read_bytes, end - offset), offset)
            cut = data.rfind(b"\n") + 1
            if cut == 0 and offset < end:
                # One line longer than a read: take all there is.
                data = os.pread(file.number, end - offset, offset)
                cut = data.rfind(b"\n") + 1
        lines = [line for line in data[:cut].split(b"\n") if line.startswith(b"s")]
        return Batch(lines, sequence, offset + cut)

    def drained(self, batch: Batch) -> None:
        """What `batch` held is in SQL; files that hold nothing else are deleted."""
        self.backlog -= len(batch.lines)
        self._read_sequence, self._read_offset = batch.sequence, batch.offset
        if batch.sequence < self._sequence and batch.offset >= self._sizes[batch.sequence]:
            self._read_sequence, self._read_offset = batch.sequence + 1, 0
        oldest_open = next(iter(self._open.values()), self._sequence)
        for sequence in list(self._sizes):
            # Oldest first and none skipped: a kept intent must never lose the settlement that follows it.
            if sequence >= min(self._read_sequence, oldest_open):
                break
            self._kept_bytes -= self._sizes.pop(sequence)
            self._path(sequence).unlink(missing_ok=True)

    def close(self, *, given_back: bool = True) -> None:
        """Deletes the files if all of it is in SQL; else leaves them to be replayed. So it does, however empty they are,
        where the worker's leases are not given back: who replays takes them back, and need not wait until they expire."""
        if self._lock < 0:
            return
        if given_back and self.drained_up and not self._open:
            for sequence in [*self._sizes, self._sequence]:
                self._path(sequence).unlink(missing_ok=True)
            (self._directory / f"{self._worker}.lock").unlink(missing_ok=True)
        if self._map is not None:
            self._map.close()
        os.close(self._lock)
        self._map, self._lock = None, -1

    def unwritten(self) -> list[bytes]:
        """Settlement lines that a full disk refused: they are nowhere but in this process."""
        return [b"s" + line[:-1] for kind, line in self._unwritten if kind == SETTLED]

    def _append(self, kind: int, value: Any) -> None:
        self._append_line(kind, journal_lines.encoded(value) + b"\n")

    def _append_line(self, kind: int, line: bytes) -> None:
        start = self._size
        end = start + 1 + len(line)
        if end > self._room or self._unwritten:
            # Kept if there is no room on the disk, and tried again with the next line; meanwhile `full` stops admission.
            self._unwritten.append((kind, line))
            self._write_the_unwritten()
            return
        # The length of a mapping cannot change, so a slice of another length would be an error.
        self._map[start + 1 : end] = line  # type: ignore[index]
        self._map[start] = kind  # type: ignore[index]
        self._size = end

    def _write_the_unwritten(self) -> None:
        waiting, self._unwritten = self._unwritten, []
        for number, (kind, line) in enumerate(waiting):
            if self._size + 1 + len(line) > self._room:
                try:
                    self._next_segment(1 + len(line))
                except OSError:
                    self._unwritten = waiting[number:]
                    return
            self._append_line(kind, line)

    def _next_segment(self, at_least: int = 0) -> None:
        size = max(self._segment_bytes, at_least)
        path = self._path(self._sequence + 1)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            if self._write(file, bytes(size)) != size:
                raise OSError("short write")
            fresh = mmap.mmap(file, size)
            _make_writable_at_once(fresh)
        except OSError:
            path.unlink()
            raise
        finally:
            os.close(file)
        if self._map is not None:
            self._sizes[self._sequence] = self._size
            self._kept_bytes += self._size
            self._map.close()
        self._map, self._room, self._size, self._sequence = fresh, size, 0, self._sequence + 1

    def _path(self, sequence: int) -> Path:
        return self._directory / f"{self._worker}.{sequence:06d}.journal"


def _make_writable_at_once(pages: mmap.mmap) -> None:
    """Where the system can: page by page, at the first write to each, the kernel takes a hundredth of each call."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            pages.madvise(MADV_POPULATE_WRITE)


def whole_lines(data: bytes) -> list[bytes]:
    """The lines of a file that its worker may have left at any byte: what was not written yet reads as zeros."""
    return data.rstrip(b"\0").replace(b"\0", b"\n").split(b"\n")


def _locked(path: Path) -> int:
    """A lock on the file that is at `path` now: a replay elsewhere may delete the file before we get its lock."""
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_ino == os.fstat(lock).st_ino:
                return lock
        os.close(lock)


class _Descriptor:
    def __init__(self, path: Path) -> None:
        self.number = os.open(path, os.O_RDONLY)

    def close(self) -> None:
        os.close(self.number)


class Orphan:
    """The journal of a worker that is gone, locked for replay."""

    def __init__(self, directory: Path, worker: str, lock: int) -> None:
        self.worker = worker
        self.directory = directory
        self._lock = lock

    def paths(self) -> list[Path]:
        return sorted(self.directory.glob(f"{self.worker}.*.journal"))

    def delete(self) -> None:
        for path in self.paths():
            path.unlink(missing_ok=True)
        (self.directory / f"{self.worker}.lock").unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def orphans(directory: Path) -> Iterator[Orphan]:
    """Journals whose worker no longer holds its lock; each is locked for the caller, who deletes or closes it. One by one:
    a caller who fails at one must not leave with the locks of the others, which nobody could replay then."""
    for path in sorted(directory.glob("*.lock")):
        try:
            lock = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        yield Orphan(directory, path.name.removesuffix(".lock"), lock)
