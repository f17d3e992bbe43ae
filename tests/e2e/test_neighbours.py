"""Who looks for neighbours takes no process of its own for one, and no neighbour for one of its own."""

import subprocess
import sys
import time

import pytest

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
