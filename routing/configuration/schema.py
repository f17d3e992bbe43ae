"""From nodes to a Configuration, with every problem of the document at once. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from accounts.keys import parse as public_id
from providers.adapter_options import faults
from providers.adapters import REGISTRY, options_of
from providers.addresses import parse_base_url
from routing import policy_options
from routing.configuration.columns import as_json, named_options
from routing.configuration.document import Configuration, KeyEntry
from routing.configuration.kinds import WRONG, Reading
from routing.configuration.parse import parse
from routing.configuration.problems import ConfigurationRefused, Problem, position_of
from routing.configuration.provider_entry import CredentialEntry, ProviderEntry, ResolvedProvider
from routing.configuration.sections import Section, keys_of

ROOT = Section(type=Configuration)
SETTINGS = tuple(
    item.name
    for item in keys_of(Configuration)
    if item.name not in ("api_keys", "model_aliases", "route_policies", "teams", "providers", "file_managed_settings")
)
"""Top-level keys that are one value each, as opposed to lists of rows."""

# Which variable a kind's key is in by custom; the rest is PROXY_API_<KIND>_API_KEY.
_VARIABLE_OF = {"openai_responses": "PROXY_API_OPENAI_API_KEY"}


def read(data: bytes, *, file: str) -> Configuration:
    """Raises `ConfigurationRefused`; the document is used as a whole or not at all."""
    reading = Reading()
    found = ROOT.read(parse(data, file=file), "", reading)
    problems = list(reading.problems)
    if found is not WRONG:
        problems += _across(found, reading)
    if problems:
        raise ConfigurationRefused(file, problems)
    assert isinstance(found, Configuration)
    return replace(found, positions=MappingProxyType(reading.positions))


def _across(found: Configuration, reading: Reading) -> Iterator[Problem]:
    """What no single key can know."""
    for index, entry in enumerate(found.providers):
        yield from _provider_problems(entry, f"providers[{index}]", reading)
    yield from _name_problems(found, reading)
    for index, key in enumerate(found.api_keys):
        yield from _key_problems(key, f"api_keys[{index}]", reading)
    yield from _team_problems(found, reading)
    yield from _policy_problems(found, reading)
    if found.provider_registry_url and found.discovery.registry is not None:
        where = "provider_registry_url"
        yield _problem(reading, where, "discovery.registry.url as well", "one of the two")
    for name in found.file_managed_settings or ():
        if name not in SETTINGS:
            yield _problem(reading, "file_managed_settings", f'"{name}"', "names of top-level settings")


def _name_problems(found: Configuration, reading: Reading) -> Iterator[Problem]:
    names = {entry.name for entry in found.providers}
    for index, entry in enumerate(found.providers):
        if entry.renamed_from in names:
            where = f"providers[{index}].renamed_from"
            yield _problem(reading, where, f"{entry.renamed_from}, which this document has", "a name that is given up")
        elif entry.renamed_from is not None:
            names.add(entry.renamed_from)


def _team_problems(found: Configuration, reading: Reading) -> Iterator[Problem]:
    for name, team in found.teams.items():
        for index, budget in enumerate(team.budgets):
            if budget.usd is None and budget.tokens is None:
                where = f"teams.{name}.budgets[{index}]"
                yield _problem(reading, where, "neither usd nor tokens", "an amount of at least one of them")


def _policy_problems(found: Configuration, reading: Reading) -> Iterator[Problem]:
    for index, policy in enumerate(found.route_policies):
        for name, advice in policy_options.unknown(policy.options):
            yield _problem(reading, f"route_policies[{index}].options.{name}", "an unknown key", advice)
        for name in policy_options.problems(policy.options):
            found_there = f"options.{name} = {policy.options[name]!r}"
            yield _problem(reading, f"route_policies[{index}]", found_there, policy_options.EXPECTED)


def _problem(reading: Reading, key: str, found: str, expected: str) -> Problem:
    return Problem(at=position_of(key, reading.positions), key=key, found=found, expected=expected)


def _provider_problems(entry: ProviderEntry, path: str, reading: Reading) -> Iterator[Problem]:
    kind = kind_of(entry)
    if entry.base_url is None and REGISTRY[kind].default_base_url is None:
        yield _problem(reading, path, "no base_url", f"a base_url: {kind} has no address of its own")
    named = [
        name
        for name, given in (
            ("api_key_env", entry.api_key_env is not None),
            ("api_keys_env", entry.api_keys_env is not None),
            ("credentials", bool(entry.credentials)),
        )
        if given
    ]
    if len(named) > 1:
        yield _problem(reading, path, " and ".join(named), "one of api_key_env, api_keys_env and credentials")
    if entry.timeout is not None and entry.timeouts.first_token not in (None, entry.timeout):
        yield _problem(reading, path, "timeout and timeouts.first_token", "one of the two, or equal values")
    for name in named_options(entry):
        if name in entry.options:
            yield _problem(reading, path, f"{name} twice", f"{name} or options.{name}, not both")
    yield from _option_problems(entry.options, f"{path}.options.", kind, reading)
    yield from _option_problems(named_options(entry), f"{path}.", kind, reading)
    for index, model in enumerate(entry.models):
        yield from _option_problems(model.options, f"{path}.models[{index}].options.", kind, reading, of_model=True)


def _option_problems(
    options: Mapping[str, Any], path: str, kind: str, reading: Reading, *, of_model: bool = False
) -> Iterator[Problem]:
    """Without the value: what stands in the wrong place may be a secret."""
    for fault in faults(options_of(kind, of_model=of_model), as_json(options)):
        found = "a value that it cannot have" if fault.is_known else f"an option that {kind} does not have"
        yield _problem(reading, path + fault.name, found, fault.expected)


def _key_problems(entry: KeyEntry, path: str, reading: Reading) -> Iterator[Problem]:
    if (entry.token is None) == (entry.env is None):
        found = "neither token nor env" if entry.token is None else "token and env"
        yield _problem(reading, path, found, "exactly one of token and env")
    if entry.token is not None and entry.token.startswith("llmp-") and public_id(entry.token) is None:
        yield _problem(reading, path, "a key that begins with llmp- and is cut short", "the whole key as it was issued")


# ------------------------------------------------------------------------------------------- what is left to defaults


def kind_of(entry: ProviderEntry) -> str:
    """The entry's own kind, else told by its name: `openai` and `openai_default` are openai; the longest match wins."""
    if entry.kind is not None:
        return entry.kind
    name = entry.name.lower()
    fitting = [kind for kind in REGISTRY if name == kind or name.startswith((f"{kind}_", f"{kind}-", f"{kind}."))]
    return max(fitting, key=len, default="openai")


