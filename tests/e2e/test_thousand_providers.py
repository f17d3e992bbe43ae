"""A thousand providers, probed each minute by the worker that also serves: what it costs, and whether any probe is late."""

import asyncio
import itertools
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.calling import report
from tests.e2e.gateway_process import GatewayProcess, free_port, fresh_copy

pytestmark = pytest.mark.slow

PROVIDERS = 1000
SLOW = 20
"""So many never answer: they may not delay the others."""
INTERVAL_S = 60
ROUNDS = 2
MOST_CPU = 0.10
LATE_S = 10.0

UPSTREAM = """
import asyncio, sys

BODY = b'{"object": "list", "data": [{"id": "m", "object": "model", "created": 1, "owned_by": "x"}]}'
ANSWER = b"HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\ncontent-length: %d\\r\\n\\r\\n" % len(BODY) + BODY

async def serve(reader, writer):
    try:
        while head := await reader.readuntil(b"\\r\\n\\r\\n"):
            await asyncio.sleep(3600 if b" /slow" in head else 0.05)
            writer.write(ANSWER)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()

async def main():
    async with await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), backlog=1000) as server:
        await server.serve_forever()

asyncio.run(main())
"""
SEED = """
import json, sys, django; django.setup()
from providers.models import Credential, Deployment, Provider
from proxy_site.bootstrap import prepare
port, count, slow = json.load(sys.stdin)
url = f"http://127.0.0.1:{port}"
rows = Provider.objects.bulk_create(
    Provider(name=f"p{n}", base_url=f"{url}/slow/v1" if n < slow else f"{url}/v1", kind="openai") for n in range(count)
)
credentials = [Credential(provider=row) for row in rows]
for credential in credentials:
    credential.store("sk-upstream")
Credential.objects.bulk_create(credentials)
Deployment.objects.bulk_create(Deployment(provider=row, model=f"m-{row.name}", upstream_model="m") for row in rows)
print(prepare(demo_base_url="http://127.0.0.1:9/v1").api_key)
"""


@pytest.fixture
def upstream_port() -> Iterator[int]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", UPSTREAM, str(port)])
    yield port
    process.kill()
    process.wait()


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def probed_at(data_dir: Path, *, since: float) -> dict[str, list[float]]:
    """When each provider was probed, in seconds since 1970."""
    at = "(julianday(at) - 2440587.5) * 86400"
    query = f"SELECT name, {at} FROM monitoring_healthsample WHERE deployment_id IS NULL ORDER BY at"
    with closing(sqlite3.connect(data_dir / "llm_proxy.sqlite3", timeout=10)) as database:
        rows = database.execute(query).fetchall()
    found: dict[str, list[float]] = {}
    for name, at in rows:
        if at >= since:
            found.setdefault(name, []).append(at)
    return found


async def test_a_thousand_providers_are_probed_in_time_by_a_tenth_of_a_core(
    migrated_data_dir: Path, tmp_path: Path, upstream_port: int
) -> None:
    server = GatewayProcess(
        fresh_copy(migrated_data_dir, tmp_path / "data"), env={"HEALTH_CHECK_INTERVAL": str(INTERVAL_S)}
    )
    server.run("-c", SEED, stdin=json.dumps([upstream_port, PROVIDERS, SLOW]))
    server.start()
    try:
        while len(probed_at(server.data_dir, since=0)) < PROVIDERS:
            await asyncio.sleep(0.5)
        began, before = time.time(), cpu_s(server.pid)
        await asyncio.sleep(ROUNDS * INTERVAL_S)
        share = (cpu_s(server.pid) - before) / (time.time() - began)
        probes = probed_at(server.data_dir, since=began - INTERVAL_S)
    finally:
        server.stop()
    gaps = [later - earlier for times in probes.values() for earlier, later in itertools.pairwise(times)]
    late = max(gaps) - INTERVAL_S
    count = sum(len(times) for times in probes.values())
    report(
        f"{PROVIDERS} providers each {INTERVAL_S} s, {SLOW} of them silent: {share * 100:.1f} % of a core,"
        f" {count} probes in {(ROUNDS + 1) * INTERVAL_S} s, the latest {late:.1f} s late"
    )
    assert len(probes) == PROVIDERS
    assert min(len(times) for times in probes.values()) >= ROUNDS
    assert late <= LATE_S
    # Where several processes wait for each core, caches are cold at every turn, and CPU time is no measure of the work.
    if os.getloadavg()[0] <= (os.cpu_count() or 1):
        assert share <= MOST_CPU
