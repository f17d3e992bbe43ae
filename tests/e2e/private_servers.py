"""A PostgreSQL and a Redis of a test's own, to be frozen and killed; the shared ones of the machine are left alone."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psycopg
import pytest
from redis import Redis
from redis.exceptions import RedisError

from tests.e2e.gateway_process import free_port

POSTGRES_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


class PrivateServer:
    """One server and its children, in a process group of their own."""

    def __init__(
        self, command: Sequence[str], url: str, answers: Callable[[], object], user: str | None = None
    ) -> None:
        self.url = url
        self._command = command
        self._answers = answers
        self._user = user

    def start(self) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 closed by kill
        self._process = subprocess.Popen(
            self._command, user=self._user, start_new_session=True, stdout=self._log, stderr=subprocess.STDOUT
        )
        deadline = time.monotonic() + 60
        while not self._is_there():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._log.seek(0)
                raise AssertionError(f"the server does not start: {self._log.read().decode()}")
            time.sleep(0.05)

    def _is_there(self) -> bool:
        try:
            self._answers()
        except (OSError, RedisError, psycopg.Error):
            return False
        return True

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        killed = self._signal(signal.SIGKILL)
        self._process.wait(10)
        self._log.close()
        # A child that still dies holds the memory that the next start refuses to share.
        while any(Path(f"/proc/{pid}").exists() for pid in killed):
            time.sleep(0.02)

    def _signal(self, number: int) -> list[int]:
        if self._process.poll() is not None:
            return []
        # Children of PostgreSQL have groups of their own.
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        pids = [self._process.pid, *map(int, children)]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return pids


@contextlib.contextmanager
def private_postgres() -> Iterator[PrivateServer]:
    """Not in pytest's own directory, which each run of it that starts closes to everybody but its user."""
    with tempfile.TemporaryDirectory(prefix="llm-proxy-postgres-") as directory:
        yield from _postgres_in(directory)


def _postgres_in(directory: str) -> Iterator[PrivateServer]:
    if not POSTGRES_PROGRAMS:
        pytest.skip("no PostgreSQL server program on this machine")
    programs, port = POSTGRES_PROGRAMS[-1], free_port()
    # PostgreSQL refuses to run as root.
    user = "postgres" if os.geteuid() == 0 else None
    if user is not None:
        os.chown(directory, pwd.getpwnam(user).pw_uid, -1)
    options = ["-A", "trust", "-U", "postgres", "--no-sync"]
    subprocess.run([programs / "initdb", "-D", directory, *options], user=user, check=True, stdout=subprocess.DEVNULL)
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    server = PrivateServer(
        [str(programs / "postgres"), "-D", directory, "-p", str(port), "-k", directory, "-c", "fsync=off"],
        url,
        lambda: psycopg.connect(url, connect_timeout=1).close(),
        user,
    )
    yield from _running(server)


@contextlib.contextmanager
def private_redis(directory: Path, *options: str) -> Iterator[PrivateServer]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server program on this machine")
    port = free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(directory), *options]

    def ping() -> None:
        # Closed also when it says that it is still loading: an error keeps the client in a circle.
        with Redis(port=port) as redis:
            redis.ping()

    yield from _running(PrivateServer(command, f"redis://127.0.0.1:{port}/0", ping))


def _running(server: PrivateServer) -> Iterator[PrivateServer]:
    server.start()
    try:
        yield server
    finally:
        server.kill()
