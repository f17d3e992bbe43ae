"""Fixtures shared by all tests, and the word about what this machine cannot test."""

import fcntl
import gc
import os
import random
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from xdist.scheduler import LoadFileScheduling

from tests.e2e import databases, postgres_copies
from tests.e2e.gateway_process import GatewayProcess, Seeder, fresh_copy

# Containers often forbid writing bytecode. A suite that starts two hundred processes would compile the sources in each.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

SERVICES = {"postgres": ("127.0.0.1", 5432), "redis": ("127.0.0.1", 6379)}
CHROMIUM = next((path for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(path).exists()), None)


def _reachable(address: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(address, timeout=0.5):
            return True
    except OSError:
        return False


_MISSING = pytest.StashKey[set[str]]()


def pytest_sessionstart() -> None:
    """Ten thousand tests are there to stay: the collector need not look through them while they are made, nor later."""
    gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()
    # As the server does, for the same reason: pages make ten thousand objects each, which go by themselves.
    gc.set_threshold(20_000, 20, 50)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Nor through what a module leaves behind, such as templates, caches and reports: a collection would look at all of it
    each time, a quarter of the processor time of the unit tests. What the module left by mistake is found before."""
    done = yield
    if nextitem is not None and nextitem.path != item.path:
        gc.collect()
        gc.freeze()
    return done


def pytest_configure(config: pytest.Config) -> None:
    missing = {name for name, address in SERVICES.items() if not _reachable(address)}
    if CHROMIUM is None:
        missing.add("browser")
    config.stash[_MISSING] = missing
    if not hasattr(config, "workerinput"):
        postgres_copies.begin_run()


def pytest_unconfigure(config: pytest.Config) -> None:
    """`tests.settings` makes a data directory for each process."""
    if not hasattr(config, "workerinput") and "postgres" not in config.stash[_MISSING]:
        postgres_copies.end_run()
    directory = Path(os.environ.get("PROXY_API_DATA_DIR", ""))
    if directory.name.startswith("llm-proxy-test-"):
        shutil.rmtree(directory, ignore_errors=True)


class Migrated:
    """An SQLite database with every migration and nothing else, which the first who needs one leaves for all workers:
    migrating takes six seconds of processor time, copying none. Who finds none holds up the others until it is there."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        directory = factory.getbasetemp()
        self.directory = directory.parent if "PYTEST_XDIST_WORKER" in os.environ else directory
        self.file = self.directory / "migrated.sqlite3"
        self._lock = (self.directory / "migrated.lock").open("w")

    def __enter__(self) -> "Migrated":
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        return self

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._lock, fcntl.LOCK_UN)
        self._lock.close()


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """A file of SQLite goes with its directory."""
    return not databases.SERVER


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, tmp_path_factory: pytest.TempPathFactory
) -> Migrated | None:
    """What is to be filled still."""
    if databases.SERVER:
        return None
    migrated = Migrated(tmp_path_factory).__enter__()
    if not migrated.file.exists():
        return migrated
    with migrated:
        shutil.copy(migrated.file, settings.DATABASES["default"]["TEST"]["NAME"])
    return None


