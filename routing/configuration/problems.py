"""What is wrong with a configuration document, said so that it can be put right. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Both count from 1."""

    line: int
    column: int


START = Position(line=1, column=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """`key` is the path, such as `providers[0].timeout`; `expected` doubles as the remedy."""

    at: Position
    key: str
    found: str
    expected: str

    def describe(self, file: str) -> str:
        where = f"{file}:{self.at.line}:{self.at.column}"
        said = f"{where}: {self.key or 'document'}: found {self.found}; expected {self.expected}."
        # Half of a pair, as JSON can hold it, can neither be printed nor stored.
        return said.encode("utf-8", "replace").decode()


class ConfigurationRefused(Exception):
    """The document cannot be used; nothing was changed. `problems` are all that were found, in the file's order."""

    def __init__(self, file: str, problems: Iterable[Problem]) -> None:
        self.file = file
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.at.line, problem.at.column)))
        super().__init__("\n".join(problem.describe(file) for problem in self.problems))


def position_of(key: str, positions: Mapping[str, Position]) -> Position:
    """Where a key stands, or what it is inside of: a key that has its default stands nowhere itself."""
    while key and key not in positions:
        inner = max(key.rfind("."), key.rfind("["))
        key = key[:inner] if inner > 0 else ""
    return positions.get(key, START)
