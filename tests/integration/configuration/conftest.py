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


def served() -> set[str]:
    return {name for name in load_table().routes if "/" not in name}
