"""A LiteLLM proxy's config.yaml as a document of ours, with a report of what has no equivalent. Pure.

Read of it: `model_list` (model_name, litellm_params, model_info), `router_settings`, `litellm_settings`,
`general_settings`. Deployments of one account become one provider: same kind, address and key.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from providers.adapters import REGISTRY
from providers.discovery.found import safe_name

SECTIONS: Final = ("router_settings", "litellm_settings", "general_settings")
MOST_ATTEMPTS: Final = 20
KINDS: Final = {
    "openai": "openai", "azure": "azure", "azure_ai": "azure", "anthropic": "anthropic", "cohere": "cohere",
    "cohere_chat": "cohere", "xai": "grok", "perplexity": "perplexity", "openrouter": "openrouter",
    "text-completion-openai": "openai", "hosted_vllm": "openai", "openai_like": "openai", "litellm_proxy": "openai",
}  # fmt: skip
STRATEGIES: Final = {
    "simple-shuffle": "weighted", "least-busy": "least_busy", "latency-based-routing": "latency",
    "cost-based-routing": "cost", "usage-based-routing": "least_busy", "usage-based-routing-v2": "least_busy",
}  # fmt: skip
_PARAMS: Final = frozenset(
    {"model", "api_base", "base_url", "api_key", "api_version", "timeout", "stream_timeout", "weight", "order",
     "max_retries", "input_cost_per_token", "output_cost_per_token", "tags"}
)  # fmt: skip
_INFO: Final = frozenset(
    {"id", "max_input_tokens", "max_output_tokens", "max_tokens", "input_cost_per_token", "output_cost_per_token", "mode",
     "base_model", "supports_function_calling", "supports_vision"}
)  # fmt: skip


@dataclass(slots=True)
class Imported:
    """`document` is what load_config reads; `notes` what a person must look at."""

    document: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class NotLiteLLM(ValueError):
    """A part that everything hangs on is not what LiteLLM has there."""


def translate(source: Mapping[str, Any]) -> Imported:
    """Raises NotLiteLLM."""
    result = Imported()
    sections = {name: dict(_section(source, name, Mapping, "a mapping") or {}) for name in SECTIONS}
    providers: dict[tuple[str, str, str], dict[str, Any]] = {}
    groups: dict[str, list[str]] = {}
    for index, entry in enumerate(_section(source, "model_list", list, "a list") or []):
        _deployment(entry, f"model_list[{index}]", providers, groups, result)
    result.document["providers"] = list(providers.values())
    _aliases(groups, result)
    _group_aliases(sections["router_settings"].pop("model_group_alias", None), groups, result)
    _settings(sections, result)
    for name in source:
        if name not in ("model_list", *SECTIONS):
            result.notes.append(f"{name}: has no equivalent and was left out")
    return result


def _section(source: Mapping[str, Any], name: str, kind: type, label: str) -> Any:
    found = source.get(name)
    if found is not None and not isinstance(found, kind):
        raise NotLiteLLM(f"{name} must be {label}; found {str(found)[:60]!r}.")
    return found


def _unusable(name: str) -> str:
    """Why that cannot be the name of a model here; empty when it can."""
    if "*" in name:
        return (
            f"'{name}' stands for any name, and models are listed by name here (`discovery.model_lists` proposes them)"
        )
    if not name or any(character.isspace() for character in name):
        return f"'{name}' is empty or has a space, as no model's name here"
    return ""


def _deployment(
    entry: Any,
    path: str,
    providers: dict[tuple[str, str, str], dict[str, Any]],
    groups: dict[str, list[str]],
    result: Imported,
) -> None:
    params = entry.get("litellm_params") if isinstance(entry, Mapping) else None
    if not isinstance(params, Mapping) or not isinstance(params.get("model"), str):
        result.notes.append(f"{path}: has no litellm_params.model and was left out")
        return
    prefix, slash, upstream = params["model"].partition("/")
    if not slash:
        prefix, upstream = ("anthropic" if prefix.startswith("claude") else "openai"), params["model"]
    public = str(entry.get("model_name") or params["model"])
    if problem := _unusable(public) or _unusable(upstream):
        result.notes.append(f"{path}: {problem}; it was left out")
        return
    kind = KINDS.get(prefix)
    if kind is None:
        result.notes.append(f"{path}: the provider {prefix} has no adapter here; {params['model']} was left out")
        return
    provider = _provider(kind, params, path, providers, result)
    if provider is None:
        return
    model = _model(public, upstream, params, _info(entry, path, result), path, result)
    names = {item["name"] for item in provider["models"]}
    if model["name"] in names:
        model["name"] = next(f"{public}-{n}" for n in range(2, 10_000) if f"{public}-{n}" not in names)
    provider["models"].append(model)
    groups.setdefault(public, []).append(f"{provider['name']}/{model['name']}")
    result.notes += [f"{path}.litellm_params.{name}: has no equivalent" for name in params if name not in _PARAMS]


def _info(entry: Mapping[str, Any], path: str, result: Imported) -> Mapping[str, Any]:
    info = entry.get("model_info") or {}
    if isinstance(info, Mapping):
        return info
    result.notes.append(f"{path}.model_info: is no mapping and was left out")
    return {}


def _provider(
    kind: str,
    params: Mapping[str, Any],
    path: str,
    providers: dict[tuple[str, str, str], dict[str, Any]],
    result: Imported,
) -> dict[str, Any] | None:
    base_url = _plain(params.get("api_base") or params.get("base_url"), f"{path}.litellm_params.api_base", result)
    variable = _variable(params.get("api_key"), path, result)
    identity = (kind, base_url, variable)
    if identity in providers:
        return providers[identity]
    if not base_url and REGISTRY[kind].default_base_url is None:
        result.notes.append(f"{path}: {kind} needs api_base as text; it was left out")
        return None
    taken = {provider["name"] for provider in providers.values()}
    name = next(name for n in range(1, 10_000) if (name := kind if n == 1 else f"{kind}-{n}") not in taken)
    provider: dict[str, Any] = {"name": safe_name(name), "kind": kind}
    if base_url:
        provider["base_url"] = base_url
    if variable:
        provider["api_key_env"] = variable
    for key in ("api_version", "timeout"):
        if isinstance(params.get(key), (str, int, float)):
            provider[key] = params[key]
    if isinstance(retries := params.get("max_retries"), int):
        provider["max_retries"] = _at_most(retries, MOST_ATTEMPTS, f"{path}.litellm_params.max_retries", result)
    provider["models"] = []
    providers[identity] = provider
    return provider


def _plain(value: Any, path: str, result: Imported) -> str:
    if isinstance(value, str) and value.startswith("os.environ/"):
        result.notes.append(f"{path}: an address from a variable is not supported; write it out")
        return ""
    return value if isinstance(value, str) else ""


def _variable(value: Any, path: str, result: Imported) -> str:
    if isinstance(value, str) and value.startswith("os.environ/"):
        return value.removeprefix("os.environ/")
    if value:
        result.notes.append(
            f"{path}.litellm_params.api_key: a key in the file is not taken over; put it into a variable"
        )
    return ""


def _model(
    public: str, upstream: str, params: Mapping[str, Any], info: Mapping[str, Any], path: str, result: Imported
) -> dict[str, Any]:
    model: dict[str, Any] = {"name": public}
    if upstream != public:
        model["upstream"] = upstream
    model.update(_counts(params, info))
    if isinstance(params.get("tags"), list):
        model["tags"] = [str(tag) for tag in params["tags"]]
    for side in ("input", "output"):
        price = _per_mtok(params.get(f"{side}_cost_per_token", info.get(f"{side}_cost_per_token")))
        if price is not None:
            model[f"{side}_usd_per_mtok"] = price
    if info.get("base_model"):
        model["options"] = {"base_model": str(info["base_model"])}
    result.notes += [f"{path}.model_info.{name}: has no equivalent" for name in info if name not in _INFO]
    return model


def _counts(params: Mapping[str, Any], info: Mapping[str, Any]) -> dict[str, int]:
    found = {
        "weight": params.get("weight"),
        "priority": params.get("order"),
        "context_window": info.get("max_input_tokens") or info.get("max_tokens"),
        "max_output_tokens": info.get("max_output_tokens"),
    }
    return {name: value for name, value in found.items() if isinstance(value, int) and value > 0}


def _per_mtok(per_token: Any) -> Decimal | None:
    """A million times the price of a token; what is finer than a nano-USD is rounded."""
    if per_token is None or isinstance(per_token, bool):
        return None
    try:
        price = Decimal(str(per_token)) * 1_000_000
    except InvalidOperation:
        return None
    return price.quantize(Decimal("1e-9")).normalize() if price.is_finite() and price >= 0 else None


def _aliases(groups: Mapping[str, list[str]], result: Imported) -> None:
    """Deployments of one name already share it; only those that had to be renamed need an alias to come together."""
    aliases = {
        public: {"targets": targets}
        for public, targets in groups.items()
        if any(target.partition("/")[2] != public for target in targets)
    }
    if aliases:
        result.document["model_aliases"] = aliases


def _group_aliases(named: Any, groups: Mapping[str, list[str]], result: Imported) -> None:
    """`{name: model}` or `{name: {model, hidden}}`. A target that is an alias here already is replaced by its targets."""
    path = "router_settings.model_group_alias"
    if named is not None and not isinstance(named, Mapping):
        result.notes.append(f"{path}: is no mapping and was left out")
        return
    aliases = result.document.get("model_aliases", {})
    for alias, given in (named or {}).items():
        name, target = str(alias), str(given.get("model") if isinstance(given, Mapping) else given)
        if problem := _unusable(name):
            result.notes.append(f"{path}: {problem}; it was left out")
        elif target not in groups:
            result.notes.append(f"{path}.{name}: no model {target} was taken over; it was left out")
        else:
            targets = groups[target] if target in aliases else [target]
            result.document.setdefault("model_aliases", {})[name] = {"targets": targets}
        if isinstance(given, Mapping) and given.get("hidden"):
            result.notes.append(f"{path}.{name}.hidden: has no equivalent; the name is listed")


def _at_most(value: int, most: int, path: str, result: Imported) -> int:
    if value > most:
        result.notes.append(f"{path}: {value} is more than is possible here; {most} was taken")
    return min(value, most)


def _first_given(routers: Any, others: Any) -> Any:
    """The router's own settings win over the general ones; 0 is one."""
    return others if routers is None else routers


