"""A LiteLLM proxy's config.yaml as a document of ours, with a report of what has no equivalent. Pure.

Read of it: `model_list` and `credential_list` (see `litellm_models`), `router_settings`, `litellm_settings`,
`general_settings`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final

from providers.discovery.found import safe_name
from routing.litellm_account import VARIABLE, attempts_of
from routing.litellm_elsewhere import elsewhere
from routing.litellm_models import ModelList, unusable

SECTIONS: Final = ("router_settings", "litellm_settings", "general_settings")
STRATEGIES: Final = {
    # Its deployments with the lowest `order` come first, as priorities do, and share by weight.
    "simple-shuffle": "priority", "least-busy": "least_busy", "latency-based-routing": "latency",
    "cost-based-routing": "cost", "usage-based-routing": "least_busy", "usage-based-routing-v2": "least_busy",
}  # fmt: skip
_BY_USAGE: Final = "usage-based-routing"
_LAST: Final = 1000
"""Where the policy for whatever has none of its own stands: the first that matches counts."""
_DEFAULT_MAX_RETRIES: Final = 3


@dataclass(slots=True)
class Imported:
    """`document` is what load_config reads; `notes` what a person must look at."""

    document: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class NotLiteLLM(ValueError):
    """A part that everything hangs on is not what LiteLLM has there."""


def is_litellm(source: Any) -> bool:
    return isinstance(source, Mapping) and any(name in source for name in ("model_list", "include", *SECTIONS))


def translate(source: Mapping[str, Any], variable: Callable[[str], str] = lambda name: "") -> Imported:
    """`variable` reads the environment: names and addresses are often there. Raises NotLiteLLM."""
    result = Imported()
    sections = {name: dict(_section(source, name, Mapping, "a mapping") or {}) for name in SECTIONS}
    own = source.get("environment_variables")
    own = own if isinstance(own, Mapping) else {}

    def value_of(name: str) -> str:
        return str(own.get(name) or variable(name))

    models = ModelList(result.notes, _credentials(source.get("credential_list")), value_of)
    result.document["providers"] = models.read(_section(source, "model_list", list, "a list") or [])
    if models.wildcards:
        result.document["discovery"] = {"model_lists": True, "auto_approve": list(dict.fromkeys(models.wildcards))}
    _aliases(models.groups, result)
    _group_aliases(sections["router_settings"].pop("model_group_alias", None), models, result)
    _settings(sections, result)
    _leading_nowhere(models, result)
    for name in source:
        if name == "include":
            result.notes.append("include: import these files too; each becomes a document of its own")
        elif name not in ("model_list", "credential_list", *SECTIONS):
            result.notes.append(f"{name}: {elsewhere(name, 'has no equivalent and was left out')}")
    return result


def _section(source: Mapping[str, Any], name: str, kind: type, label: str) -> Any:
    found = source.get(name)
    if found is not None and not isinstance(found, kind):
        raise NotLiteLLM(f"{name} must be {label}; found {str(found)[:60]!r}.")
    return found


def _credentials(given: Any) -> dict[str, Mapping[str, Any]]:
    """What `litellm_credential_name` stands for."""
    entries = [entry for entry in given if isinstance(entry, Mapping)] if isinstance(given, list) else []
    return {
        str(entry.get("credential_name")): values
        for entry in entries
        if isinstance(values := entry.get("credential_values"), Mapping)
    }


def _aliases(groups: Mapping[str, list[str]], result: Imported) -> None:
    """Deployments of one name already share it; only those that had to be renamed need an alias to come together."""
    aliases = {
        public: {"targets": targets}
        for public, targets in groups.items()
        if any(target.partition("/")[2] != public for target in targets)
    }
    if aliases:
        result.document["model_aliases"] = aliases


def _group_aliases(named: Any, models: ModelList, result: Imported) -> None:
    """`{name: model}` or `{name: {model, hidden}}`. A target that is an alias here already is replaced by its targets."""
    path = "router_settings.model_group_alias"
    if named is not None and not isinstance(named, Mapping):
        result.notes.append(f"{path}: is no mapping and was left out")
        return
    aliases = result.document.get("model_aliases", {})
    for alias, given in (named or {}).items():
        name, target = str(alias), str(given.get("model") if isinstance(given, Mapping) else given)
        if problem := unusable(name):
            result.notes.append(f"{path}: {problem}; it was left out")
        elif target not in models.groups and not any(fnmatchcase(target, each) for each in models.wildcards):
            result.notes.append(f"{path}.{name}: no model {target} was taken over; it was left out")
        else:
            targets = models.groups[target] if target in aliases else [target]
            result.document.setdefault("model_aliases", {})[name] = {"targets": targets}
        if isinstance(given, Mapping) and given.get("hidden"):
            result.notes.append(f"{path}.{name}.hidden: has no equivalent; the name is listed")


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _taken(name: str, usable: Callable[[Any], bool], result: Imported, *sections: tuple[str, dict[str, Any]]) -> Any:
    """The first section that gives it wins, as the router's own settings do over the general ones; 0 is a value."""
    given = [(f"{section}.{name}", rest.pop(name)) for section, rest in sections if name in rest]
    given = [(path, value) for path, value in given if value is not None]
    if not given or usable(given[0][1]):
        return given[0][1] if given else None
    result.notes.append(f"{given[0][0]}: is not what can be taken over here and was left out")
    return None


