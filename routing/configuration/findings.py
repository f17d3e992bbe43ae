"""What `validate_env` says: each finding names the key, what is the matter with it, and the remedy. Pure."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from routing.configuration.document import Configuration
from routing.configuration.problems import ConfigurationRefused
from routing.configuration.schema import resolve
from routing.configuration.veiled import shown_variable

PLACEHOLDERS = frozenset(
    {"your-api-key-here", "your-api-key", "changeme", "change-me", "api-key", "test-key", "password", "sk-your-key"}
)
"""Keys that stand in examples: whoever has read one knows them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    level: Literal["error", "warning"]
    key: str
    problem: str
    remedy: str

    def describe(self) -> str:
        return f"{self.level.upper()} {self.key}: {self.problem}. {self.remedy}."


def error(key: str, problem: str, remedy: str) -> Finding:
    return Finding(level="error", key=key, problem=problem, remedy=remedy)


def warning(key: str, problem: str, remedy: str) -> Finding:
    return Finding(level="warning", key=key, problem=problem, remedy=remedy)


def of_refusal(refusal: ConfigurationRefused) -> Iterator[Finding]:
    for item in refusal.problems:
        where = f"{refusal.file}:{item.at.line}:{item.at.column}"
        yield error(f"{where} {item.key}".strip(), f"found {item.found}", f"Expected {item.expected}")


def of_document(wanted: Configuration, secret_of: Callable[[str], str]) -> Iterator[Finding]:
    for index, entry in enumerate(wanted.api_keys):
        if entry.token in PLACEHOLDERS:
            yield warning(
                f"api_keys[{index}]",
                "it is the example's key: WHOEVER HAS READ THE DOCUMENTATION CAN USE AND ADMINISTER THIS GATEWAY",
                'Replace it, for example with the output of: python -c "import secrets; print(secrets.token_urlsafe(32))"',
            )
        if entry.env is not None and not secret_of(entry.env):
            name = shown_variable(entry.env)
            yield error(f"api_keys[{index}].env", f"{name} is not set", f"Set {name} or {name}_FILE")
    yield from _of_providers(wanted, secret_of)
    yield from _of_names(wanted)
    if "*" in wanted.cors_origins:
        yield warning("cors_origins", "pages of every origin may call the gateway", "Name the origins that need it")


def _of_providers(wanted: Configuration, secret_of: Callable[[str], str]) -> Iterator[Finding]:
    for entry in wanted.providers:
        resolved = resolve(entry)
        key = f"providers.{entry.name}"
        if not entry.models:
            yield warning(f"{key}.models", "there are none, so it serves nothing", "List the models it shall serve")
        variables = [credential.env for credential in resolved.credentials if credential.env and credential.enabled]
        unset = [shown_variable(variable) for variable in variables if not secret_of(variable)]
        if variables and len(unset) == len(variables):
            problem = f"{' and '.join(unset)} is not set, so it has no key and is passed over"
            yield warning(f"{key}.api_key_env", problem, f"Set {unset[0]} (or {unset[0]}_FILE), also in .env")
        if resolved.base_url.startswith("http://") and variables:
            yield warning(f"{key}.base_url", "its key travels unencrypted", "Use https unless the network is your own")


def _served(wanted: Configuration) -> set[str]:
    known = {model.name for entry in wanted.providers for model in entry.models}
    return known | {f"{entry.name}/{model.name}" for entry in wanted.providers for model in entry.models}


def aliases_of_aliases(wanted: Configuration) -> Mapping[str, Collection[str]]:
    """Of each alias: the targets that are aliases and no models. They lead nowhere, or in a circle."""
    others = set(wanted.model_aliases) - _served(wanted)
    found = {
        name: [target for target in alias.targets if target in others] for name, alias in wanted.model_aliases.items()
    }
    return {name: targets for name, targets in found.items() if targets}


def leading_nowhere(wanted: Configuration) -> Mapping[str, Collection[str]]:
    """Of each key that lists models: the names that no provider of the document serves."""
    known = _served(wanted)
    known_or_alias = known | set(wanted.model_aliases)
    named: dict[str, tuple[Collection[str], set[str]]] = {}
    for name, alias in wanted.model_aliases.items():
        named[f"model_aliases.{name}.targets"] = (alias.targets, known)
        named[f"model_aliases.{name}.fallbacks"] = (alias.fallbacks, known_or_alias)
    for policy in wanted.route_policies:
        for key, names in (("fallbacks", policy.fallbacks), ("context_fallbacks", policy.context_fallbacks)):
            named[f"route_policies.{policy.name}.{key}"] = (names, known_or_alias)
    if summary_model := wanted.condensation.summary_model:
        named["condensation.summary_model"] = ((summary_model,), known_or_alias)
    missing = {key: [name for name in names if name not in served] for key, (names, served) in named.items()}
    return {key: names for key, names in missing.items() if names}


def _of_names(wanted: Configuration) -> Iterator[Finding]:
    for key, names in leading_nowhere(wanted).items():
        yield warning(key, f"no provider of this file serves {', '.join(names)}", "Check the spelling")