def _settings(sections: Mapping[str, dict[str, Any]], result: Imported) -> None:
    router, lite, general = (sections[name] for name in SECTIONS)
    document = result.document
    strategy = router.pop("routing_strategy", None)
    if strategy is not None:
        document["default_strategy"] = STRATEGIES.get(str(strategy), "weighted")
        if str(strategy) not in STRATEGIES:
            result.notes.append(f"router_settings.routing_strategy: {strategy} is unknown here; weighted was taken")
    timeout = _first_given(router.pop("timeout", None), lite.pop("request_timeout", None))
    if isinstance(timeout, (int, float)):
        document["request_timeout"] = timeout
    retries = _first_given(router.pop("num_retries", None), lite.pop("num_retries", None))
    if isinstance(retries, int) and retries >= 0:
        document["max_attempts"] = _at_most(retries, MOST_ATTEMPTS - 1, "num_retries", result) + 1
    fails = _first_given(router.pop("allowed_fails", None), lite.pop("allowed_fails", None))
    if isinstance(fails, int) and fails > 0:
        document["circuit_breaker_threshold"] = fails
    cooldown = router.pop("cooldown_time", None)
    if isinstance(cooldown, (int, float)) and cooldown > 0:
        document["circuit_breaker_timeout"] = cooldown
    _fallbacks(router, lite, result)
    _master_key(general, result)
    for section, rest in (("router_settings", router), ("litellm_settings", lite), ("general_settings", general)):
        result.notes += [f"{section}.{name}: has no equivalent" for name in rest]


