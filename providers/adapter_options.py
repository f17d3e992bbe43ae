"""What the `options` of a provider and of its models may say. Each adapter declares its own, once; from here come the checks
of all three doors (file, admin, API), the table in docs/configuration.md and the help of the forms. Pure.

Rows are checked when their options change, never when they are loaded: one of before there was a check keeps working.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from providers.types import Operation
from rows import names
from rows.bounds import is_line

LONGEST_LINE = 500
_PATH = re.compile(r"/[!-~]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """`label` says what a value is, as in `true or false`; values are JSON's: lists and dicts."""

    label: str
    fits: Callable[[Any], bool]


FLAG = Rule(label="true or false", fits=lambda value: isinstance(value, bool))
LINE = Rule(label="a text on one line", fits=lambda value: is_line(value, at_most=LONGEST_LINE))


def one_of(*words: str) -> Rule:
    return Rule(label="one of " + ", ".join(words), fits=lambda value: isinstance(value, str) and value in words)


def mapping_of(inner: Rule, *keys: str) -> Rule:
    return Rule(
        label=f"a mapping of {', '.join(keys)} to {inner.label}",
        fits=lambda value: (
            isinstance(value, dict) and all(key in keys and inner.fits(each) for key, each in value.items())
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """`default` is for people; empty where there is none, or where `meaning` tells it."""

    name: str
    rule: Rule
    meaning: str
    default: str = ""
    of_provider: bool = True
    of_model: bool = False


_PATHS = mapping_of(
    Rule(label="a path", fits=lambda value: isinstance(value, str) and _PATH.fullmatch(value) is not None), *Operation
)
COMMON = (
    Option(name="paths", rule=_PATHS, meaning="Other paths than the kind's own, from the root of the host."),
    Option(
        name="list_prices",
        rule=FLAG,
        meaning="Whether the vendor's list prices hold.",
        default="true at the vendor's own address",
    ),
    Option(name="api_version", rule=LINE, meaning="Read by the kinds that have one below; the others take no notice."),
    Option(name="region", rule=LINE, meaning="For your own records: no kind asks for one."),
)
"""Of every kind, unless it has one of the name itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """`expected` is the nearest name with a question mark, or all names, where the name is not known."""

    name: str
    is_known: bool
    expected: str


def faults(declared: Iterable[Option], options: Mapping[str, Any]) -> Iterator[Fault]:
    known = {option.name: option for option in declared}
    for name, value in options.items():
        if name not in known:
            yield Fault(name=names.shown(name), is_known=False, expected=names.meant(name, known))
        elif not known[name].rule.fits(value):
            yield Fault(name=name, is_known=True, expected=known[name].rule.label)


def usable(declared: Iterable[Option], options: Mapping[str, Any]) -> dict[str, Any]:
    """Those that a document may say."""
    rules = {option.name: option.rule for option in declared}
    return {name: value for name, value in options.items() if name in rules and rules[name].fits(value)}
