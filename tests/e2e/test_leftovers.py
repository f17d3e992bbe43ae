"""Calls leave nothing to the garbage collector: what they used is free as soon as they end.

Where each left a few dozen objects in circles, the collector took a tenth of all CPU and, several times a second, held every
call for up to fifty milliseconds; and memory that is used in turns is not in the processor's caches.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from providers.demo import create_app
from tests.bench.compare import MODEL
from tests.e2e.gateway_process import GatewayProcess, fresh_copy
from tests.upstreams.faults import fault_upstream_in_thread
from tests.upstreams.servers import run_asgi

KINDS = ("openai", "anthropic", "cohere", "openai_responses")
ROOTS = {"cohere": ""}
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
STREAM = {"stream": True}
CALL = {"tools": [TOOL], "tool_choice": "required"}
SHAPES: dict[str, dict[str, Any]] = {"chat": {}, "stream": STREAM, "tools": CALL, "tools streamed": STREAM | CALL}
GOOD = [f"{kind} {shape}" for kind in KINDS for shape in SHAPES] + [
    "limited chat",
    "limited stream",
    "second candidate",
]
REFUSED = [
    "unknown model",
    "not JSON",
    "no messages",
    "unknown key",
    "limit reached",
    "upstream refuses",
    "upstream is down",
]


def body_of(model: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "Hello there."}], **more}


@pytest.fixture(scope="module")
def found(
    migrated_data_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, tuple[int, float, list]]]:
    with ExitStack() as stack:
        urls = {kind: stack.enter_context(run_asgi(create_app(kind))) for kind in KINDS}
        faults = stack.enter_context(fault_upstream_in_thread())
        gateway = GatewayProcess(fresh_copy(migrated_data_dir, tmp_path_factory.mktemp("leftovers") / "data"))
        providers: list[dict[str, Any]] = [
            {"name": kind, "kind": kind, "base_url": url + ROOTS.get(kind, "/v1"), "models": [{**MODEL, "model": kind}]}
            for kind, url in urls.items()
        ]
        refusing = {"model": "refused", "upstream_model": "fault:status?status=400"}
        broken = [{"model": model, "upstream_model": "fault:status?status=500"} for model in ("down", "openai backed")]
        cut = {"model": "cut", "upstream_model": "fault:cut?cut_at=400"}
        faulty = {"base_url": f"{faults.url}/v1", "circuit_breaker_threshold": 1_000_000, "max_connections": 1000}
        providers.append({**faulty, "name": "faulty", "priority": 1, "models": [refusing, cut, *broken]})
        providers.append({**faulty, "name": "second", "priority": 2, "models": ["openai backed"]})
        gateway.seed({"providers": providers})
        limited = gateway.manage("create_api_key", "limited", "--rpm", "1000000", "--budget-usd", "1000").split()[0]
        stopped = gateway.manage("create_api_key", "stopped", "--rpm", "1").split()[0]
        free = gateway.key
        cases: dict[str, tuple[str, Any]] = {
            f"{kind} {name}": (free, body_of(kind, **more)) for kind in KINDS for name, more in SHAPES.items()
        }
        cases |= {
            "limited chat": (limited, body_of("openai")),
            "limited stream": (limited, body_of("openai", stream=True)),
            "second candidate": (free, body_of("openai backed")),
            "stream that is cut": (free, body_of("cut", stream=True)),
            "unknown model": (free, body_of("none")),
            "not JSON": (free, "{"),
            "no messages": (free, {"model": "openai"}),
            "unknown key": ("sk-wrong", body_of("openai")),
            "limit reached": (stopped, body_of("openai")),
            "upstream refuses": (free, body_of("refused")),
            "upstream is down": (free, body_of("down")),
        }
        printed = gateway.run("-m", "tests.e2e.leftovers", stdin=json.dumps(cases), timeout_s=300)
        yield json.loads(printed.strip().splitlines()[-1])


@pytest.mark.parametrize("name", GOOD)
def test_an_answered_call_leaves_nothing_for_the_garbage_collector(found: dict, name: str) -> None:
    bad, each, kinds = found[name]
    assert bad == 0
    assert each < 0.5, kinds


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_call_leaves_nothing_for_the_garbage_collector(found: dict, name: str) -> None:
    bad, each, kinds = found[name]
    assert bad > 0
    assert each < 0.5, kinds
