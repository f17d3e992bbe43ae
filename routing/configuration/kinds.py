"""What a value of the configuration may be. Each kind reads a node, writes plain data back, and describes itself. Pure."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any, Final, Protocol

from routing.configuration.nodes import MappingNode, Node, ScalarNode, SequenceNode, describe
from routing.configuration.problems import Position, Problem
from rows.bounds import LEAST_INT64, MOST_INT64, UNPRINTABLE, UNSTORABLE

NANO_USD: Final = 1_000_000_000
MOST_ENTRIES: Final = 10_000
_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9_]*)\Z")
_NUMBER = re.compile(r"[-+]?(?:[0-9][0-9_]*)?(?:\.[0-9]*)?(?:[eE][-+]?[0-9]{1,3})?\Z")
_TRUE, _FALSE = frozenset({"true", "yes", "on"}), frozenset({"false", "no", "off"})


class _Wrong:
    """The value of what could not be read; its problem is in the list already."""


WRONG: Final = _Wrong()


@dataclass(slots=True)
class Reading:
    """One pass over a document: collects every problem instead of stopping at the first."""

    problems: list[Problem] = field(default_factory=list)
    positions: dict[str, Position] = field(default_factory=dict)

    def refuse(self, at: Position, key: str, found: str, expected: str) -> Any:
        self.problems.append(Problem(at=at, key=key, found=found, expected=expected))
        return WRONG


class Kind(Protocol):
    @property
    def label(self) -> str:
        """For messages and the documentation: `a whole number from 1 to 65535`."""

    def read(self, node: Node, key: str, reading: Reading) -> Any:
        """The value, or WRONG after noting the problem."""

    def plain(self, value: Any) -> Any:
        """The value as YAML and JSON write it; reading that gives the value again."""


class _AsItIs:
    __slots__ = ()

    def plain(self, value: Any) -> Any:
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(_AsItIs):
    """`check` returns what is wrong, or None. A `secret` never appears in a message, and neither does what does not fit the
    pattern of a `name_of_secret`: it is often the secret itself."""

    label: str = "a text"
    at_least: int = 1
    at_most: int = 500
    pattern: re.Pattern[str] | None = None
    check: Callable[[str], str | None] | None = None
    secret: bool = False
    name_of_secret: bool = False

    def read(self, node: Node, key: str, reading: Reading) -> Any:
        if not isinstance(node, ScalarNode) or node.type != "text":
            hint = "; put it in quotes" if isinstance(node, ScalarNode) and node.type in ("number", "flag") else ""
            return reading.refuse(node.at, key, self._found(node), self.label + hint)
        if not self.at_least <= len(node.text) <= self.at_most or UNPRINTABLE.search(node.text):
            told = f"{self.at_least} to {self.at_most} "
            bounds = self.label if told in self.label else f"{self.label} of {told}characters, on one line, none hidden"
            return reading.refuse(node.at, key, self._found(node), bounds)
        if self.pattern is not None and self.pattern.fullmatch(node.text) is None:
            return reading.refuse(node.at, key, self._found(node), self.label)
        if self.check is not None and (why := self.check(node.text)) is not None:
            return reading.refuse(node.at, key, self._found(node), f"{self.label} ({why})")
        return node.text

    def _found(self, node: Node) -> str:
        return (
            "a value that is not shown here" if isinstance(node, ScalarNode) and self._hides(node) else describe(node)
        )

    def _hides(self, node: ScalarNode) -> bool:
        fits = self.pattern is not None and self.pattern.fullmatch(node.text) is not None
        return self.secret or (self.name_of_secret and node.type != "null" and not fits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(_AsItIs):
    options: Sequence[str]
    ignore_case: bool = False

    @property
    def label(self) -> str:
        return "one of " + ", ".join(self.options)

    def read(self, node: Node, key: str, reading: Reading) -> Any:
        if isinstance(node, ScalarNode) and node.type != "null":
            for option in self.options:
                if node.text == option or (self.ignore_case and node.text.lower() == option.lower()):
                    return option
        return reading.refuse(node.at, key, describe(node), self.label)


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole(_AsItIs):
    least: int = 0
    most: int = 2_147_483_647
    unit: str = ""

    @property
    def label(self) -> str:
        return f"a whole number from {self.least} to {self.most}" + (f" ({self.unit})" if self.unit else "")

    def read(self, node: Node, key: str, reading: Reading) -> Any:
        if isinstance(node, ScalarNode) and node.type == "number" and _WHOLE.match(node.text) and len(node.text) < 25:
            number = int(node.text)
            if self.least <= number <= self.most:
                return number
        return reading.refuse(node.at, key, describe(node), self.label)


def decimal_of(node: Node) -> Decimal | None:
    """The exact number that was written; also for `1e3`, which YAML 1.1 takes for text."""
    if not isinstance(node, ScalarNode) or not (node.type == "number" or (node.type == "text" and node.plain)):
        return None
    if len(node.text) > 40 or not _NUMBER.match(node.text):
        return None
    try:
        return Decimal(node.text.replace("_", ""))
    except InvalidOperation:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    least: float = 0.0
    most: float = 1_000_000.0
    open_below: bool = False
    unit: str = "seconds"

    @property
    def label(self) -> str:
        start = f"greater than {self.least:g}" if self.open_below else f"from {self.least:g}"
        return f"a number {start} to {self.most:g}" + (f" ({self.unit})" if self.unit else "")

    def read(self, node: Node, key: str, reading: Reading) -> Any:
        exact = decimal_of(node)
        if exact is not None:
            number = float(exact)
            if self.least <= number <= self.most and not (self.open_below and number == self.least):
                return number
        return reading.refuse(node.at, key, describe(node), self.label)

    def plain(self, value: Any) -> Any:
        return int(value) if float(value).is_integer() else float(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usd:
    """Money as written, in USD; kept as whole nano-USD. More than nine decimals are refused, not rounded."""

    most_nano_usd: int = 10**15
    label: str = "an amount in USD of at least 0, with at most nine decimals"

    def read(self, node: Node, key: str, reading: Reading) -> Any:
        exact = decimal_of(node)
        if exact is not None and 0 <= exact * NANO_USD <= self.most_nano_usd:
            nano = exact * NANO_USD
            if nano == nano.to_integral_value():
                return int(nano)
        too_much = exact is not None and exact * NANO_USD > self.most_nano_usd
        most = f" and at most {self.most_nano_usd // NANO_USD}" if too_much else ""
        return reading.refuse(node.at, key, describe(node), self.label + most)

    def plain(self, value: Any) -> Any:
        whole, rest = divmod(value, NANO_USD)
        # Fifteen digits survive a float; what has more goes out as its own text in the renderer.
        return whole if not rest else Decimal(value).scaleb(-9).normalize()


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag(_AsItIs):
    label: str = "true or false"

    def read(self, node: Node, key: str, reading: Reading) -> Any:
        if isinstance(node, ScalarNode) and node.type == "flag" and node.text.lower() in _TRUE | _FALSE:
            return node.text.lower() in _TRUE
        return reading.refuse(node.at, key, describe(node), self.label)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrNull:
    kind: Kind

    @property
    def label(self) -> str:
        return f"{self.kind.label}, or null"

    def read(self, node: Node, key: str, reading: Reading) -> Any:
        if isinstance(node, ScalarNode) and node.type == "null":
            return None
        return self.kind.read(node, key, reading)

    def plain(self, value: Any) -> Any:
        return None if value is None else self.kind.plain(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOf:
    """`identity` finds what must not occur twice; the default is the value itself."""

    kind: Kind
    at_least: int = 0
    identity: Callable[[Any], object] = lambda value: value
    thing: str = "entry"

    @property
    def label(self) -> str:
        some = f" of at least {self.at_least}" if self.at_least else ""
        return f"a list{some}, each {self.thing} {self.kind.label}"

    def read(self, node: Node, key: str, reading: Reading) -> Any:
        if not isinstance(node, SequenceNode) or not self.at_least <= len(node.items) <= MOST_ENTRIES:
            found = f"a list of {len(node.items)}" if isinstance(node, SequenceNode) else describe(node)
            return reading.refuse(node.at, key, found, f"{self.label} (at most {MOST_ENTRIES})")
        values = [self.kind.read(item, f"{key}[{index}]", reading) for index, item in enumerate(node.items)]
        fine = not any(value is WRONG for value in values)
        return tuple(values) if fine and self._distinct(node, values, key, reading) else WRONG

    def _distinct(self, node: SequenceNode, values: list[Any], key: str, reading: Reading) -> bool:
        seen: dict[object, int] = {}
        for index, value in enumerate(values):
            identity = self.identity(value)
            if identity in seen:
                at = node.items[index].at
                named = identity if isinstance(identity, str) and "api_keys" not in key else self.thing
                reading.refuse(
                    at, f"{key}[{index}]", f"{named} a second time", f"each {self.thing} once (see [{seen[identity]}])"
                )
                return False
            seen[identity] = index
        return True

    def plain(self, value: Any) -> Any:
        return [self.kind.plain(item) for item in value]


@dataclass(frozen=True, slots=True, kw_only=True)
class MapOf:
    key: Kind
    value: Kind

    @property
    def label(self) -> str:
        return f"a mapping from {self.key.label} to {self.value.label}"

    def read(self, node: Node, key: str, reading: Reading) -> Any:
        if not isinstance(node, MappingNode) or len(node.entries) > MOST_ENTRIES:
            return reading.refuse(node.at, key, describe(node), self.label)
        found: dict[str, Any] = {}
        wrong = False
        for name, value in node.entries:
            path = f"{key}.{name.text}" if key else name.text
            clean = self.key.read(name, path, reading)
            content = self.value.read(value, path, reading)
            wrong = wrong or clean is WRONG or content is WRONG
            if clean is not WRONG:
                found[clean] = content
        return WRONG if wrong else MappingProxyType(found)

    def plain(self, value: Any) -> Any:
        return {self.key.plain(name): self.value.plain(content) for name, content in value.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Free:
    """Any JSON object: settings that only an adapter or a strategy understands."""

    label: str = "a mapping of names and values"

    def read(self, node: Node, key: str, reading: Reading) -> Any:
        if not isinstance(node, MappingNode):
            return reading.refuse(node.at, key, describe(node), self.label)
        for name, _ in node.entries:
            reading.positions.setdefault(f"{key}.{name.text}", name.at)
        return self._value(node, key, reading)

    def _value(self, node: Node, key: str, reading: Reading) -> Any:
        if isinstance(node, MappingNode):
            return MappingProxyType(
                {name.text: self._value(value, f"{key}.{name.text}", reading) for name, value in node.entries}
            )
        if isinstance(node, SequenceNode):
            return tuple(self._value(item, f"{key}[{index}]", reading) for index, item in enumerate(node.items))
        return self._scalar(node, key, reading)

    def _scalar(self, node: ScalarNode, key: str, reading: Reading) -> Any:
        if node.type == "null":
            return None
        if node.type == "flag":
            return node.text.lower() in _TRUE
        if node.type == "text":
            if UNSTORABLE.search(node.text):
                return reading.refuse(node.at, key, describe(node), "text without the character U+0000")
            return node.text
        exact = decimal_of(node)
        if exact is None:
            return reading.refuse(node.at, key, describe(node), "a decimal number")
        number = int(exact) if _WHOLE.match(node.text) else float(exact)
        if isinstance(number, int) and not LEAST_INT64 <= number <= MOST_INT64:
            return reading.refuse(node.at, key, describe(node), "a whole number of at most 64 bits")
        if isinstance(number, float) and not math.isfinite(number):
            return reading.refuse(node.at, key, describe(node), "a finite number")
        return number

    def plain(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: self.plain(content) for name, content in value.items()}
        if isinstance(value, (tuple, list)):
            return [self.plain(item) for item in value]
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagOr:
    """true, false, or something more detailed."""

    kind: Kind

    @property
    def label(self) -> str:
        return f"true, false, or {self.kind.label}"

    def read(self, node: Node, key: str, reading: Reading) -> Any:
        if isinstance(node, ScalarNode):
            return Flag(label=self.label).read(node, key, reading)
        return self.kind.read(node, key, reading)

    def plain(self, value: Any) -> Any:
        return value if isinstance(value, bool) else self.kind.plain(value)
