"""Loading documents the way the command does, and looking at what the data plane makes of them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from routing.configuration.apply import Applied
from routing.configuration.dump import read_configuration
from routing.configuration.loading import load_file
from routing.configuration.rendering import render
from routing.table import RoutingTable
from routing.table_loader import load_table
from tests.unit.providers.test_discovery_sources import Source
from tests.upstreams.servers import run_asgi

Load = Callable[..., Applied]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load_text(text: str, *, name: str = "config.yaml", **options: Any) -> Applied:
        path = tmp_path / name
        path.write_text(dedent(text), encoding="utf-8")
        return load_file(str(path), **options)

    return load_text


@pytest.fixture
def table_of(load: Load) -> Callable[[str], RoutingTable]:
    def table(text: str) -> RoutingTable:
        load(text)
        return load_table()

    return table


def dumped() -> str:
    return render(read_configuration())


def entry(name: str, **more: object) -> dict[str, object]:
    """A provider as a registry shows it."""
    return {"name": name, "base_url": f"https://{name}.example/v1", "models": [f"model-of-{name}"], **more}


@pytest.fixture
def registry() -> Iterator[tuple[Source, str]]:
    source = Source()
    source.answers["/"] = [entry("eu"), entry("us")]
    with run_asgi(source) as url:
        yield source, url


class Consul:
    """Consul with one instance of the ID `vllm` on each node that it is told to show."""

    def __init__(self, source: Source, url: str) -> None:
        self.source, self.url = source, url
        self.rules = f"consul: '{url}'"
        source.answers["/v1/catalog/services"] = {"vllm": ["llm-proxy"]}

    def show(self, *names: str) -> None:
        service = {"ID": "vllm", "Tags": ["llm-proxy"], "Port": 80, "Meta": {"models": "m"}}
        self.source.answers["/v1/health/service/vllm"] = [
            {"Node": {"Node": name, "Address": f"{name}.example"}, "Service": service} for name in names
        ]


@pytest.fixture
def nodes() -> Iterator[Consul]:
    with run_asgi(source := Source()) as url:
        yield Consul(source, url)


def served() -> set[str]:
    return {name for name in load_table().routes if "/" not in name}
