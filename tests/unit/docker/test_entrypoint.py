"""The container's entry point as a plain process, with programs of ours in the places of python and celery."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

ENTRYPOINT = Path(__file__).parents[3] / "docker" / "entrypoint.sh"


@pytest.fixture
def path(tmp_path: Path) -> str:
    for name in ("python", "celery"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text('#!/bin/sh\necho "$(basename "$0") $*"\necho "in $(pwd) as $$"\n')
        program.chmod(0o755)
    return f"{tmp_path / 'bin'}:{os.environ['PATH']}"


def started(path: str, home: Path, *arguments: str, **more: str) -> list[str]:
    process = subprocess.Popen(
        ["sh", str(ENTRYPOINT), *arguments],
        env={"PATH": path, "LLM_PROXY_HOME": str(home), **more},
        stdout=subprocess.PIPE,
        text=True,
    )
    lines = process.communicate(timeout=10)[0].splitlines()
    assert process.returncode == 0
    assert lines[1] == f"in {home} as {process.pid}", "the program must take the script's place, to receive its signals"
    return lines[0].split(" ")


@pytest.mark.parametrize(
    ("given", "begins"),
    [
        ([], ["python", "manage.py", "serve"]),
        (["web"], ["python", "manage.py", "serve"]),
        (["web", "--role", "gateway"], ["python", "manage.py", "serve", "--role", "gateway"]),
        (["worker"], ["celery", "-A", "proxy_site", "worker"]),
        (["beat"], ["celery", "-A", "proxy_site", "beat"]),
        (["migrate"], ["python", "manage.py", "migrate", "--noinput"]),
        (["usage_report", "--by", "team"], ["python", "manage.py", "usage_report", "--by", "team"]),
    ],
)
def test_a_role_starts_its_program(path: str, tmp_path: Path, given: list[str], begins: list[str]) -> None:
    assert started(path, tmp_path, *given)[: len(begins)] == begins


def test_the_worker_does_as_the_environment_says(path: str, tmp_path: Path) -> None:
    line = " ".join(started(path, tmp_path, "worker", CELERY_CONCURRENCY="9"))
    assert "--concurrency 9" in line


@pytest.mark.parametrize("role", ["worker", "beat"])
def test_celery_is_not_told_a_level_that_only_the_program_knows(path: str, tmp_path: Path, role: str) -> None:
    """It refuses WARN, which the server takes."""
    assert "WARN" not in started(path, tmp_path, role, LOG_LEVEL="WARN")


def test_arguments_with_spaces_stay_whole(path: str, tmp_path: Path) -> None:
    (tmp_path / "bin" / "python").write_text('#!/bin/sh\necho "$# $4"\necho "in $(pwd) as $$"\n')
    assert started(path, tmp_path, "create_api_key", "a name", "--json") == ["4", "--json"]


def test_sigterm_reaches_the_program(path: str, tmp_path: Path) -> None:
    (tmp_path / "bin" / "python").write_text(
        "#!/bin/sh\ntrap 'echo drained; exit 0' TERM\necho up\nwhile :; do sleep 0.05; done\n"
    )
    process = subprocess.Popen(
        ["sh", str(ENTRYPOINT)],
        env={"PATH": path, "LLM_PROXY_HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=10)[0] == "drained\n"
    assert process.returncode == 0
