"""A server before a demo provider of every kind, and a provider that fails, for the official clients of its fronts."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from providers.demo import create_app
from tests.e2e.gateway_process import GatewayProcess
from tests.upstreams.faults import fault_upstream_in_thread
from tests.upstreams.servers import run_asgi

BROKEN = (
    {"model": "cut", "upstream_model": "fault:cut?tokens=20&cut_at=1500&cut_with=clean"},
    {"model": "failing", "upstream_model": "fault:status?status=500"},
)
KINDS = ("openai", "anthropic", "cohere", "openai_responses")
"""Of providers, and the demo's dialects."""
EVERY_KIND = pytest.mark.parametrize("model", [f"by-{kind}" for kind in KINDS])


@contextmanager
def server_of_every_kind(data_dir: Path, *, reasoning: bool = False) -> Iterator[GatewayProcess]:
    with ExitStack() as stack:
        faults = stack.enter_context(fault_upstream_in_thread())
        process = GatewayProcess(data_dir)
        providers = [
            {
                "name": kind,
                "kind": kind,
                "base_url": stack.enter_context(run_asgi(create_app(dialect=kind))) + "/v1",
                "models": [{"model": f"by-{kind}", "upstream_model": "demo-small", "reasoning": reasoning}],
            }
            for kind in KINDS
        ]
        broken = {"name": "broken", "kind": "openai", "base_url": f"{faults.url}/v1", "models": list(BROKEN)}
        process.seed({"providers": [*providers, broken]}).start()
        yield process
        process.end()
