"""A shell, a container or a unit gives a program 1024 open files; the server takes what it is allowed beyond."""

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy_site.open_files import ENOUGH, allow_enough
from tests.e2e.gateway_process import GatewayProcess


@pytest.fixture
def few_files() -> Iterator[int]:
    """Of this process, and so of those that it starts."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, before[1]))
    yield before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def allowed(hard: int) -> int:
    return ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)


def test_the_server_has_more_open_files_than_it_was_given(few_files: int, gateway: GatewayProcess) -> None:
    gateway.start(whole=True)
    (line,) = [line for line in Path(f"/proc/{gateway.pid}/limits").read_text().splitlines() if "open files" in line]
    assert int(line.split()[3]) == allowed(few_files)


def test_what_somebody_has_set_higher_stays(few_files: int) -> None:
    allow_enough()
    first = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert first == (allowed(few_files), few_files)
    allow_enough()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == first
