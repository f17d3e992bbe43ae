"""Fixtures shared by all tests, and the word about what this machine cannot test."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.gateway_process import GatewayProcess, fresh_copy

SERVICES = {"postgres": ("127.0.0.1", 5432), "redis": ("127.0.0.1", 6379)}
CHROMIUM = next((path for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(path).exists()), None)


def _reachable(address: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(address, timeout=0.5):
            return True
    except OSError:
        return False


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests marked slow run only when asked for; tests of absent services are skipped, or fail where required."""
    missing = {name for name, address in SERVICES.items() if not _reachable(address)}
    if CHROMIUM is None:
        missing.add("browser")
    required = os.environ.get("REQUIRE_SERVICES") == "1"
    slow_asked = "slow" in (config.option.markexpr or "")
    for item in items:
        for name in missing & {mark.name for mark in item.iter_markers()}:
            reason = f"needs {name}, which was not found on this machine"
            if not required:
                item.add_marker(pytest.mark.skip(reason))
        if "slow" in item.keywords and not slow_asked:
            item.add_marker(pytest.mark.skip("slow: runs with `make faults`"))
    config.stash[_MISSING] = missing


_MISSING = pytest.StashKey[set[str]]()


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:  # type: ignore[no-untyped-def]
    missing = config.stash.get(_MISSING, set())
    if missing:
        terminalreporter.write_sep(
            "!", f"NOT TESTED on this machine: {', '.join(sorted(missing))}", red=True, bold=True
        )


@pytest.fixture(scope="session")
def migrated_data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with every migration applied and nothing else in its database."""
    directory = tmp_path_factory.mktemp("template") / "data"
    directory.mkdir()
    GatewayProcess(directory).manage("migrate", "-v", "0")
    return directory


@pytest.fixture
def gateway(migrated_data_dir: Path, tmp_path: Path) -> Iterator[GatewayProcess]:
    """Not started yet: seed it, then start it."""
    process = GatewayProcess(fresh_copy(migrated_data_dir, tmp_path / "data"))
    yield process
    process.stop()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A service that REQUIRE_SERVICES=1 says must be there fails its tests; an expected failure would pass unseen."""
    absent = item.config.stash[_MISSING] & {mark.name for mark in item.iter_markers()}
    if absent and os.environ.get("REQUIRE_SERVICES") == "1":
        pytest.fail(f"REQUIRE_SERVICES=1, but {', '.join(sorted(absent))} was not found")
