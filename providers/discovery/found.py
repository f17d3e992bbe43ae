"""What sources show, checked before anything else sees it. Pure.

A source is not trusted: it may be wrong or in the wrong hands. Addresses are held to the policy for discovered
providers, and a credential is attached only when the operator has named its variable (`allow_env`), or else a registry
could have any secret of the environment sent to an address of its choice.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from providers.adapters import REGISTRY
from providers.addresses import UrlError, literal, parse_base_url, refusal
from providers.bounds import is_own_secret
from providers.types import JsonObject
from rows.bounds import NOT_SEEN, UNPRINTABLE

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
MODEL: Final = re.compile(r"[^\s\x00-\x20\x7f]{1,200}")
TAG: Final = re.compile(f"[^{NOT_SEEN}]{{1,100}}")
MOST_MODELS: Final = 2000
MOST_FOUND: Final = 5000


class NotUsable(ValueError):
    """What was found cannot become a provider; the text says why."""


class SourceFailed(Exception):
    """The source could not be asked or did not answer properly: what it said last stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a source says of one provider, not checked yet. `former_id` is what an earlier version knew it by."""

    external_id: str
    entry: Mapping[str, Any]
    former_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """`document` is plain JSON; two equal documents mean that nothing changed."""

    external_id: str
    name: str
    document: JsonObject = field(default_factory=dict)
    former_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """One look at one source. `refused` are (name, why); `unusable` says the same by id: these are shown, and wrong."""

    source: str
    found: tuple[Found, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    unusable: Mapping[str, str] = field(default_factory=dict)
    position: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressRules:
    """`allow_cidrs` are private ranges that a discovered provider may have; `allow_env` variables it may name."""

    allow_cidrs: tuple[str, ...] = ()
    allow_env: frozenset[str] = frozenset()


def provider_document(entry: Mapping[str, Any], rules: AddressRules) -> JsonObject:
    """A checked description of a provider from what a source says of it. Raises `NotUsable`.

    Keys: `name`, `base_url`, `kind` (or `type`), `models`, `priority`, `weight`, `tags`, `api_key_env`; others are
    ignored, so that a registry may say more than we understand.
    """
    document: JsonObject = {
        "name": _text(entry, "name", NAME, "a name of letters, digits, dots, dashes and underscores"),
        "base_url": checked_url(entry.get("base_url"), rules),
        "kind": _kind(entry),
        "models": _list(entry, "models", MODEL),
        "tags": _list(entry, "tags", TAG),
        "priority": _whole(entry, "priority"),
        "weight": _whole(entry, "weight"),
    }
    variable = entry.get("api_key_env")
    if variable is not None:
        if not isinstance(variable, str) or variable not in rules.allow_env:
            raise NotUsable(f"api_key_env {variable!r} is not among discovery.allow_env")
        if is_own_secret(variable):
            raise NotUsable(f"api_key_env {variable!r} is the gateway's own secret")
        document["api_key_env"] = variable
    return document


def checked_url(url: object, rules: AddressRules) -> str:
    """A base URL that a discovered provider may have; names are checked again when they are connected to."""
    if not isinstance(url, str):
        raise NotUsable("base_url is missing")
    try:
        parts = parse_base_url(url)
    except UrlError as error:
        raise NotUsable(f"base_url: {error}") from None
    if literal(parts.host) is not None:
        why = refusal(parts.host, allow_private=False, networks=rules.allow_cidrs)
        if why is not None:
            raise NotUsable(f"base_url: {parts.host} is {why}")
    return url


def _text(entry: Mapping[str, Any], key: str, pattern: re.Pattern[str], what: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise NotUsable(f"{key} is not {what}")
    return value


def _kind(entry: Mapping[str, Any]) -> str:
    kind = entry.get("kind", entry.get("type", "openai"))
    if not isinstance(kind, str) or kind not in REGISTRY:
        raise NotUsable(f"kind {str(kind)[:40]!r} is not one of {', '.join(sorted(REGISTRY))}")
    return kind


def _list(entry: Mapping[str, Any], key: str, pattern: re.Pattern[str]) -> list[str]:
    values = entry.get(key, [])
    if not isinstance(values, list) or len(values) > MOST_MODELS:
        raise NotUsable(f"{key} is not a list of at most {MOST_MODELS}")
    names = [value.get("name") if isinstance(value, Mapping) else value for value in values]
    fine = [name for name in names if isinstance(name, str) and pattern.fullmatch(name)]
    if len(fine) != len(names):
        raise NotUsable(f"{key} is not a list of names")
    return list(dict.fromkeys(fine))


def _whole(entry: Mapping[str, Any], key: str) -> int:
    value = entry.get(key, 1)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 1_000_000:
        raise NotUsable(f"{key} is not a whole number from 1")
    return value


def collect(source: str, entries: Sequence[Shown], rules: AddressRules) -> Findings:
    """Everything usable that is shown, and why the rest is not. Raises `SourceFailed` for more than can be meant."""
    if len(entries) > MOST_FOUND:
        raise SourceFailed(f"it shows {len(entries)} providers, and {MOST_FOUND} at most are read")
    found: dict[str, Found] = {}
    refused: list[tuple[str, str]] = []
    unusable: dict[str, str] = {}
    for shown in entries:
        external_id, entry = shown.external_id, shown.entry
        try:
            if UNPRINTABLE.search(external_id):
                raise NotUsable("its id has control or invisible characters")
            document = provider_document(entry, rules)
        except NotUsable as error:
            refused.append((str(entry.get("name", external_id))[:100], str(error)))
            unusable |= {known_as[:300]: str(error) for known_as in (external_id, shown.former_id)}
            continue
        found.setdefault(
            external_id[:300],
            Found(
                external_id=external_id[:300], name=document["name"], document=document, former_id=shown.former_id[:300]
            ),
        )
    return Findings(source=source, found=tuple(found.values()), refused=tuple(refused), unusable=unusable)


def described(
    name: str, host: str, port: Any, notes: Mapping[str, str], *, tags: list[str], weight: Any = 1
) -> JsonObject:
    """What `provider_document` reads, of a place and what is written beside it: `scheme`, `path`, `kind`, `models` (separated
    by commas), `priority`, `weight`, `api_key_env`. `weight` is what it is where nothing is written of it."""
    host = f"[{host}]" if ":" in host else host
    path = notes.get("path", "").strip("/")
    entry: JsonObject = {
        "name": safe_name(name),
        "base_url": f"{notes.get('scheme', 'http')}://{host}:{port}" + (f"/{path}" if path else ""),
        "kind": notes.get("kind", "openai"),
        "models": words(notes.get("models", "")),
        "tags": tags,
        "priority": number(notes.get("priority"), 1),
        "weight": number(notes.get("weight"), weight),
    }
    return {**entry, "api_key_env": notes["api_key_env"]} if notes.get("api_key_env") else entry


def words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def number(text: str | None, default: Any) -> Any:
    return int(text) if text is not None and re.fullmatch(r"[0-9]{1,9}", text) else default


def safe_name(text: str) -> str:
    """A provider name made of what a source calls something."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:63] or "unnamed"
