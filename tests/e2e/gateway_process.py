"""The real server as a process of its own, with a database of its own, for end-to-end tests."""

import contextlib
import filecmp
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any, ClassVar

from tests.e2e.databases import give_database, url_of

ROOT = Path(__file__).resolve().parents[2]
# A start takes three seconds of one core. Tests that run beside each other, and other people's work, share the cores.
START_TIMEOUT_S = 90.0
NOTHING_TO_A_DATABASE = {"REDIS_URL", "LOG_LEVEL"}
"""What is written there is the same with and without these settings."""


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


class Seeder:
    """A process with Django set up, which fills copies of one template in a tenth of a second each."""

    def __init__(self, template: Path) -> None:
        self._template = template
        self._process: subprocess.Popen[str] | None = None

    def knows(self, data_dir: Path) -> bool:
        """Only a copy has the template's secrets, with which keys are hashed and credentials encrypted."""
        ours, theirs = self._template / "secrets", data_dir / "secrets"
        names = [file.name for file in ours.glob("*")]
        return bool(names) and filecmp.cmpfiles(ours, theirs, names, shallow=False)[0] == names

    def fill(self, data_dir: Path, document: dict[str, Any]) -> dict[str, Any]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.e2e.seed", "--copies"],
                cwd=ROOT,
                env=GatewayProcess(self._template).env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"data_dir": str(data_dir), "document": document}) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer

    def stop(self) -> None:
        if self._process is not None:
            self._process.communicate(timeout=20)


def shared_redis() -> dict[str, str]:
    """The environment of a gateway on the machine's own Redis, in a database that no other test process uses."""
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    return {"REDIS_URL": f"redis://127.0.0.1:6379/{9 + process % 6}"}


class GatewayProcess:
    """`seed` fills the database before the start; see `tests.e2e.seed`."""

    seeder: ClassVar[Seeder | None] = None
    """For data directories that are copies of the session's template, and processes without settings of their own."""

    def __init__(self, data_dir: Path, *, env: dict[str, str] | None = None, code: Path = ROOT) -> None:
        self.data_dir = data_dir
        self.code = code
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.key = ""
        self.log = data_dir / "serve.log"
        self._process: subprocess.Popen[bytes] | None = None
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("PROXY_API", "DATABASE", "REDIS"))
        }
        self.env = {
            **kept,
            "DJANGO_SETTINGS_MODULE": "proxy_site.settings",
            "PROXY_API_ENV_FILE": "/dev/null",
            "PROXY_API_DATA_DIR": str(data_dir),
            **(on_postgres(url) if (url := url_of(data_dir)) else {}),
            **(env or {}),
        }
        self._own_settings = bool(set(env or ()) - NOTHING_TO_A_DATABASE)

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
        return self.run("manage.py", *arguments)

    def seed(self, document: dict[str, Any]) -> "GatewayProcess":
        if self.seeder is not None and not self._own_settings and self.seeder.knows(self.data_dir):
            answer = self.seeder.fill(self.data_dir, document)
        else:
            printed = self.run("-m", "tests.e2e.seed", stdin=json.dumps(document))
            answer = json.loads(printed.strip().splitlines()[-1])
        self.key = answer["api_key"] or self.key
        return self

    def begin(self, *options: str) -> None:
        """Starts it and does not wait."""
        command = [sys.executable, "manage.py", "serve", "--port", str(self.port), *options]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self.code, env=self.env, stdout=log, stderr=subprocess.STDOUT)

    def start(self, *options: str) -> "GatewayProcess":
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