@pytest.fixture(scope="session")
def django_db_setup(
    django_db_modify_db_settings: Migrated | None, django_db_setup: None, django_db_blocker: Any
) -> Iterator[None]:
    """PostgreSQL drops no database that a thread of some test still has a connection to."""
    if django_db_modify_db_settings is not None:
        with django_db_modify_db_settings as migrated, django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute("VACUUM INTO %s", [str(migrated.file)])
    yield
    if connection.vendor == "postgresql":
        others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute(f"SELECT pg_terminate_backend(pid) {others}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests marked slow run only when asked for; tests of absent services are skipped, or fail where required."""
    required = os.environ.get("REQUIRE_SERVICES") == "1"
    slow_asked = "slow" in (config.option.markexpr or "")
    for item in items:
        for name in config.stash[_MISSING] & {mark.name for mark in item.iter_markers()}:
            reason = f"needs {name}, which was not found on this machine"
            if not required:
                item.add_marker(pytest.mark.skip(reason))
        if "slow" in item.keywords and not slow_asked:
            item.add_marker(pytest.mark.skip("slow: runs with `make faults`"))
    if seed := os.environ.get("TEST_SHUFFLE"):
        modules = sorted({item.path for item in items})
        random.Random(seed).shuffle(modules)
        items.sort(key=lambda item: modules.index(item.path))
    elif hasattr(config, "workerinput"):
        items.sort(key=_cost, reverse=True)
    emptying = {item.path for item in items if _empties_the_database(item)}
    items.sort(key=lambda item: item.path in emptying)


def _empties_the_database(item: pytest.Item) -> bool:
    """Whether it leaves nothing of what migrations brought: such modules come last, as pytest-django has it."""
    mark = item.get_closest_marker("django_db")
    return mark is not None and bool(mark.kwargs.get("transaction"))


class _OneBrowserAtATime(LoadFileScheduling):
    """Modules are the pieces that are handed out, but for those that drive Chromium, which are one: three of it at once
    on two cores would have every page wait for the others."""

    def _split_scope(self, nodeid: str) -> str:
        return "tests/browser" if nodeid.startswith("tests/browser/") else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    return _OneBrowserAtATime(config, log)


def _cost(item: pytest.Item) -> int:
    """Modules that start servers, or wait as long, go first among parallel workers: at the end, short ones fill the gaps."""
    if item.path.name == "test_embedded_work.py":
        return 2
    directory = item.path.relative_to(Path(__file__).parent).parts[0]
    return {"browser": 2, "e2e": 2, "security": 2, "integration": 1}.get(directory, 0)


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:  # type: ignore[no-untyped-def]
    missing = config.stash[_MISSING]
    if missing:
        terminalreporter.write_sep(
            "!", f"NOT TESTED on this machine: {', '.join(sorted(missing))}", red=True, bold=True
        )


@pytest.fixture(scope="session")
def migrated_data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data directory with every migration applied, an administrator, and nothing else in its database."""
    with Migrated(tmp_path_factory) as migrated:
        shared = tmp_path_factory.getbasetemp() if databases.SERVER else migrated.directory
        directory = shared / "template" / "data"
        if not (made := directory.with_name("made")).exists():
            directory.mkdir(parents=True, exist_ok=True)
            databases.give_database(directory)
            if migrated.file.exists():
                shutil.copy(migrated.file, directory / "llm_proxy.sqlite3")
            GatewayProcess(directory).run("-m", "tests.e2e.seed", "--template", str(migrated.file))
            made.touch()
    GatewayProcess.seeder = Seeder(directory)
    yield directory
    GatewayProcess.seeder.stop()
    GatewayProcess.seeder = None
    databases.drop_databases()


@pytest.fixture
def gateway(migrated_data_dir: Path, tmp_path: Path) -> Iterator[GatewayProcess]:
    """Not started yet: seed it, then start it."""
    process = GatewayProcess(fresh_copy(migrated_data_dir, tmp_path / "data"))
    yield process
    process.end()


@pytest.fixture(scope="module")
def module_gateway(migrated_data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """As `gateway`, for all tests of a module. Whoever seeds it names its upstreams first: they outlive it then."""
    process = GatewayProcess(fresh_copy(migrated_data_dir, tmp_path_factory.mktemp("module") / "data"))
    yield process
    process.end()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A service that REQUIRE_SERVICES=1 says must be there fails its tests; an expected failure would pass unseen."""
    absent = item.config.stash[_MISSING] & {mark.name for mark in item.iter_markers()}
    if absent and os.environ.get("REQUIRE_SERVICES") == "1":
        pytest.fail(f"REQUIRE_SERVICES=1, but {', '.join(sorted(absent))} was not found")
