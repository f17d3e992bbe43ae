"""Many streams at once all complete in order and on time; readers that stall and senders that dawdle are cut."""

import asyncio
import http.client
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.calling import Caller, Got, read_event, report
from tests.e2e.gateway_process import ROOT, GatewayProcess, fresh_copy
from tests.e2e.neighbours import Neighbours
from tests.upstreams.behaviours import expected_text
from tests.upstreams.faults import FaultUpstream

EVENTS = 50
INTERVAL_S = 0.1
STALLED = 20
HUGE = 40_000


@pytest.fixture
def server(migrated_data_dir: Path, tmp_path: Path, upstream: FaultUpstream) -> Iterator[GatewayProcess]:
    process = GatewayProcess(fresh_copy(migrated_data_dir, tmp_path / "data"))
    models = [
        {"model": "paced", "upstream_model": f"fault:none?tokens={EVENTS}&interval_s={INTERVAL_S}"},
        {"model": "brief", "upstream_model": f"fault:none?tokens=10&interval_s={INTERVAL_S}"},
        {"model": "huge", "upstream_model": f"fault:none?tokens={HUGE}"},
    ]
    only = {"name": "only", "base_url": f"{upstream.url}/v1", "max_connections": 2000, "models": models}
    process.seed({"providers": [only]}).start()
    yield process
    process.kill()


def resident_mb(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


async def together(server: GatewayProcess, model: str, streams: int, *, over_s: float = 0.0) -> list[Got]:
    async with Caller(server) as caller:

        async def one(number: int) -> Got:
            await asyncio.sleep(over_s * number / streams)
            return await caller.ask(model)

        return list(await asyncio.gather(*(one(number) for number in range(streams))))


async def test_a_hundred_streams_complete_in_order(server: GatewayProcess) -> None:
    found = await together(server, "brief", 100)
    assert all(got.is_clean(expected_text(10)) for got in found)


@pytest.mark.slow
async def test_five_hundred_streams_complete_in_order(server: GatewayProcess) -> None:
    found = await together(server, "paced", 500, over_s=1.0)
    assert all(got.is_clean(expected_text(EVENTS)) for got in found)
    report(f"many streams: 500 at once, all clean and in order; gateway at {resident_mb(server.pid):.0f} MB")


@pytest.mark.slow
def test_five_hundred_streams_of_ten_events_a_second_are_on_time() -> None:
    """Measured by a client that costs little, on another core, and compared with the same streams and no gateway."""
    neighbours = Neighbours()
    command = [sys.executable, "-m", "tests.bench.streams", "--streams", "500", "--without", "relay"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300).stdout
    rows = [[cell.strip() for cell in line.strip("| \n").split("|")] for line in printed.splitlines()[2:]]
    direct, through = rows
    added_ms = float(through[4]) - float(direct[4])
    report(f"many streams: 500 of 10 events/s, p99 {through[4]} ms through the gateway and {direct[4]} ms without it")
    assert (direct[2], through[2]) == ("500", "500")
    assert added_ms <= 50 or neighbours.excuse(f"{added_ms:.0f} ms")


def open_stream(server: GatewayProcess, model: str) -> socket.socket:
    """A client with a small receive buffer that has asked and reads nothing."""
    body = json.dumps({"model": model, "stream": True, "messages": [{"role": "user", "content": "hi"}]}).encode()
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", server.port))
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {server.key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    client.sendall(head.encode() + body)
    client.setblocking(False)
    return client


def read_all(client: socket.socket) -> Got:
    """In small steps, so that the gateway has to wait again and again."""
    client.setblocking(True)
    client.settimeout(30)
    with http.client.HTTPResponse(client, method="POST") as response:
        response.begin()
        got = Got(status=response.status, headers={})
        while line := response.readline():
            read_event(line, time.monotonic(), got)
    return got


async def test_readers_that_rest_have_everything_in_the_end(server: GatewayProcess, upstream: FaultUpstream) -> None:
    clients = [open_stream(server, "huge") for _ in range(3)]
    await upstream.until(lambda seen: len(seen.hits) == 3, timeout_s=30.0)
    # More than lies in the buffers on the way to them: the gateway waits.
    await asyncio.sleep(2)
    found = await asyncio.gather(*(asyncio.to_thread(read_all, client) for client in clients))
    for client in clients:
        client.close()
    assert all(got.is_clean(expected_text(HUGE)) for got in found)


@pytest.mark.slow
async def test_stalled_readers_cost_little_memory_and_are_cut(server: GatewayProcess, upstream: FaultUpstream) -> None:
    # What a process takes at its first calls is not the readers'.
    await together(server, "huge", 3)
    before = resident_mb(server.pid)
    began = time.monotonic()
    clients = [open_stream(server, "huge") for _ in range(STALLED)]
    await upstream.until(lambda seen: len(seen.hits) == 3 + STALLED, timeout_s=60)
    await asyncio.sleep(10)
    grown = resident_mb(server.pid) - before
    await upstream.until(lambda seen: all(hit.client_closed_at for hit in seen.hits[3:]), timeout_s=60)
    cut_after = time.monotonic() - began
    for client in clients:
        client.close()
    each = grown / STALLED
    report(
        f"stalled readers: {STALLED} of a 7 MB stream each, {each:.2f} MB each, the last cut after {cut_after:.0f} s"
    )
    assert each <= 1
    assert 30 <= cut_after < 45


@pytest.mark.slow
async def test_headers_that_never_end_are_not_waited_for(server: GatewayProcess) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    began = time.monotonic()
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n")
    closed = asyncio.create_task(reader.read())
    while not closed.done():
        writer.write(b"x-slow: 1\r\n")
        await asyncio.sleep(0.5)
        assert time.monotonic() - began < 15
    writer.close()
    report(f"slowloris: headers cut after {time.monotonic() - began:.1f} s")