def _settings(sections: Mapping[str, dict[str, Any]], result: Imported) -> None:
    router, lite, general = (sections[name] for name in SECTIONS)
    document = result.document
    both = ("router_settings", router), ("litellm_settings", lite)
    _strategy(router.pop("routing_strategy", None), result)
    if (timeout := _timeout(both, result)) is not None:
        document["request_timeout"] = timeout
    if (retries := _taken("num_retries", _count, result, *both)) is not None:
        _attempts(attempts_of(retries, "num_retries", result.notes), document)
    if (fails := _taken("allowed_fails", _count, result, *both)) is not None:
        document["circuit_breaker_threshold"] = fails + 1
    if (cooldown := _taken("cooldown_time", _number, result, *both)) is not None:
        document["circuit_breaker_timeout"] = cooldown
    _health(general, result)
    _cache(lite, result)
    _fallbacks(router, lite, result)
    _master_key(general, result)
    # Elsewhere in such files these are Redis's.
    given = [name for name in ("host", "port") if general.pop(name, None) is not None]
    result.notes += [
        f"general_settings.{name}: not taken over: `{name}` in the document is this server's" for name in given
    ]
    for section, rest in sections.items():
        result.notes += [f"{section}.{name}: {elsewhere(name)}" for name in rest]


def _strategy(named: Any, result: Imported) -> None:
    if named is None:
        return
    result.document["default_strategy"] = STRATEGIES.get(str(named), "priority")
    if str(named) not in STRATEGIES:
        result.notes.append(f"router_settings.routing_strategy: {named} is unknown here; priority was taken")
    elif str(named).startswith(_BY_USAGE):
        result.notes.append(
            f"router_settings.routing_strategy: {named} prefers who had the fewest tokens this minute; least_busy, which"
            " prefers who has the fewest calls running, was taken"
        )


def _health(general: dict[str, Any], result: Imported) -> None:
    if general.get("background_health_checks") is True:
        del general["background_health_checks"]
        if (interval := _taken("health_check_interval", _count, result, ("general_settings", general))) is not None:
            result.document["health_check_interval"] = interval


def _timeout(both: tuple[tuple[str, dict[str, Any]], ...], result: Imported) -> Any:
    router, lite = both
    routers = _taken("timeout", _number, result, router)
    general = _taken("request_timeout", _number, result, lite)
    return general if routers is None else routers


def _attempts(attempts: int, document: dict[str, Any]) -> None:
    """Each provider has a number of its own here, which holds as well."""
    document["max_attempts"] = attempts
    if attempts > _DEFAULT_MAX_RETRIES:
        for provider in document["providers"]:
            provider.setdefault("max_retries", attempts)


