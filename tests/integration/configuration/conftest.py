"""Loading documents the way the command does, and looking at what the data plane makes of them."""

from collections.abc import Callable
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
