"""What other people's processes take of the machine while a test measures a time, which is then theirs as well as ours."""

import os
import time
from pathlib import Path
from typing import Literal

import pytest

ROOM_CORES = 0.25
"""More than what a machine does for itself."""
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def machine_s() -> float:
    """Seconds of CPU that all processes of this machine had since it started, those of its host's others included."""
    user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS_PER_S


def own_s() -> float:
    """Seconds of CPU that this process and those that it started had, also when they have ended and were waited for."""
    parents: dict[int, int] = {}
    took: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents[int(entry.name)] = int(fields[1])
        took[int(entry.name)] = sum(map(int, fields[11:15]))
    return sum(ticks for pid, ticks in took.items() if _is_of(os.getpid(), pid, parents)) / TICKS_PER_S


def _is_of(ancestor: int, pid: int, parents: dict[int, int]) -> bool:
    while pid not in (ancestor, 0):
        pid = parents.get(pid, 0)
    return pid == ancestor


class Neighbours:
    """Watched from its making on."""

    def __init__(self) -> None:
        self._began, self._machine_s, self._own_s = time.monotonic(), machine_s(), own_s()

    def cores(self) -> float:
        """How many they kept busy, on average."""
        theirs_s = machine_s() - self._machine_s - (own_s() - self._own_s)
        return max(theirs_s, 0.0) / (time.monotonic() - self._began)

    def excuse(self, measured: str) -> Literal[False]:
        """For a time that was too long, when all else was looked at: a skip that tells of it where they took the machine,
        and False, with which the test fails, where they left it to us."""
        cores = self.cores()
        if cores > ROOM_CORES:
            pytest.skip(f"{measured}, but others kept {cores:.1f} of {os.cpu_count()} cores busy meanwhile")
        return False
