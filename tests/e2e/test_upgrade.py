"""From the last release whose tables were others to this one, instance by instance, under load: no call notices.

What ran before is the commit before the newest migration of a table, checked out beside this one and served by its own
code. As the manual says: the new release's `migrate` first, while the old instances serve on the new tables; then one
instance after another is taken out of the balancer, drained and replaced.
"""

import asyncio
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import ledger
from tests.e2e.calling import Caller, Got, report
from tests.e2e.gateway_process import ROOT, GatewayProcess, on_postgres
from tests.e2e.private_servers import private_postgres, private_redis
from tests.upstreams.behaviours import expected_text
from tests.upstreams.faults import FaultUpstream

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.redis]
MODELS = [{"model": "short", "upstream_model": "fault:none?tokens=5&interval_s=0.05"}]
CLIENTS, INSTANCES = 8, 2


class Balancer:
    """As a service in Kubernetes: each new connection goes to one of the ready instances, old ones stay where they are."""

    def __init__(self) -> None:
        self.ready: list[int] = []
        self._connections = 0

    async def __aenter__(self) -> "Balancer":
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        port = self.ready[self._connections % len(self.ready)]
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, upstream_writer), copy(upstream_reader, writer))


async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    except OSError:
        pass
    target.close()


def git(*arguments: str) -> str:
    done = subprocess.run(["git", "-C", ROOT, *arguments], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"no history to upgrade from: {done.stderr.strip()}")
    return done.stdout.strip()


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The code of the commit before the newest migration that changed a table."""
    changes = r"(Create|Delete|Rename)Model|(Add|Alter|Remove|Rename)Field"
    newest = git("log", "-1", "--format=%H", "--diff-filter=A", "-E", f"-G{changes}", "--", "*/migrations/0*.py")
    directory = tmp_path_factory.mktemp("before") / "code"
    git("worktree", "add", "--detach", str(directory), f"{newest}~1")
    yield directory
    git("worktree", "remove", "--force", str(directory))


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[dict[str, str]]:
    with private_postgres() as postgres, private_redis(tmp_path) as redis:
        yield {**on_postgres(postgres.url), "REDIS_URL": redis.url}


def instance(directory: Path, stores: dict[str, str], code: Path) -> GatewayProcess:
    directory.mkdir(exist_ok=True)
    return GatewayProcess(directory, env=stores, code=code)


async def is_ready(server: GatewayProcess) -> None:
    """Behind a supervisor the socket listens before the first worker does."""
    async with asyncio.timeout(120):
        while True:
            try:
                if (await asyncio.to_thread(server.get, "/readyz"))[0] == 200:
                    return
            except OSError:
                pass
            await asyncio.sleep(0.1)


async def started(server: GatewayProcess, balancer: Balancer) -> GatewayProcess:
    await asyncio.to_thread(server.start, "--workers", "1")
    await is_ready(server)
    balancer.ready.append(server.port)
    return server


async def replaced(old: GatewayProcess, new: GatewayProcess, balancer: Balancer) -> GatewayProcess:
    balancer.ready.remove(old.port)
    assert await asyncio.to_thread(old.stop, signal.SIGTERM, 60) == 0
    return await started(new, balancer)


async def load(caller: Caller, until: asyncio.Event, found: list[Got]) -> None:
    while not until.is_set():
        found.append(await caller.ask("short"))


def migrations(server: GatewayProcess) -> set[str]:
    return {row["name"] for row in ledger.query(server, "SELECT app || '.' || name AS name FROM django_migrations")}


async def test_an_upgrade_under_load_fails_no_call(
    tmp_path: Path, before: Path, stores: dict[str, str], upstream: FaultUpstream
) -> None:
    old = [instance(tmp_path / f"data{number}", stores, before) for number in range(INSTANCES)]
    old[0].manage("migrate", "-v", "0")
    old[0].seed({"providers": [{"name": "only", "base_url": f"{upstream.url}/v1", "models": MODELS}]})
    tables_before = migrations(old[0])
    found: list[Got] = []
    async with Balancer() as balancer:
        running = [await started(server, balancer) for server in old]
        front = instance(tmp_path / "front", stores, ROOT)
        front.url, front.key = balancer.url, old[0].key
        try:
            async with Caller(front) as caller:
                over = asyncio.Event()
                tasks = [asyncio.create_task(load(caller, over, found)) for _ in range(CLIENTS)]
                new = [instance(server.data_dir, stores, ROOT) for server in old]
                await asyncio.to_thread(new[0].manage, "migrate", "-v", "0")
                at_migrated = len(found)
                # The old instances serve on the new tables for a while.
                while len(found) < at_migrated + 20 * CLIENTS:
                    await asyncio.sleep(0.1)
                for number, server in enumerate(new):
                    running[number] = await replaced(old[number], server, balancer)
                at_replaced = len(found)
                while len(found) < at_replaced + 20 * CLIENTS:
                    await asyncio.sleep(0.1)
                over.set()
                await asyncio.gather(*tasks)
        finally:
            for server in running:
                await asyncio.to_thread(server.stop, signal.SIGTERM, 60)
    unclean = [got for got in found if not got.is_clean(expected_text(5))]
    applied = sorted(migrations(front) - tables_before)
    sums = ledger.totals(front)
    report(
        f"upgrade: {', '.join(applied)} applied and {INSTANCES} instances replaced under {CLIENTS} clients, "
        f"{len(found)} streams, {len(unclean)} not clean, {sums['requests']} in the ledger"
    )
    assert applied, "the tables were the same: nothing was tested"
    assert not unclean
    assert sums["requests"] == len(found)