def resolve(entry: ProviderEntry) -> ResolvedProvider:
    kind = kind_of(entry)
    base_url = entry.base_url or REGISTRY[kind].default_base_url or ""
    return ResolvedProvider(entry=entry, kind=kind, base_url=base_url, credentials=_credentials(entry, kind, base_url))


def _credentials(entry: ProviderEntry, kind: str, base_url: str) -> tuple[CredentialEntry, ...]:
    if entry.credentials:
        return entry.credentials
    if entry.api_keys_env is not None:
        return tuple(
            CredentialEntry(name="default" if index == 0 else f"default-{index + 1}", env=variable)
            for index, variable in enumerate(entry.api_keys_env)
        )
    if entry.api_key_env is not None:
        return (CredentialEntry(env=entry.api_key_env),)
    # Only the vendor's own host gets the vendor's key unasked: a base_url elsewhere must name its own.
    if base_url and _is_vendors_own(kind, base_url):
        return (CredentialEntry(env=variable_of(kind)),)
    return ()


def _is_vendors_own(kind: str, base_url: str) -> bool:
    own = REGISTRY[kind].default_base_url
    return own is not None and parse_base_url(own)[:3] == parse_base_url(base_url)[:3]


def variable_of(kind: str) -> str:
    return _VARIABLE_OF.get(kind, f"PROXY_API_{kind.upper()}_API_KEY")