def _fallbacks(router: dict[str, Any], lite: dict[str, Any], result: Imported) -> None:
    policies: dict[str, dict[str, Any]] = {}
    for theirs, ours in (("fallbacks", "fallbacks"), ("context_window_fallbacks", "context_fallbacks")):
        for model, names in _pairs(router.pop(theirs, None) or lite.pop(theirs, None) or []):
            # A name with * is a pattern here too.
            problems = [problem for name in (model.replace("*", "x"), *names) if (problem := _unusable(name))]
            result.notes += [f"{theirs}: {problem}; it was left out" for problem in problems]
            usable = [name for name in names if not _unusable(name)]
            if usable and not _unusable(model.replace("*", "x")):
                policies.setdefault(model, {"name": safe_name(model), "pattern": model})[ours] = usable
    if policies:
        strategy = result.document.get("default_strategy", "priority")
        result.document["route_policies"] = [{**policy, "strategy": strategy} for policy in policies.values()]


def _pairs(value: Any) -> Iterator[tuple[str, list[str]]]:
    for item in value if isinstance(value, list) else []:
        for model, names in item.items() if isinstance(item, Mapping) else ():
            if isinstance(names, list):
                yield str(model), [str(name) for name in names]


def _master_key(general: dict[str, Any], result: Imported) -> None:
    key = general.pop("master_key", None)
    if isinstance(key, str) and key.startswith("os.environ/"):
        result.document["api_keys"] = [{"env": key.removeprefix("os.environ/"), "name": "master key"}]
    elif key:
        result.notes.append("general_settings.master_key: not taken over; create a key with create_api_key")
