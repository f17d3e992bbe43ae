"""How many instructions of the processor a call takes: the same number on a busy machine as on a quiet one.

    python -m tests.bench.instructions [--calls 400] [--stream] [--only TEXT]

CPU time on a shared host moves by a fifth from minute to minute, which hides what a change of one part in fifty does. So
the gateway's path is run under valgrind's callgrind and its instructions are counted, from the bytes of the request to the
bytes of the answer, with finished calls reported and the journal written, without the kernel's work, the ledger's thread
and what runs once a second. Clients are objects in the process; the upstream is a process of its own. The bare relay is
counted the same way. Needs valgrind (Debian package valgrind). A case takes about 15 s.
"""

import argparse
import asyncio
import functools
import gc
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from tests.bench.compare import BODIES, LIMITS, MODEL, program
from tests.e2e.gateway_process import ROOT, GatewayProcess, free_port

CONNECTIONS = 32
WARM_UP = 200
PUT_OFF_S = 2.0
REST_S = PUT_OFF_S + 0.05
Ends = bytes | tuple[bytes, ...]
"""How the last piece of an answer ends."""
NOBODY = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


class FakeClient(asyncio.Transport):
    """A client connection without a socket; `answered` is called for each complete answer with whether it was a 200."""

    def __init__(self, ends: Ends) -> None:
        super().__init__()
        self._ends = ends
        self._status = b""
        self.answered: Callable[[bool], None] = lambda good: None

    def write(self, data: Any) -> None:
        if data[:5] == b"HTTP/":
            self._status = bytes(data[9:12])
        if data.endswith(self._ends):
            self.answered(self._status == b"200")

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("127.0.0.1", 5), "sockname": ("127.0.0.1", 8000)}.get(name, default)

    def is_closing(self) -> bool:
        return False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...


class Load:
    """Calls over CONNECTIONS connections, each sending its next request as soon as it has its answer. `rest_s` is how long
    afterwards all that was put off is done: reports, and the last connections' clearing up."""

    def __init__(
        self, protocol: Callable[[], HttpToolsProtocol], request: bytes, ends: Ends, rest_s: float = REST_S
    ) -> None:
        self._request = request
        self._rest_s = rest_s
        self._loop = asyncio.get_running_loop()
        self._left = self._running = 0
        self._done = self._loop.create_future()
        self.bad = 0
        self._protocols = [self._connected(protocol(), FakeClient(ends)) for _ in range(CONNECTIONS)]

    async def run(self, calls: int) -> None:
        self._left, self._running = calls - CONNECTIONS, CONNECTIONS
        self._done = self._loop.create_future()
        for protocol in self._protocols:
            protocol.data_received(self._request)
        await self._done
        await asyncio.sleep(self._rest_s)

    def _connected(self, protocol: HttpToolsProtocol, client: FakeClient) -> HttpToolsProtocol:
        def answered(good: bool) -> None:
            self.bad += not good
            if self._left > 0:
                self._left -= 1
                self._loop.call_soon(protocol.data_received, self._request)
                return
            self._running -= 1
            if not self._running:
                self._done.set_result(None)

        client.answered = answered
        protocol.connection_made(client)
        return protocol


def request_of(key: str, body: bytes) -> bytes:
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    return head + b"authorization: Bearer %b\r\ncontent-length: %d\r\n\r\n%b" % (key.encode(), len(body), body)


def load_of(protocol: Callable[[], HttpToolsProtocol], key: str, kind: str, model: str, rest_s: float = REST_S) -> Load:
    request = request_of(key, BODIES[kind].replace("gpt-4o", model).encode())
    return Load(protocol, request, b"0\r\n\r\n" if kind == "stream" else b"}", rest_s)


def count(on: bool) -> None:
    """callgrind counts from here on, or no longer."""
    subprocess.run(["callgrind_control", "-i", "on" if on else "off", str(os.getpid())], check=True, **NOBODY)


async def inside(case: str, key: str, calls: int, kind: str, model: str) -> None:
    """Runs under valgrind, in the gateway's environment."""
    # So slow, hardly two calls would end within the time after which a gateway reports them.
    protocol = relay_protocol() if case == "relay" else await gateway_protocol(report_after_s=PUT_OFF_S)
    load = load_of(protocol, key, kind, model)
    await load.run(WARM_UP)
    # Here finished calls are kept until all have ended. A collection that comes of it, or does not, is a twentieth of a chat.
    gc.disable()
    count(True)
    await load.run(calls)
    count(False)
    sys.stdout.write(f"bad {load.bad}\n")
    sys.stdout.flush()
    os._exit(0)


