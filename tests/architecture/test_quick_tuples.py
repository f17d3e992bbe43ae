"""`tuple.__new__(Name, (…))` makes a named tuple without its constructor, which nothing checks: so it is checked here."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
APPS = ("accounts", "monitoring", "providers", "routing", "proxy_site")
LENGTHS = {"usage[:5]": 5}
"""What a starred element adds."""


def quick_tuples() -> Iterator[tuple[Path, ast.Call]]:
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            source = path.read_text()
            if "tuple.__new__" in source:
                for node in ast.walk(ast.parse(source)):
                    if isinstance(node, ast.Call) and ast.unparse(node.func) == "tuple.__new__":
                        yield path, node


FOUND = list(quick_tuples())


def test_there_are_some():
    assert len(FOUND) > 10


@pytest.mark.parametrize(("path", "call"), FOUND, ids=lambda value: getattr(value, "stem", None) or str(value.lineno))
def test_a_tuple_made_without_its_constructor_has_all_fields(path, call):
    named, values = call.args
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    fields = getattr(module, ast.unparse(named))._fields
    if isinstance(values, ast.Tuple):
        starred = [ast.unparse(each.value) for each in values.elts if isinstance(each, ast.Starred)]
        assert len(values.elts) - len(starred) + sum(LENGTHS[each] for each in starred) == len(fields)
    else:
        assert LENGTHS[ast.unparse(values)] == len(fields)
