"""Told to stop, a supervisor tells all its workers at once, whatever it was waiting for: whoever stops it counts on the drain
timeout, and kills it soon after."""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy_site import supervisor
from proxy_site.supervisor import Supervisor

WORKER = """
import os, pathlib, signal, sys, time
here, ready = pathlib.Path(sys.argv[1]), int(sys.argv[2])
for number in (signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, lambda *_: (here / f"told-{os.getpid()}").touch())
slow = (here / "slow").exists()
(here / f"started-{os.getpid()}").touch()
if not slow:
    os.write(ready, b"+")
while not (here / "drained").exists():
    time.sleep(0.01)
"""
"""Serves, and drains, for as long as the test wants; with `slow` it never gets so far as to serve."""


def until(condition: Callable[[], object], timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Supervised:
    """A supervisor in a thread, and what its workers did."""

    def __init__(self, directory: Path, handlers: dict[int, Callable[[int, None], None]], workers: int) -> None:
        self.directory = directory
        self._handlers = handlers
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(
            target=Supervisor(self._listener, workers, "all", metrics_directory=str(directory)).run
        )
        self._thread.start()
        until(lambda: len(self.pids("started")) == workers)

    def pids(self, what: str) -> set[int]:
        return {int(path.name.partition("-")[2]) for path in self.directory.glob(f"{what}-*")}

    def signal(self, number: int) -> None:
        self._handlers[number](number, None)

    def end(self) -> None:
        (self.directory / "drained").touch()
        self.signal(signal.SIGTERM)
        self._thread.join(60)
        self._listener.close()
        assert not self._thread.is_alive()


@pytest.fixture
def supervise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], Supervised]]:
    started: list[Supervised] = []
    handlers: dict[int, Callable[[int, None], None]] = {}
    popen = subprocess.Popen

    def stub(command: list[str], **options: Any) -> "subprocess.Popen[bytes]":
        return popen([sys.executable, "-c", WORKER, str(tmp_path), command[-1]], **options)

    def start(workers: int) -> Supervised:
        started.append(Supervised(tmp_path, handlers, workers))
        return started[-1]

    monkeypatch.setattr(supervisor.subprocess, "Popen", stub)
    monkeypatch.setattr(supervisor.signal, "signal", handlers.__setitem__)
    yield start
    for each in started:
        each.end()


def test_all_workers_drain_together_when_it_is_stopped_while_it_replaces_them(
    supervise: Callable[[int], Supervised],
) -> None:
    server = supervise(2)
    server.signal(signal.SIGHUP)
    until(lambda: len(server.pids("told")) == 1)
    server.signal(signal.SIGTERM)
    until(lambda: server.pids("told") == server.pids("started"))
    assert len(server.pids("started")) == 3


def test_it_does_not_wait_for_a_slow_start_before_it_stops(supervise: Callable[[int], Supervised]) -> None:
    server = supervise(1)
    (server.directory / "slow").touch()
    server.signal(signal.SIGHUP)
    until(lambda: len(server.pids("started")) == 2)
    server.signal(signal.SIGTERM)
    until(lambda: server.pids("told") == server.pids("started"))
