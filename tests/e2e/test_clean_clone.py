"""README's two commands, as a newcomer types them: a clean clone in an empty directory, nothing installed by hand."""

import contextlib
import os
import re
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from tests.e2e.gateway_process import ROOT, free_port

pytestmark = pytest.mark.slow

INSTALL_S = 600


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    target = tmp_path / "llm-proxy-api"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(target)], check=True)
    return target


def clean_environment(port: int) -> dict[str, str]:
    """The machine's own settings (certificates, proxies, mirrors), and nothing of this repository's."""
    ours = ("PROXY_API", "DATABASE_URL", "REDIS_URL", "DJANGO", "PYTEST", "PYTHON", "VIRTUAL_ENV", "MAKE", "MFLAGS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "PROXY_API_PORT": str(port)}


def test_make_serve_prints_a_curl_line_that_streams_an_answer(clone: Path) -> None:
    port = free_port()
    log = clone / "serve.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            ["make", "serve"],
            cwd=clone,
            env=clean_environment(port),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        printed = wait_for_text(log, r"curl (http\S+)/v1/chat/completions.*?Bearer (\S+)\".*?-d '(\{.*?\})'", server)
        url, key, body = printed.groups()
        request = urllib.request.Request(
            f"{url}/v1/chat/completions",
            data=body.encode(),
            headers={"authorization": f"Bearer {key}", "content-type": "application/json"},
        )
        answer = open_when_ready(request)
        assert "data: [DONE]" in answer
        assert "DEMO" in log.read_text()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=30)


def test_make_test_runs_the_suite(clone: Path) -> None:
    """The set-up and the collection; running all of it here would run this suite inside itself."""
    env = {**clean_environment(free_port()), "PYTEST_ADDOPTS": "tests/unit/routing"}
    done = subprocess.run(
        ["make", "test"], cwd=clone, env=env, capture_output=True, text=True, timeout=INSTALL_S, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert re.search(r"\d+ passed", done.stdout)


def wait_for_text(log: Path, pattern: str, process: "subprocess.Popen[bytes]") -> re.Match[str]:
    deadline = time.monotonic() + INSTALL_S
    while time.monotonic() < deadline:
        if found := re.search(pattern, log.read_text(errors="replace"), re.S):
            return found
        assert process.poll() is None, log.read_text(errors="replace")[-3000:]
        time.sleep(0.2)
    raise AssertionError(log.read_text(errors="replace")[-3000:])


def open_when_ready(request: urllib.request.Request) -> str:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return str(answer.read().decode())
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
