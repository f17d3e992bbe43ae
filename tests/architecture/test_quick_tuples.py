"""`quick_tuple(Name, (…))` makes a named tuple without its constructor, and `blank(Name)` an object whose fields are set
afterwards, which nothing checks: so it is checked here."""

import ast
import dataclasses
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


def blanks() -> Iterator[tuple[Path, ast.FunctionDef]]:
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            source = path.read_text()
            if "blank(" in source:
                for node in ast.walk(ast.parse(source)):
                    if isinstance(node, ast.FunctionDef) and "= blank(" in ast.unparse(node):
                        yield path, node


BLANKS = list(blanks())


def test_there_is_a_blank():
    assert BLANKS


@pytest.mark.parametrize(("path", "maker"), BLANKS, ids=lambda value: getattr(value, "stem", None) or value.name)
def test_an_object_that_is_made_blank_is_given_all_its_fields(path, maker):
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    statements = [each for each in maker.body if isinstance(each, ast.Assign)]
    (begun,) = [each for each in statements if ast.unparse(each.value).startswith("blank(")]
    name, made = ast.unparse(begun.targets[0]), getattr(module, ast.unparse(begun.value.args[0]))
    targets = [target for each in statements for target in each.targets if isinstance(target, ast.Attribute)]
    given = [target.attr for target in targets if ast.unparse(target.value) == name]
    assert sorted(given) == sorted(field.name for field in dataclasses.fields(made))
