"""Which key of the document is which column. Pure."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from providers.adapter_options import Option, usable
from providers.adapters import options_of
from providers.specs import PRICE_COLUMNS
from routing import policy_options
from routing.configuration.document import AliasEntry, Configuration, PolicyEntry
from routing.configuration.kinds import Free
from routing.configuration.provider_entry import ModelEntry, ProviderEntry, ResolvedProvider, Timeouts
from routing.configuration.veiled import Veiled
from rows.bounds import is_line


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


SETTINGS_COLUMNS = {
    **_same(
        "app_name", "app_version", "api_key_header", "cors_origins", "rate_limit_rpm", "max_attempts", "default_strategy",
        "circuit_breaker_threshold", "log_file",
    ),
    "rate_limit_window": "rate_limit_window_s",
    "request_timeout": "request_timeout_s",
    "circuit_breaker_timeout": "circuit_breaker_timeout_s",
}  # fmt: skip
SECTION_COLUMNS = ("condensation", "response_cache", "payload_logging", "discovery")
PROCESS_KEYS = (
    "debug",
    "host",
    "port",
    "log_level",
    "health_check_interval",
    "health_check_cache_ttl",
    "provider_discovery_interval",
)
"""Kept in `GatewaySettings.process`: the environment wins over them."""

_MODEL_COLUMNS = {
    **_same(
        "enabled", "context_window", "max_output_tokens", "capabilities", "reasoning", "priority", "weight", "tags", "options"
    ),
    **{column.replace("_nano_usd_", "_usd_"): column for column in PRICE_COLUMNS.values()},
}  # fmt: skip
_PROVIDER_COLUMNS = {
    **_same(
        "enabled", "priority", "weight", "tags", "headers", "max_retries", "max_connections", "circuit_breaker_threshold",
        "allow_private",
    ),
    "request_timeout": "request_timeout_s",
    "retry_delay": "retry_delay_s",
    "keepalive_timeout": "keepalive_timeout_s",
    "circuit_breaker_timeout": "circuit_breaker_timeout_s",
}  # fmt: skip
_KEY_OF = {
    column: name
    for columns in (_MODEL_COLUMNS, _PROVIDER_COLUMNS, SETTINGS_COLUMNS)
    for name, column in columns.items()
} | {
    "upstream_model": "upstream",
    "timeout_s": "timeout",
    "environment_variable": "env",
    "amount_nano_usd": "usd",
    "requests": "rpm",
    "concurrency": "max_concurrency",
}
_OPTION_KEYS = ("api_version", "region")
_ALIAS_COLUMNS = {
    **_same("targets", "fallbacks", "enabled"),
    "cache": "cache_enabled",
    "condensation": "condensation_enabled",
    "managed_by": "source",
}
_POLICY_COLUMNS = {
    **_same("pattern", "position", "strategy", "options", "fallbacks", "context_fallbacks", "sticky", "enabled"),
    "managed_by": "source",
}

_FREE = Free()


def as_json(value: Any) -> Any:
    """Tuples and read-only mappings as lists and dicts, for JSON columns."""
    return _FREE.plain(value)


def as_value(value: Any) -> Any:
    """Lists as tuples, as sections hold them."""
    if isinstance(value, list):
        return tuple(as_value(item) for item in value)
    if isinstance(value, str):
        # A row that was never stored holds members of TextChoices.
        return str(value)
    return {name: as_value(item) for name, item in value.items()} if isinstance(value, Mapping) else value


def stored_mapping(value: Any) -> dict[str, Any]:
    """A stored JSON object as a section holds it; one that is none was let in before there was a check, and says
    nothing."""
    return {name: as_value(item) for name, item in value.items()} if isinstance(value, Mapping) else {}


def stored_words(value: Any) -> tuple[str, ...]:
    """A stored list of words, each once, without what is no word."""
    if not isinstance(value, list):
        return ()
    return tuple(dict.fromkeys(str(word) for word in value if isinstance(word, str)))


def stored_headers(value: Any) -> dict[str, Veiled]:
    """Any of them may be a secret."""
    return {name: Veiled(text) for name, text in stored_mapping(value).items() if isinstance(text, str)}


_READ: Mapping[str, Callable[[Any], Any]] = {
    "tags": stored_words,
    "capabilities": stored_words,
    "targets": stored_words,
    "fallbacks": stored_words,
    "context_fallbacks": stored_words,
    "cors_origins": stored_words,
    "options": stored_mapping,
    "headers": stored_headers,
}


def _values(row: Any, columns: Mapping[str, str]) -> dict[str, Any]:
    return {name: _READ.get(name, as_value)(getattr(row, column)) for name, column in columns.items()}


def named_options(entry: ProviderEntry) -> dict[str, str]:
    """Those that are keys of the entry."""
    return {name: getattr(entry, name) for name in _OPTION_KEYS if getattr(entry, name) is not None}


def provider_columns(resolved: ResolvedProvider) -> dict[str, Any]:
    entry = resolved.entry
    columns = {column: as_json(getattr(entry, name)) for name, column in _PROVIDER_COLUMNS.items()}
    timeout = entry.timeout if entry.timeout is not None else entry.timeouts.first_token
    return {
        **columns,
        "kind": resolved.kind,
        "base_url": resolved.base_url,
        "options": {**as_json(entry.options), **named_options(entry)},
        "timeout_s": timeout,
        "connect_timeout_s": entry.timeouts.connect,
        "idle_timeout_s": entry.timeouts.idle,
        "source": entry.managed_by,
    }


def provider_values(row: Any) -> dict[str, Any]:
    """The keys of an entry that say what the row holds; the reverse of `provider_columns`. Without options that its kind
    does not have, or cannot have so: a file with them would be refused."""
    options = _usable_options(row, options_of(row.kind))
    named = {name: options.pop(name) for name in _OPTION_KEYS if is_line(options.get(name), at_most=64)}
    return {
        **_values(row, _PROVIDER_COLUMNS),
        **named,
        "name": row.name,
        "kind": row.kind,
        "base_url": row.base_url,
        "options": options,
        "timeout": row.timeout_s,
        "timeouts": Timeouts(connect=row.connect_timeout_s, idle=row.idle_timeout_s),
        "managed_by": row.source,
    }


def model_columns(entry: ModelEntry, provider: ProviderEntry) -> dict[str, Any]:
    columns = {column: as_json(getattr(entry, name)) for name, column in _MODEL_COLUMNS.items()}
    return {
        **columns,
        "upstream_model": entry.upstream or entry.name,
        "source": entry.managed_by or provider.managed_by,
    }


def model_values(row: Any, provider: Any) -> dict[str, Any]:
    """As `provider_values`, of a model of that row."""
    return {
        **_values(row, _MODEL_COLUMNS),
        "options": _usable_options(row, options_of(provider.kind, of_model=True)),
        "name": row.model,
        "upstream": None if row.upstream_model in ("", row.model) else row.upstream_model,
        "managed_by": None if row.source == provider.source else row.source,
    }


def _usable_options(row: Any, declared: tuple[Option, ...]) -> dict[str, Any]:
    return stored_mapping(usable(declared, row.options) if isinstance(row.options, dict) else None)


def alias_columns(entry: AliasEntry) -> dict[str, Any]:
    columns = {column: as_json(getattr(entry, name)) for name, column in _ALIAS_COLUMNS.items()}
    return {**columns, "strategy": entry.strategy or ""}


def alias_values(row: Any) -> dict[str, Any]:
    return {**_values(row, _ALIAS_COLUMNS), "strategy": row.strategy or None}


def policy_columns(entry: PolicyEntry) -> dict[str, Any]:
    return {column: as_json(getattr(entry, name)) for name, column in _POLICY_COLUMNS.items()}


def policy_values(row: Any) -> dict[str, Any]:
    """Without options that mean nothing: a file with them would be refused."""
    values = _values(row, _POLICY_COLUMNS)
    return {"name": row.name, **values, "options": policy_options.known(values["options"])}


def settings_columns(wanted: Configuration) -> dict[str, Any]:
    """Only what the document gives."""
    columns = {
        column: as_json(getattr(wanted, name)) for name, column in SETTINGS_COLUMNS.items() if name in wanted.given
    }
    if "log_file" in columns:
        columns["log_file"] = columns["log_file"] or ""
    return columns


def key_of(column: str) -> str:
    """What the document calls it."""
    return _KEY_OF.get(column, column)


def managed_columns(file_keys: Collection[str]) -> set[str]:
    """The columns of those keys that a file gave."""
    keys = frozenset(file_keys)
    return set(settings_columns(Configuration(given=keys))) | (keys & set(SECTION_COLUMNS))


def settings_values(row: Any) -> dict[str, Any]:
    return {**_values(row, SETTINGS_COLUMNS), "log_file": row.log_file or None}
