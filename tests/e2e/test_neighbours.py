"""Who looks for neighbours takes no process of its own for one, and no neighbour for one of its own; neighbours that test as
well have Redis databases of their own."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.gateway_process import ROOT
from tests.e2e.neighbours import ROOM_CORES, Neighbours, machine_s, own_s

BUSY = "import time\nwhile time.process_time() < 0.6: pass"


def test_what_a_child_took_is_ours_also_when_it_has_ended() -> None:
    machine, own = machine_s(), own_s()
    subprocess.run([sys.executable, "-c", BUSY], check=True)
    assert own_s() - own >= 0.5
    assert machine_s() - machine >= 0.5


def test_a_time_beside_busy_neighbours_is_no_measure() -> None:
    neighbours, deadline = Neighbours(), time.monotonic() + 20
    # An orphan is nobody's.
    subprocess.run(["sh", "-c", '"$0" -c "$1" >/dev/null 2>&1 &', sys.executable, BUSY], check=True)
    while neighbours.cores() <= ROOM_CORES:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    with pytest.raises(pytest.skip.Exception, match=r"3 s, but others kept \d+\.\d of \d+ cores busy"):
        neighbours.excuse("3 s")


def test_two_runs_at_once_take_two_databases_of_redis_and_keep_them(tmp_path: Path) -> None:
    program = "from tests.e2e.gateway_process import shared_redis as it; print(it() == it(), it(), flush=True); input()"
    command = [sys.executable, "-c", program]

    alone = {**os.environ, "TMPDIR": str(tmp_path)}  # where the locks are: all databases may be taken on this machine

    def begin() -> tuple[subprocess.Popen[str], str]:
        run = subprocess.Popen(command, cwd=ROOT, env=alone, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert run.stdout is not None
        return run, run.stdout.readline()

    first, second = begin(), begin()
    first[0].communicate("\n")
    third = begin()
    for run, _ in (second, third):
        run.communicate("\n")
    assert all(said.startswith("True {'REDIS_URL': 'redis://127.0.0.1:6379/") for _, said in (first, second, third))
    assert first[1] != second[1]
    assert third[1] != second[1]
