"""A server that is asked to end, or to reload, while it still starts."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e import ledger
from tests.e2e.gateway_process import GatewayProcess, fresh_copy, shared_redis

TICKS = os.sysconf("SC_CLK_TCK")


def wait(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def seconds_worked(server: GatewayProcess) -> float:
    """Of processor time: how far a start is, on a machine that does other things as well."""
    fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def children(server: GatewayProcess) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()]


@pytest.fixture(scope="module")
def start_s(migrated_data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> float:
    """What a start works until it says a first word: half a second, or twice as much, by the hour of a shared host."""
    server = GatewayProcess(fresh_copy(migrated_data_dir, tmp_path_factory.mktemp("whole") / "data"))
    server.begin()
    wait(lambda: server.log.exists() and server.log.read_text())
    worked_s = seconds_worked(server)
    server.stop()
    return worked_s


@pytest.mark.parametrize(
    ("number", "share"), [(signal.SIGTERM, 0.3), (signal.SIGINT, 0.5), (signal.SIGTERM, 0.7), (signal.SIGINT, 0.8)]
)
def test_a_server_that_is_asked_to_end_while_it_starts_ends_well_and_without_a_word(
    gateway: GatewayProcess, start_s: float, number: int, share: float
) -> None:
    gateway.begin()
    wait(lambda: seconds_worked(gateway) >= share * start_s)
    assert gateway.stop(number) == 0
    assert gateway.log.read_text() == ""


def test_a_migration_that_is_begun_is_finished(tmp_path: Path) -> None:
    server = GatewayProcess(tmp_path)
    server.begin()
    wait(lambda: children(server))
    for pid in (*children(server), server.pid):
        os.kill(pid, signal.SIGINT)
    assert server.stop(signal.SIGTERM, timeout_s=60) == 0
    assert server.log.read_text() == ""
    assert ledger.missing_migrations(server) == set()


@pytest.mark.redis
def test_workers_that_still_start_end_with_their_supervisor_without_a_complaint(gateway: GatewayProcess) -> None:
    gateway.env.update(shared_redis())
    gateway.begin("--workers", "2", "--no-beat")
    wait(lambda: len(children(gateway)) == 2)
    workers = children(gateway)
    for pid in (*workers, gateway.pid):
        os.kill(pid, signal.SIGINT)
    assert gateway.stop(signal.SIGTERM) == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    assert "did not start" not in gateway.log.read_text()


@pytest.mark.redis
def test_a_reload_while_several_workers_start_ends_nothing(gateway: GatewayProcess) -> None:
    gateway.env.update(shared_redis())
    gateway.begin("--workers", "2", "--no-beat")
    wait(lambda: seconds_worked(gateway) >= 0.2)
    gateway.signal(signal.SIGHUP)
    wait(lambda: len(children(gateway)) == 2)
    assert gateway.stop() == 0
