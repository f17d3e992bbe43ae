"""Writes log lines without ever making the caller wait: a buffer, and one thread that empties it to stdout and a file.

A thread because stdout may be a pipe that nobody reads for a while (`docker logs`, a stopped terminal): a write in the
event loop would stop every stream. The buffer is bounded; what does not fit is dropped and counted, and the count is
written as soon as there is room again.
"""

import contextlib
import fcntl
import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

COALESCE_S = 0.05
BUFFER_BYTES = 16 * 1024 * 1024
FILE_BYTES = 20 * 1024 * 1024
FILES_KEPT = 5
FLUSH_S = 2.0


class LineWriter:
    """`write` takes whole lines with their line end. `lost_line(n)` makes the line that says how many were dropped."""

    def __init__(
        self,
        sink: Callable[[bytes], object],
        *,
        buffer_bytes: int = BUFFER_BYTES,
        lost_line: Callable[[int], bytes] = lambda count: b"%d log lines were dropped\n" % count,
    ) -> None:
        self._sink = sink
        self.file: RotatingFile | None = None
        self._limit = buffer_bytes
        self._lost_line = lost_line
        self._lines: deque[bytes] = deque()
        self._size = 0
        self.dropped = 0
        self._unreported = 0
        self._wake = threading.Event()
        self._writing = threading.Lock()
        self._closed = False
        self._thread: threading.Thread | None = None

    def write(self, lines: bytes) -> None:
        """Safe from any thread. At most COALESCE_S later the lines are on their way."""
        if self._size > self._limit:
            count = lines.count(b"\n")
            self.dropped += count
            self._unreported += count
            return
        # Appending is atomic; the size is a bound, not a balance, and may be off by what another thread just added.
        self._lines.append(lines)
        self._size += len(lines)
        if not self._wake.is_set():
            self._start()
            self._wake.set()

    def flush(self, timeout_s: float = FLUSH_S) -> None:
        """Returns when all that is waiting was written, or after `timeout_s`: a program whose lines nobody reads any more
        must still be able to end."""
        writing = threading.Thread(target=self._write_waiting, name="log-flush", daemon=True)
        writing.start()
        writing.join(timeout_s)

    def _write_waiting(self) -> None:
        with self._writing:
            # Only what is there now: others go on appending.
            lines = [self._lines.popleft() for _ in range(len(self._lines))]
            self._size = 0
            if self._unreported:
                lines.append(self._lost_line(self._unreported))
                self._unreported = 0
            if lines:
                self._emit(b"".join(lines))

    def close(self) -> None:
        self._closed = True
        self._wake.set()
        self.flush()
        if self.file is not None:
            self.file.close()

    def _emit(self, batch: bytes) -> None:
        # A log that cannot be written must not end the program: the terminal is gone, or the disk is full.
        with contextlib.suppress(OSError, ValueError):
            self._sink(batch)
        if self.file is not None:
            with contextlib.suppress(OSError):
                self.file.write(batch)

    def _start(self) -> None:
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        # The one pause between waking and writing is what makes a thousand lines one system call.
        pause = threading.Event()
        while not self._closed:
            self._wake.wait()
            pause.wait(COALESCE_S)
            self._wake.clear()
            self._write_waiting()


def write_all(descriptor: int) -> Callable[[bytes], None]:
    """A sink that writes to a file descriptor, stdout for instance, past Python's own buffers."""

    def write(data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]

    return write


class RotatingFile:
    """Appends to `path`; beyond `max_bytes` it becomes `path.1`, and so on to `path.<kept>`.

    Several processes may write to one file: each appends whole lines, takes a lock to rotate, and notices by the inode
    that another one has.
    """

    def __init__(self, path: Path, *, max_bytes: int = FILE_BYTES, kept: int = FILES_KEPT) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._kept = kept
        path.parent.mkdir(parents=True, exist_ok=True)
        # Closed by another thread than the one that writes: the number of a closed file may be another file's by then.
        self._using = threading.Lock()
        self._file = self._open()

    def write(self, data: bytes) -> None:
        with self._using:
            if self._moved():
                os.close(self._file)
                self._file = self._open()
            if os.fstat(self._file).st_size + len(data) > self._max_bytes:
                self._rotate()
            write_all(self._file)(data)

    def close(self) -> None:
        with self._using:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)

    def _moved(self) -> bool:
        try:
            there = self.path.stat()
        except FileNotFoundError:
            return True
        here = os.fstat(self._file)
        return (there.st_ino, there.st_dev) != (here.st_ino, here.st_dev)

    def _rotate(self) -> None:
        lock = os.open(self.path.with_name(self.path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o640)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self._moved() and os.fstat(self._file).st_size:
                self._shift()
            os.close(self._file)
            self._file = self._open()
        finally:
            os.close(lock)

    def _shift(self) -> None:
        numbered = [self.path, *(self.path.with_name(f"{self.path.name}.{n}") for n in range(1, self._kept + 1))]
        for index in range(self._kept, 0, -1):
            if numbered[index - 1].exists():
                numbered[index - 1].replace(numbered[index])