def relay_protocol() -> Callable[[], HttpToolsProtocol]:
    options = {"loop": "uvloop", "http": "httptools", "lifespan": "off", "access_log": False, "log_level": "error"}
    config = uvicorn.Config("tests.bench.relay:app", **options)  # type: ignore[arg-type]
    config.load()
    state = ServerState()
    return lambda: HttpToolsProtocol(config=config, server_state=state, app_state={})


async def gateway_protocol(
    report_after_s: float | None = None, *, periodic: bool = False
) -> Callable[[], HttpToolsProtocol]:
    """Finished calls are reported together after `report_after_s`, or when the gateway does it. `periodic` keeps what runs
    about once a second, which counts for more the slower the calls are: under valgrind, for much."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "proxy_site.settings")
    from proxy_site.asgi import worker
    from proxy_site.client_connection import GatewayProtocol, GatewayServerState
    from proxy_site.server import server_config

    config = server_config(host="127.0.0.1", port=8000)
    config.load()
    before = asyncio.all_tasks()
    await worker.open()
    if not periodic:
        for task in asyncio.all_tasks() - before:
            task.cancel()
    await asyncio.sleep(0.1)
    if report_after_s is not None:
        reports = worker.gateway.settlement.reports
        reports.later = functools.partial(asyncio.get_running_loop().call_later, report_after_s)
    state = GatewayServerState()
    return lambda: GatewayProtocol(config=config, server_state=state, app_state={})


def instructions(case: str, key: str, calls: int, kind: str, model: str, env: dict[str, str]) -> float:
    tool = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--callgrind-out-file=/dev/null"]
    command = [*tool, sys.executable, "-m", "tests.bench.instructions", "--inside", case, key, str(calls), kind, model]
    env = {**env, "PYTHONHASHSEED": "0", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if found is None or "bad 0\n" not in done.stdout:
        raise SystemExit(f"{case} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return int(found[1]) / calls


def seeded(data: Path, upstream: int, *, candidates: int = 1, cached: bool = False) -> tuple[GatewayProcess, str]:
    """A gateway's data, and a key with limits and a budget."""
    data.mkdir()
    gateway = GatewayProcess(data)
    provider = {"base_url": f"http://127.0.0.1:{upstream}/v1", "max_connections": 1000, "models": [MODEL]}
    translated = {**provider, "name": "other", "kind": "anthropic", "models": [{**MODEL, "model": "claude-bench"}]}
    document: dict[str, Any] = {"providers": [{**provider, "name": f"bench{n}"} for n in range(candidates)]}
    document["providers"].append(translated)
    if cached:
        document["settings"] = {"response_cache": {"enabled": True, "ttl": 3600}}
    gateway.seed(document)
    return gateway, gateway.manage("create_api_key", "limited", *LIMITS).split()[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--stream", action="store_true", help="streams of 54 events instead of whole answers")
    parser.add_argument("--only", help="only cases with this in their name")
    parser.add_argument("--inside", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        case, key, calls, kind, model = options.inside
        uvloop.run(inside(case, key, int(calls), kind, model))
        return
    if not shutil.which("valgrind"):
        raise SystemExit("this needs valgrind (Debian package valgrind)")
    kind, upstream = "stream" if options.stream else "chat", free_port()
    command = [sys.executable, "-m", "tests.bench.upstream", str(upstream), "50"]
    with tempfile.TemporaryDirectory() as name, program(command, upstream):
        one, limited = seeded(Path(name) / "one", upstream)
        ten, _ = seeded(Path(name) / "ten", upstream, candidates=10)
        cached, _ = seeded(Path(name) / "cached", upstream, cached=True)
        relay_env = {**os.environ, "BENCH_UPSTREAM": f"http://127.0.0.1:{upstream}/v1/chat/completions"}
        cases = [
            ("relay", "bare relay", "sk-none", "gpt-4o", relay_env),
            ("gateway", "gateway", one.key, "gpt-4o", one.env),
            ("gateway", "gateway, ten candidates", ten.key, "gpt-4o", ten.env),
            ("gateway", "gateway, limited and budgeted key", limited, "gpt-4o", one.env),
            ("gateway", "gateway, answer from the cache", cached.key, "gpt-4o", cached.env),
            ("gateway", "gateway, translated from Anthropic", one.key, "claude-bench", one.env),
        ]
        relay = 0.0
        for case, title, key, model, env in cases:
            # The relay always: the others are shown as multiples of it.
            if options.only and options.only not in title and case != "relay":
                continue
            found = instructions(case, key, options.calls, kind, model, env)
            relay = relay or found
            print(f"{title:36} {found:10,.0f} instructions per {kind}  {found / relay:.2f} ×", flush=True)


if __name__ == "__main__":
    main()
