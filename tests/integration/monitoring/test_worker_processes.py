"""Metrics over real processes: three workers count, one is killed, its successor takes over."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from monitoring.metric_names import GAUGES, REQUESTS
from monitoring.metric_store import MetricStore
from monitoring.metrics import RequestMetrics
from tests.unit.monitoring.calls import totals

CALLS = 2000
PROGRAM = """
import sys, time
from pathlib import Path
from monitoring.finished_call import FinishedAttempt, FinishedCall
from monitoring.metric_names import GAUGES
from monitoring.metric_store import MetricStore
from monitoring.metrics import RequestMetrics
from monitoring.tally import tallies

metrics = RequestMetrics(MetricStore(Path(sys.argv[1]), "family", gauges=GAUGES))
metrics.open()
for number in range(int(sys.argv[2])):
    call = FinishedCall(
        request_id="r", endpoint="chat/completions", status=200, ended_at=1.0, duration_s=0.1,
        provider=f"p{number % 7}", input_tokens=3, attempts=(FinishedAttempt("p", "p/m", "success"),),
    )
    metrics.observe([call], tallies([call]))
print("done", flush=True)
time.sleep(60)
"""
ROOT = Path(__file__).parents[3]


def start(directory: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(directory), str(CALLS)], stdout=subprocess.PIPE, env=environment, cwd=ROOT
    )


def test_totals_equal_the_requests_over_three_processes_and_a_kill(tmp_path):
    processes = [start(tmp_path) for _ in range(3)]
    try:
        for process in processes:
            assert process.stdout.readline() == b"done\n"
        asked = RequestMetrics(MetricStore(tmp_path, "family", gauges=GAUGES))
        asked.open()
        assert sum(totals(asked, REQUESTS).values()) == 3 * CALLS
        processes[0].send_signal(signal.SIGKILL)
        processes[0].wait()
        assert sum(totals(asked, REQUESTS).values()) == 3 * CALLS
        successor = start(tmp_path)
        processes.append(successor)
        assert successor.stdout.readline() == b"done\n"
        began = time.perf_counter()
        assert sum(totals(asked, REQUESTS).values()) == 4 * CALLS
        assert time.perf_counter() - began < 1
        assert len(list((tmp_path / "family").glob("*.keys"))) == 4
        asked.close()
    finally:
        for process in processes:
            process.kill()
            process.wait()
            process.stdout.close()
