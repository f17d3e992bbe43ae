"""The real server as a process of its own, with a database of its own, for end-to-end tests."""

import contextlib
import ctypes
import fcntl
import functools
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any, ClassVar, TextIO

from tests.e2e.databases import give_database, url_of

ROOT = Path(__file__).resolve().parents[2]
# A start takes three seconds of one core. Tests that run beside each other, and other people's work, share the cores.
START_TIMEOUT_S = 90.0
TAKE_ORPHANS = 36
"""PR_SET_CHILD_SUBREAPER of Linux."""
PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
READ_AGAIN = ("PROXY_API_", "DATABASE_URL", "REDIS_URL", "LOG_LEVEL", "UPSTREAM_KEY")
"""What settings of these names say is kept by nothing that a server imports before it serves."""
REDIS_DATABASES = (9, 10, 11, 12, 14, 15)
"""Of the sixteen that a Redis has; a test that empties one takes 13."""
_locks: list[TextIO] = []


def free_port() -> int:
    """Not one of those that the kernel lends to outgoing connections: a server takes it seconds later."""
    while True:
        port = 10_000 + secrets.randbelow(22_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def on_postgres(url: str) -> dict[str, str]:
    """The environment of a server on that database. There nothing generates secrets; those of all servers are the same."""
    return {
        "DATABASE_URL": url,
        "PROXY_API_SECRET_KEY": "test-secret-key-that-is-long-enough-0123456789",
        "PROXY_API_ENCRYPTION_KEYS": "6KkOAXwWwUQ8iTPIdv1SvdM_Oyi8y1-50vb2tQilOHk=",
    }


class Forked:
    """As much of `subprocess.Popen` as is asked of a server, for a child that another process made."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._asking = threading.Lock()

    def poll(self) -> int | None:
        with self._asking:
            if self.returncode is None and (ended := os.waitpid(self.pid, os.WNOHANG))[0]:
                self.returncode = os.waitstatus_to_exitcode(ended[1])
            return self.returncode

    def wait(self, timeout: float) -> int:
        deadline = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(["manage.py"], timeout)
            time.sleep(0.01)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


class Seeder:
    """A process that has imported what a server does, on SQLite or on PostgreSQL. It fills databases, and serves them, by
    forks of itself, which read the settings again: in a tenth of a second, and half a second, where a process of its own
    takes three of processor time."""

    def __init__(self, template: Path) -> None:
        self._template = template
        self._env = GatewayProcess(template).env
        self._processes: dict[bool, subprocess.Popen[str]] = {}

    def may_be(self, gateway: "GatewayProcess") -> bool:
        """Whether a fork has the settings of that gateway. A first start, which makes secrets, is a process of its own."""
        names = [file.name for file in (self._template / "secrets").glob("*")]
        copied = names and all((gateway.data_dir / "secrets" / name).exists() for name in names)
        return (
            sys.platform == "linux"
            and gateway.code == ROOT
            and bool(copied or "DATABASE_URL" in gateway.env)
            and all(name.startswith(READ_AGAIN) for name, _ in self._env.items() ^ gateway.env.items())
        )

    def fill(self, env: dict[str, str], document: dict[str, Any]) -> dict[str, Any]:
        return self._ask(env, document=document)

    def manage(self, env: dict[str, str], *arguments: str, output: Path, complaints: Path) -> Forked:
        """`manage.py` as a child of this process, which takes it for the moment in which it is an orphan."""
        files = [os.devnull, str(output), str(complaints)]
        prctl = ctypes.CDLL(None).prctl
        prctl(TAKE_ORPHANS, 1, 0, 0, 0)
        try:
            return Forked(self._ask(env, arguments=arguments, files=files)["pid"])
        finally:
            prctl(TAKE_ORPHANS, 0, 0, 0, 0)

    def _ask(self, env: dict[str, str], **asked: Any) -> dict[str, Any]:
        process = self._process_for(env)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"env": env, **asked}) + "\n")
        process.stdin.flush()
        answer: dict[str, Any] = json.loads(process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer

    def _process_for(self, env: dict[str, str]) -> subprocess.Popen[str]:
        """What is on SQLite imports nothing of PostgreSQL's."""
        on_server = "DATABASE_URL" in env
        if on_server not in self._processes:
            self._processes[on_server] = subprocess.Popen(
                [sys.executable, "-m", "tests.e2e.seed", "--forks"],
                cwd=ROOT,
                env=env if on_server else self._env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        return self._processes[on_server]

    def stop(self) -> None:
        for process in self._processes.values():
            process.communicate(timeout=START_TIMEOUT_S)


def shared_redis() -> dict[str, str]:
    """The environment of a gateway on the machine's own Redis, in a database that no other test process uses."""
    return {"REDIS_URL": f"redis://127.0.0.1:6379/{_own_redis_database()}"}


@functools.cache
def _own_redis_database() -> int:
    """Locked while this process lives: two runs at once know nothing else of each other. Shared when all are taken."""
    for number in REDIS_DATABASES:
        with contextlib.suppress(OSError):
            lock = (Path(tempfile.gettempdir()) / f"llm-proxy-test-redis-{number}.lock").open("a")
            _locks.append(lock)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return number
    return REDIS_DATABASES[int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % len(REDIS_DATABASES)]


class GatewayProcess:
    """`seed` fills the database before the start; see `tests.e2e.seed`."""

    seeder: ClassVar[Seeder | None] = None
    """For what has a database of the session's template, or is on PostgreSQL."""

    def __init__(self, data_dir: Path, *, env: dict[str, str] | None = None, code: Path = ROOT) -> None:
        self.data_dir = data_dir
        self.code = code
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.key = ""
        self.log = data_dir / "serve.log"
        self._process: subprocess.Popen[bytes] | Forked | None = None
        left = ("PROXY_API", "DATABASE", "REDIS", "PYTEST_CURRENT_TEST")
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(left) and not name.upper().startswith(PROXIES)
        }
        self.env = {
            **kept,
            "DJANGO_SETTINGS_MODULE": "proxy_site.settings",
            "PROXY_API_ENV_FILE": "/dev/null",
            "PROXY_API_DATA_DIR": str(data_dir),
            **(on_postgres(url) if (url := url_of(data_dir)) else {}),
            **(env or {}),
        }

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def run(self, *arguments: str, stdin: str = "", timeout_s: float = START_TIMEOUT_S) -> str:
        """A Python program of the repository with this gateway's environment; returns what it prints."""
        done = subprocess.run(
            [sys.executable, *arguments],
            check=False,
            cwd=self.code,
            env=self.env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def manage(self, *arguments: str) -> str:
        if self.seeder is None or not self.seeder.may_be(self):
            return self.run("manage.py", *arguments)
        with tempfile.TemporaryDirectory() as directory:
            output, complaints = Path(directory, "output"), Path(directory, "complaints")
            done = self.seeder.manage(self.env, *arguments, output=output, complaints=complaints)
            assert done.wait(START_TIMEOUT_S) == 0, complaints.read_text()
            return output.read_text()

    def shell(self, code: str) -> str:
        return self.manage("shell", "--no-imports", "-c", code)

    def seed(self, document: dict[str, Any]) -> "GatewayProcess":
        if self.seeder is not None and self.seeder.may_be(self):
            answer = self.seeder.fill(self.env, document)
        else:
            printed = self.run("-m", "tests.e2e.seed", stdin=json.dumps(document))
            answer = json.loads(printed.strip().splitlines()[-1])
        self.key = answer["api_key"] or self.key
        return self

    def begin(self, *options: str) -> None:
        """Starts it, as a process that imports all by itself, and does not wait."""
        command = [sys.executable, "manage.py", "serve", "--port", str(self.port), *options]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self.code, env=self.env, stdout=log, stderr=subprocess.STDOUT)

    def start(self, *options: str, whole: bool = False) -> "GatewayProcess":
        """Starts it and waits until it listens; as a fork where that has the same settings. `whole`: as operators do."""
        if self.seeder is not None and not whole and self.seeder.may_be(self):
            self._process = self.seeder.manage(
                self.env, "serve", "--port", str(self.port), *options, output=self.log, complaints=self.log
            )
        else:
            self.begin(*options)
        assert self._process is not None
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise AssertionError(f"the server ended:\n{self.log.read_text()}")
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    return self
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"the server did not start:\n{self.log.read_text()}")

    def stop(self, number: int = signal.SIGTERM, timeout_s: float = 20) -> int:
        if self._process is None or self._process.poll() is not None:
            return 0 if self._process is None else self._process.returncode
        self._process.send_signal(number)
        return self._process.wait(timeout=timeout_s)

    def end(self) -> None:
        """After a test, where nobody looks at how: who was called a moment ago would listen for two seconds more. Only one
        whose Redis others use takes leave of them."""
        self.stop(signal.SIGTERM if "REDIS_URL" in self.env else signal.SIGKILL)

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        self.stop(signal.SIGKILL)

    def post(self, path: str, body: Any, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], bytes]:
        """Status, lower-case headers and body, without any client library's own behaviour."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"authorization": f"Bearer {self.key}", "content-type": "application/json", **(headers or {})}
        return self._open(urllib.request.Request(self.url + path, data=data, headers=given, method="POST"))

    def get(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], bytes]:
        given = {"authorization": f"Bearer {self.key}", **(headers or {})}
        return self._open(urllib.request.Request(self.url + path, headers=given))

    @staticmethod
    def _open(request: urllib.request.Request) -> tuple[int, dict[str, str], bytes]:
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()


def fresh_copy(template: Path, target: Path) -> Path:
    """A data directory that is migrated already: migrating takes seconds, copying none."""
    shutil.copytree(template, target)
    if url_of(template):
        give_database(target, template)
    return target
