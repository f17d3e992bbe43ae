"""The kinds of value that the document's keys use, with the checks behind them. Pure."""

import ipaddress
import re
from fnmatch import translate

from accounts import bounds as client_bounds
from accounts.rules import SCOPES
from providers import bounds
from providers.adapters import REGISTRY
from providers.addresses import base_url_fault
from providers.bounds import is_own_secret
from providers.header_rules import HEADER_NAME, RESERVED_HEADERS
from routing.configuration.kinds import (
    Choice,
    Flag,
    FlagOr,
    Free,
    Kind,
    ListOf,
    MapOf,
    Number,
    OrNull,
    Text,
    Usd,
    Whole,
)
from routing.strategies import STRATEGIES
from rows.bounds import DEAREST_NANO_USD, LONGEST_WORD, MOST_WHOLE


def _web_url(url: str) -> str | None:
    return base_url_fault(url.partition("?")[0])


def _cidr(text: str) -> str | None:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return "such as 10.0.0.0/8 or 192.168.1.7"
    return None


def _origin(text: str) -> str | None:
    if text == "*" or re.fullmatch(r"https?://[A-Za-z0-9.\-\[\]:]+", text):
        return None
    return "such as https://app.example.com, without a path"


def _header_name(name: str) -> str | None:
    return None if HEADER_NAME.fullmatch(name) else "letters, digits and dashes"


def _key_header(name: str) -> str | None:
    return "this one has a meaning of its own" if name.lower() in _TAKEN else _header_name(name)


def _extra_header(name: str) -> str | None:
    return "the gateway sets this one itself" if name.lower() in RESERVED_HEADERS else _header_name(name)


def _own_secret(name: str) -> str | None:
    return "not one of the gateway's own secrets" if is_own_secret(name) else None


def _pattern(text: str) -> str | None:
    try:
        re.compile(translate(text))
    except re.error:
        return "a pattern with * and ?"
    return None


FLAG = Flag()
MAYBE_FLAG = OrNull(kind=FLAG)
WORD = Text(label="a word", at_most=LONGEST_WORD)
WORDS = ListOf(kind=WORD)
LINE = Text(label="a text", at_least=0)
FREE = Free()
MAYBE_PRICE = OrNull(kind=Usd(most_nano_usd=DEAREST_NANO_USD))
MAYBE_USD = OrNull(kind=Usd(most_nano_usd=client_bounds.MOST_NANO_USD))
SECONDS = Number(least=bounds.SHORTEST_S, most=bounds.LONGEST_S)
MAYBE_SECONDS = OrNull(kind=SECONDS)
FRACTION = Number(least=0.0, most=1.0, open_below=True, unit="")
COUNT = Whole(least=1, most=MOST_WHOLE)
PRIORITY = Whole(most=MOST_WHOLE)
LONGEST_WINDOW_S = 86_400
MAYBE_COUNT = OrNull(kind=COUNT)
BIG_COUNT = OrNull(kind=Whole(least=1, most=client_bounds.MOST_TOKENS))
ALLOWANCE = OrNull(kind=Whole(most=client_bounds.MOST_TOKENS))
WINDOW = Whole(least=1, most=MOST_WHOLE, unit="seconds")
NAME = Text(
    label="a name of letters, digits, dots, dashes and underscores (at most 63)",
    pattern=re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"),
)
LABEL = Text(label="a name of at most 63 characters", at_most=63)
TEAM = Text(label="a team name", at_most=client_bounds.LONGEST_NAME)
MODEL = Text(label="a model name without spaces", at_most=200, pattern=bounds.MODEL_NAME)
MODELS = ListOf(kind=MODEL, thing="model")
SOME_MODELS = ListOf(kind=MODEL, thing="model", at_least=1)
PATTERN = Text(label="a model name or pattern without spaces", at_most=200, pattern=re.compile(r"\S+"), check=_pattern)
PATTERNS = ListOf(kind=PATTERN)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
VARIABLE = Text(
    label="the name of an environment variable",
    at_most=128,
    pattern=_VARIABLE,
    check=_own_secret,
    name_of_secret=True,
)
"""Its value is sent to an address."""
OWN_VARIABLE = Text(label="the name of an environment variable", at_most=128, pattern=_VARIABLE, name_of_secret=True)
"""Its value stays here."""
KIND = Choice(options=tuple(sorted(REGISTRY)))
STRATEGY = Choice(options=tuple(sorted(STRATEGIES)))
BASE_URL = Text(label="a base URL such as https://api.example.com or http://10.0.0.5:8080/v1", check=base_url_fault)
MAYBE_URL = OrNull(kind=BASE_URL)
WEB_URL = OrNull(kind=Text(label="an http(s) address", check=_web_url))
CIDRS = ListOf(kind=Text(label="an address or CIDR range", check=_cidr))
ORIGIN = Text(label='an origin or "*"', check=_origin)
ORIGINS = ListOf(kind=ORIGIN)
_TAKEN = frozenset({"authorization", "connection", "content-length", "content-type", "cookie", "host",
                    "transfer-encoding"})  # fmt: skip
KEY_HEADER = Text(label="a header name", at_most=64, check=_key_header)
HEADERS: Kind = MapOf(
    key=Text(label="a header name", at_most=bounds.LONGEST_HEADER_NAME, check=_extra_header),
    value=OrNull(kind=Text(label="a header value", at_least=0, at_most=bounds.LONGEST_HEADER, secret=True)),
)
SCOPE_LIST = ListOf(kind=Choice(options=SCOPES))
TOKEN = Text(
    label="a key of 8 to 256 printable characters without spaces",
    at_least=8,
    at_most=256,
    pattern=re.compile(r"[\x21-\x7e]+"),
    secret=True,
)
LOG_LEVEL = Choice(options=("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"), ignore_case=True)
PERIOD = Choice(options=("day", "month"))
MANAGED_BY = Choice(options=("file", "admin", "environment", "discovery", "demo"))
AUTO_APPROVE = FlagOr(kind=PATTERNS)
