"""What `make` does where the system's python3 is too old: README promises that two commands are enough."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CHOSEN = "chosen: ; @echo chosen $(PYTHON)"


def a_python(directory: Path, name: str, *, new_enough: bool) -> None:
    program = directory / name
    program.write_text(f"#!/bin/sh\nexit {0 if new_enough else 1}\n")
    program.chmod(0o755)


def make(directory: Path, *goal: str) -> subprocess.CompletedProcess[str]:
    # Not as a part of the make that runs the tests.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "PYTHON"))}
    env = {**kept, "PATH": f"{directory}{os.pathsep}/nowhere"}
    command = ["/usr/bin/make", "-f", str(ROOT / "Makefile"), "VENV=" + str(directory / "venv"), *goal]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    ("found", "chosen"),
    [
        ({"python3": True, "python3.12": True}, "python3"),
        ({"python3": False, "python3.12": True, "python3.11": True}, "python3.12"),
        ({"python3": False}, ""),
        ({}, ""),
    ],
)
def test_the_first_python_that_is_new_enough_is_taken(tmp_path: Path, found: dict[str, bool], chosen: str) -> None:
    for name, new_enough in found.items():
        a_python(tmp_path, name, new_enough=new_enough)
    assert make(tmp_path, "--eval", CHOSEN, "chosen").stdout.strip() == f"chosen {chosen}".strip()


def test_without_one_it_says_what_is_missing_and_makes_nothing(tmp_path: Path) -> None:
    a_python(tmp_path, "python3", new_enough=False)
    for goal in ([], ["PYTHON=python3"]):
        done = make(tmp_path, "serve", *goal)
        assert (done.returncode, "This needs Python 3.11 or newer" in done.stderr) == (2, True), done.stderr
    assert not (tmp_path / "venv").exists()
