"""Several worker processes behind one listening socket: starts them, replaces those that die, restarts them in turn.

uvicorn's own supervisor runs its plain `Server`, which cannot drain the way ours does; what is left is this much.
"""

import logging
import math
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Callable
from dataclasses import dataclass, field

from django.conf import settings

from monitoring.logs import configure_logging
from proxy_site.server import REPLACED

logger = logging.getLogger("llm_proxy.proxy_site.supervisor")

START_TIMEOUT_S = 30.0
POLL_S = 0.2
CALM_S = 5.0
"""A worker that dies sooner than this after its start is replaced only after this pause: no restart storm."""


@dataclass(slots=True)
class WorkerProcess:
    process: "subprocess.Popen[bytes]"
    ready: int
    started_at: float = field(default_factory=time.monotonic)

    def ended(self) -> bool:
        return self.process.poll() is not None


class Supervisor:
    """Runs until SIGTERM or SIGINT, which drains all workers. SIGHUP replaces them one after another, each only when its
    successor accepts connections."""

    def __init__(self, listener: socket.socket, workers: int, role: str, *, metrics_directory: str) -> None:
        self._listener = listener
        self._metrics_directory = metrics_directory
        self._wanted = workers
        self._role = role
        self._workers: list[WorkerProcess] = []
        self._stopping = False
        self._restart = False

    def run(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._ask_restart)
        self._workers = [self._start() for _ in range(self._wanted)]
        for worker in self._workers:
            self._wait_ready(worker)
        while not self._stopping:
            time.sleep(POLL_S)
            self._replace_dead()
            if self._restart:
                self._restart = False
                self._restart_in_turn()
        # The workers' copies are the last: when they close them, who comes is refused, and does not wait for nobody.
        self._listener.close()
        for worker in self._workers:
            worker.process.send_signal(signal.SIGTERM)
        for worker in self._workers:
            worker.process.wait()

    def _stop(self, signum: int, frame: types.FrameType | None) -> None:
        self._stopping = True

    def _ask_restart(self, signum: int, frame: types.FrameType | None) -> None:
        self._restart = True

    def _start(self) -> WorkerProcess:
        read_end, write_end = os.pipe()
        command = [sys.executable, "-m", "proxy_site.worker_process", str(self._listener.fileno()), str(write_end)]
        environment = {
            # Django's own metrics are summed over the workers through files there; ours have a store of their own.
            "PROMETHEUS_MULTIPROC_DIR": self._metrics_directory,
            **os.environ,
            "PROXY_API_WORKERS": str(self._wanted),
            "PROXY_API_ROLE": self._role,
            "PROXY_API_SUPERVISOR_PID": str(os.getpid()),
        }
        process = subprocess.Popen(command, pass_fds=(self._listener.fileno(), write_end), env=environment)  # noqa: S603
        os.close(write_end)
        return WorkerProcess(process=process, ready=read_end)

    def _wait_for(self, happened: Callable[[], object], timeout_s: float) -> bool:
        """No longer than until the server is told to stop: its running answers have a deadline of their own by then."""
        deadline = time.monotonic() + timeout_s
        while not (done := bool(happened())) and not self._stopping and time.monotonic() < deadline:
            time.sleep(POLL_S)
        return done

    def _wait_ready(self, worker: WorkerProcess) -> bool:
        said = self._wait_for(lambda: select.select([worker.ready], [], [], 0)[0], START_TIMEOUT_S)
        accepted = said and os.read(worker.ready, 1) == b"+"
        os.close(worker.ready)
        worker.ready = -1
        if not accepted and not self._stopping:
            logger.error("worker %d did not start", worker.process.pid)
        return accepted

    def _replace_dead(self) -> None:
        for index, worker in enumerate(self._workers):
            if not worker.ended() or self._stopping:
                continue
            logger.error("worker %d ended with %s, starting another", worker.process.pid, worker.process.returncode)
            if time.monotonic() - worker.started_at < CALM_S:
                self._wait_for(lambda: False, CALM_S)
            self._workers[index] = self._start()
            self._wait_ready(self._workers[index])

    def _restart_in_turn(self) -> None:
        for index, old in enumerate(self._workers):
            successor = self._start()
            if not self._wait_ready(successor):
                self._give_up(successor, old)
                return
            self._workers[index] = successor
            old.process.send_signal(REPLACED)
            if not self._wait_for(old.ended, math.inf):
                self._workers.append(old)
                return

    def _give_up(self, successor: WorkerProcess, old: WorkerProcess) -> None:
        if self._stopping:
            self._workers.append(successor)
            return
        successor.process.kill()
        logger.error("the restart is given up, worker %d goes on", old.process.pid)


def run_workers(*, host: str, port: int, workers: int, role: str) -> None:
    logs = configure_logging(level=settings.LOG_LEVEL, style=settings.LOG_FORMAT)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
        listener.set_inheritable(True)
        with tempfile.TemporaryDirectory(prefix="llm-proxy-metrics-", ignore_cleanup_errors=True) as directory:
            Supervisor(listener, workers, role, metrics_directory=directory).run()
    logs.flush()
