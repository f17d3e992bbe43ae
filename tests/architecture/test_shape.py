"""The repository keeps the shape that CONTRIBUTING promises to its readers."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.sources import APPS, modules, product_modules, text_of, tracked

LONGEST_MODULE = 400
SAYS_NOTHING = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "core", "misc"}
READERS_OF_THE_ENVIRONMENT = {Path("proxy_site/settings.py"), Path("proxy_site/environment.py")}
# Written in parts, so that this file names none of them either.
REGISTRIES = re.compile(
    "|".join(
        rf"{host}\.{end}"
        for host, end in (
            ("pypi", "org"),
            ("pythonhosted", "org"),
            ("npmjs", "(org|com)"),
            ("yarnpkg", "com"),
            ("crates", "io"),
            ("proxy.golang", "org"),
            ("rubygems", "org"),
            ("maven", "org"),
        )
    )
)


def test_finds_the_repository() -> None:
    assert {path.parts[0] for path in product_modules()} >= set(APPS)
    assert len(modules()) > 200


def test_no_module_is_longer_than_one_can_read() -> None:
    lengths = {str(path): text_of(path).count("\n") for path in modules()}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_MODULE} == {}


def test_every_module_is_named_for_what_it_holds() -> None:
    assert [str(path) for path in modules() if SAYS_NOTHING & {part.removesuffix(".py") for part in path.parts}] == []


def test_no_file_names_a_package_registry() -> None:
    found = {}
    for path in tracked():
        if match := REGISTRIES.search(text_of(path)):
            found[str(path)] = match.group()
    assert found == {}


def environment_reads(tree: ast.AST) -> Iterator[int]:
    """Lines that read the environment. Setting a default for a library, and handing the whole on to a child process, are
    no reading."""
    allowed = {id(part) for node in ast.walk(tree) for part in written_or_handed_on(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.environ", "os.getenv", "os.environb"):
            if id(node) not in allowed:
                yield node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module == "os":
            yield from (node.lineno for each in node.names if each.name in ("environ", "getenv", "environb"))


def written_or_handed_on(node: ast.AST) -> list[ast.AST]:
    if isinstance(node, ast.Dict):
        return [value for key, value in zip(node.keys, node.values, strict=True) if key is None]
    if isinstance(node, ast.Expr) and ast.unparse(node).startswith("os.environ.setdefault("):
        return list(ast.walk(node))
    return []


def test_only_the_settings_read_the_environment() -> None:
    found = [
        f"{path}:{line}"
        for path in product_modules()
        if path not in READERS_OF_THE_ENVIRONMENT and re.search("environ|getenv", text_of(path))
        for line in environment_reads(ast.parse(text_of(path)))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("source", "reads"),
    [
        ("import os\nos.environ['A']", 1),
        ("import os\nos.getenv('A')", 1),
        ("from os import environ", 1),
        ("os.environ.get('A')", 1),
        ("os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'x')", 0),
        ("value = os.environ.setdefault('B', 'x')", 1),
        ("run(env={**os.environ, 'A': '1'})", 0),
    ],
)
def test_recognises_a_reading(source: str, reads: int) -> None:
    assert len(list(environment_reads(ast.parse(source)))) == reads


def test_tests_lie_beside_what_they_test() -> None:
    """`tests/unit/<app>/`: a unit test whose app is unknown belongs to none."""
    places = {path.parts[2] for path in modules() if path.parts[:2] == ("tests", "unit") and len(path.parts) > 3}
    assert places <= {*APPS, "docker", "docs"}
