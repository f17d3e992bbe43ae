"""Numbers that several worker processes add to and any of them can sum: one memory-mapped file of doubles per worker.

Why not `prometheus_client` in multi-process mode for the hot path: nine observations a call at 4 µs each would take the
whole budget of a request. Here an increment is one indexed addition (0.1 µs), seen by every other process at once and
not lost by `kill -9`, since the pages belong to the kernel. There are no locks on the way: each file has one writer.

    DATA_DIR/metrics/<family>/<worker>.keys      one JSON key per line; the n-th key owns the n-th number
    DATA_DIR/metrics/<family>/<worker>.numbers   little-endian doubles

A file is filled with zeros before it is mapped: a full disk shows there, as an error and not as a signal. It never fails a
caller who counts: keys wait for room, and numbers for which there is none are this process's own.

A family is the set of workers that one scrape must sum: those of one supervisor. A worker holds a lock on its keys file
for life, so that the dead are known without asking about process ids; the next one to open adopts their counters, and
totals never go back while the installation runs.
"""

import contextlib
import fcntl
import mmap
import os
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import orjson

Key: TypeAlias = tuple[str, ...]

FIRST_NUMBERS = 4096
BYTES = 8
STALE_FAMILY_S = 3600.0


def family_name(pid: int) -> str:
    """Names the workers below process `pid`; its start time tells it from an earlier process with the same number."""
    try:
        started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        started = "0"
    return f"{socket.gethostname()}-{pid}-{started}"


class MetricStore:
    """`slot` gives a key its place; `numbers[place] += x` counts. Places stay valid when the file grows.

    Keys are tuples of words: the metric's name, then its labels. Keys whose first word is in `gauges` are left behind
    by the dead.
    """

    def __init__(
        self,
        directory: Path,
        family: str,
        *,
        gauges: frozenset[str] = frozenset(),
        write: Callable[[int, bytes], int] = os.write,
    ) -> None:
        self._write = write
        self._directory = directory / family
        self._gauges = gauges
        self._name = uuid.uuid4().hex
        self._slots: dict[Key, int] = {}
        self._keys_file = -1
        self._numbers_file = -1
        self._unwritten = b""
        self._map: mmap.mmap | None = None
        self._peers: dict[str, _Peer] = {}
        # Scrapes run in threads of their own; the files have one writer, the event loop.
        self._reading = threading.Lock()
        self.numbers: memoryview[float] = memoryview(bytearray(FIRST_NUMBERS * BYTES)).cast("d")

    # ------------------------------------------------------------------------------------------------- one worker

    def open(self) -> None:
        """Begins the files; what was counted before is kept. Takes over the counters of workers that died."""
        self._directory.mkdir(parents=True, exist_ok=True)
        _remove_stale(self._directory)
        with self._family_lock(fcntl.LOCK_EX):
            self._keys_file = os.open(self._path("keys"), os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            fcntl.flock(self._keys_file, fcntl.LOCK_EX)
            self._numbers_file = os.open(self._path("numbers"), os.O_RDWR | os.O_CREAT, 0o600)
            self._remap(len(self.numbers))
            for key in self._slots:
                self._write_key(key)
            self._adopt_dead()

    def close(self) -> None:
        """The counters stay for the others of the family; a family that is empty is removed."""
        if self._keys_file < 0:
            return
        os.close(self._keys_file)
        self._close_numbers()
        self._keys_file = -1
        self.numbers = memoryview(bytearray(self.numbers)).cast("d")
        if self._map is not None:
            with contextlib.suppress(BufferError):
                self._map.close()
        if not any(_alive(path) for path in self._directory.glob("*.keys")):
            shutil.rmtree(self._directory, ignore_errors=True)

    def slot(self, *key: str) -> int:
        found = self._slots.get(key)
        return found if found is not None else self._new_slot(key)

    def __len__(self) -> int:
        return len(self._slots)

    def _new_slot(self, key: Key) -> int:
        slot = len(self._slots)
        if slot >= len(self.numbers):
            self._grow()
        self._slots[key] = slot
        self._write_key(key)
        return slot

    def _write_key(self, key: Key) -> None:
        if self._keys_file >= 0:
            self._unwritten += orjson.dumps(key) + b"\n"
            self.write_keys()

    def write_keys(self) -> None:
        """Those that a full disk refused, from where it broke off: others take the n-th line for the n-th number's."""
        if self._unwritten and self._keys_file >= 0:
            with contextlib.suppress(OSError):
                self._unwritten = self._unwritten[self._write(self._keys_file, self._unwritten) :]

    def _grow(self) -> None:
        length = 2 * len(self.numbers)
        try:
            self._remap(length)
        except OSError:
            # Counted here alone from now on; the others see the numbers as they are at this moment.
            self._close_numbers()
            self._remap(length)

    def _remap(self, length: int) -> None:
        old = self.numbers
        if self._numbers_file < 0:
            self.numbers = memoryview(bytearray(length * BYTES)).cast("d")
        else:
            self._fill(length * BYTES)
            self._map = mmap.mmap(self._numbers_file, length * BYTES)
            self.numbers = memoryview(self._map).cast("d")
        # The old memory may be the same file: writing the same values again changes nothing.
        for index in range(min(len(old), len(self._slots))):
            self.numbers[index] = old[index]

    def _fill(self, size: int) -> None:
        before = os.fstat(self._numbers_file).st_size
        if self._write(self._numbers_file, bytes(size - before)) != size - before:
            os.ftruncate(self._numbers_file, before)
            raise OSError("short write")

    def _close_numbers(self) -> None:
        if self._numbers_file >= 0:
            os.close(self._numbers_file)
            self._numbers_file = -1

    # ------------------------------------------------------------------------------------------------- all of them

    def read(self) -> dict[Key, list[float]]:
        """Every key with its numbers, one for each worker that has it, this one's first; gauges of the dead excluded."""
        slots = list(self._slots.items())
        # Asked for after the slots: the event loop may have made room for more meanwhile, never for fewer.
        numbers = self.numbers
        found = {key: [numbers[slot]] for key, slot in slots}
        if self._keys_file < 0:
            return found
        with self._reading, self._family_lock(fcntl.LOCK_SH):
            for peer in self._others():
                alive = _alive(peer.keys_path)
                for key, number in peer.items():
                    if alive or key[0] not in self._gauges:
                        found.setdefault(key, []).append(number)
        return found

    def _others(self) -> "Iterator[_Peer]":
        names = {path.stem for path in self._directory.glob("*.keys")} - {self._name}
        for gone in self._peers.keys() - names:
            del self._peers[gone]
        for name in names:
            peer = self._peers.get(name)
            if peer is None:
                peer = self._peers[name] = _Peer(self._directory / f"{name}.keys")
            yield peer

    def _adopt_dead(self) -> None:
        for peer in list(self._others()):
            if _alive(peer.keys_path):
                continue
            for key, number in peer.items():
                if key[0] not in self._gauges:
                    self.numbers[self.slot(*key)] += number
            peer.delete()

    @contextlib.contextmanager
    def _family_lock(self, how: int) -> Iterator[None]:
        """Adding up and taking over exclude each other, or a scrape would count the adopted twice."""
        file = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, how)
            yield
        finally:
            os.close(file)

    def _path(self, suffix: str) -> Path:
        return self._directory / f"{self._name}.{suffix}"