def _cache(lite: dict[str, Any], result: Imported) -> None:
    if lite.get("cache") is not True:
        return
    del lite["cache"]
    given = lite.pop("cache_params", None)
    params = dict(given) if isinstance(given, Mapping) else {}
    cache: dict[str, Any] = {"enabled": params.pop("mode", None) != "default_off"}
    if (ttl := _taken("ttl", _number, result, ("litellm_settings.cache_params", params))) is not None:
        cache["ttl"] = ttl
    result.document["response_cache"] = cache
    result.notes += [f"litellm_settings.cache_params.{name}: {elsewhere(name)}" for name in params]


def _fallbacks(router: dict[str, Any], lite: dict[str, Any], result: Imported) -> None:
    policies: dict[str, dict[str, list[str]]] = {}
    for theirs, ours in (("fallbacks", "fallbacks"), ("context_window_fallbacks", "context_fallbacks")):
        chains = list(_pairs(theirs, _first_given(theirs, router, lite), result))
        if theirs == "fallbacks":
            chains += _pairs("default_fallbacks", [{"*": _first_given("default_fallbacks", router, lite)}], result)
        for model, names in chains:
            # A name with * is a pattern here too.
            problems = [problem for name in (model.replace("*", "x"), *names) if (problem := unusable(name))]
            result.notes += [f"{theirs}: {problem}; it was left out" for problem in problems]
            usable = [name for name in names if not unusable(name)]
            if usable and not unusable(model.replace("*", "x")):
                policies.setdefault(model, {}).setdefault(ours, usable)
    if policies:
        result.document["route_policies"] = _policies(policies, result.document.get("default_strategy", "priority"))


def _leading_nowhere(models: ModelList, result: Imported) -> None:
    """Policies keep names that were left out: somebody may add what serves them."""
    served = {*models.groups, *result.document.get("model_aliases", {})}
    found = [pattern for each in models.wildcards for pattern in (each, each.partition("/")[2])]
    policies = result.document.get("route_policies", ())
    chains = [name for each in policies for names in ("fallbacks", "context_fallbacks") for name in each.get(names, ())]
    patterns = [each["pattern"] for each in policies if "*" not in each["pattern"]]
    for name in dict.fromkeys((*patterns, *chains)):
        if name not in served and not any(fnmatchcase(name, pattern) for pattern in found):
            what = "falls back" if name in patterns else "is fallen back to"
            result.notes.append(
                f"fallbacks: {name} {what}, but no model of that name was taken over: nothing serves it"
            )


def _first_given(name: str, *sections: dict[str, Any]) -> Any:
    given = [section.pop(name) for section in sections if name in section]
    return next((value for value in given if value), None)


def _policies(chains: Mapping[str, dict[str, list[str]]], strategy: str) -> list[dict[str, Any]]:
    """The one for `*` is for what has none, there as well chain by chain: here a single policy is in force."""
    general = chains.get("*", {})
    found: list[dict[str, Any]] = []
    names: set[str] = set()
    for model, own in chains.items():
        wanted = "any" if model == "*" else safe_name(model)
        name = next(name for n in range(1, len(names) + 2) if (name := _numbered(wanted, n)) not in names)
        names.add(name)
        last = {"position": _LAST} if model == "*" else {}
        found.append({"name": name, "pattern": model, **last, **general, **own, "strategy": strategy})
    return found


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name[:57]}-{number}"


def _pairs(path: str, value: Any, result: Imported) -> Iterator[tuple[str, list[str]]]:
    if value is not None and not isinstance(value, list):
        result.notes.append(f"{path}: is no list and was left out")
    for item in value if isinstance(value, list) else []:
        for model, names in item.items() if isinstance(item, Mapping) else ((item, ""),):
            if isinstance(names, list):
                yield str(model), [str(name) for name in names]
            elif names is not None:
                result.notes.append(f"{path}: {str(model)[:60]!r} has no list of names and was left out")


def _master_key(general: dict[str, Any], result: Imported) -> None:
    key = general.pop("master_key", None)
    if isinstance(key, str) and key.startswith(VARIABLE):
        result.document["api_keys"] = [{"env": key.removeprefix(VARIABLE), "name": "master key"}]
    elif key:
        result.notes.append("general_settings.master_key: not taken over; create a key with create_api_key")
