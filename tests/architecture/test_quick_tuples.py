"""`quick_tuple(Name, (…))` makes a named tuple without its constructor, which nothing checks: so it is checked here."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
APPS = ("accounts", "monitoring", "providers", "routing", "proxy_site", "rows")


def quick_tuples() -> Iterator[tuple[Path, ast.Call]]:
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            source = path.read_text()
            if "quick_tuple" in source:
                for node in ast.walk(ast.parse(source)):
                    if isinstance(node, ast.Call) and ast.unparse(node.func) == "quick_tuple":
                        yield path, node


FOUND = list(quick_tuples())


def test_there_are_some():
    assert len(FOUND) > 5


@pytest.mark.parametrize(("path", "call"), FOUND, ids=lambda value: getattr(value, "stem", None) or str(value.lineno))
def test_a_tuple_made_without_its_constructor_has_all_fields(path, call):
    named, values = call.args
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    fields = getattr(module, ast.unparse(named))._fields
    assert isinstance(values, ast.Tuple)
    assert not any(isinstance(each, ast.Starred) for each in values.elts)
    assert len(values.elts) == len(fields)