class _Peer:
    """Another worker's files, read anew each time; keys are only ever appended, so the known ones are kept."""

    def __init__(self, keys_path: Path) -> None:
        self.keys_path = keys_path
        self._numbers_path = keys_path.with_suffix(".numbers")
        self._keys: list[Key] = []
        self._read_to = 0

    def items(self) -> Iterator[tuple[Key, float]]:
        try:
            with self.keys_path.open("rb") as file:
                file.seek(self._read_to)
                news = file.read()
            numbers = self._numbers_path.read_bytes()
        except FileNotFoundError:
            return iter(())
        whole = news.rpartition(b"\n")[0]
        if whole:
            self._keys.extend(tuple(orjson.loads(line)) for line in whole.split(b"\n"))
            self._read_to += len(whole) + 1
        return zip(self._keys, memoryview(numbers).cast("d"), strict=False)

    def delete(self) -> None:
        for path in (self.keys_path, self._numbers_path):
            path.unlink(missing_ok=True)


def _alive(keys_path: Path) -> bool:
    """Whether its writer still holds the lock."""
    try:
        file = os.open(keys_path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def _remove_stale(mine: Path) -> None:
    """Families of earlier runs that nobody writes to. The age keeps those apart that are just being opened."""
    for family in mine.parent.iterdir():
        if family == mine or not family.is_dir() or time.time() - family.stat().st_mtime < STALE_FAMILY_S:
            continue
        if not any(_alive(path) for path in family.glob("*.keys")):
            shutil.rmtree(family, ignore_errors=True)
