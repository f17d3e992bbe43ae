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


def translate(source: Mapping[str, Any]) -> Imported:
    result = Imported()
    providers: dict[tuple[str, str, str], dict[str, Any]] = {}
    groups: dict[str, list[str]] = {}
    for index, entry in enumerate(source.get("model_list") or []):
        _deployment(entry, f"model_list[{index}]", providers, groups, result)
    result.document["providers"] = list(providers.values())
    _aliases(groups, result)
    _settings(source, result)
    for name in source:
        if name not in ("model_list", "router_settings", "litellm_settings", "general_settings"):
            result.notes.append(f"{name}: has no equivalent and was left out")
    return result


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
    kind = KINDS.get(prefix)
    if kind is None:
        result.notes.append(f"{path}: the provider {prefix} has no adapter here; {params['model']} was left out")
        return
    provider = _provider(kind, params, path, providers, result)
    if provider is None:
        return
    public = str(entry.get("model_name") or params["model"])
    model = _model(public, upstream, params, entry.get("model_info") or {}, path, result)
    names = {item["name"] for item in provider["models"]}
    if model["name"] in names:
        model["name"] = next(f"{public}-{n}" for n in range(2, 10_000) if f"{public}-{n}" not in names)
    provider["models"].append(model)
    groups.setdefault(public, []).append(f"{provider['name']}/{model['name']}")
    result.notes += [f"{path}.litellm_params.{name}: has no equivalent" for name in params if name not in _PARAMS]


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
    for ours, theirs in (("api_version", "api_version"), ("timeout", "timeout"), ("max_retries", "max_retries")):
        if isinstance(params.get(theirs), (str, int, float)):
            provider[ours] = params[theirs]
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


def _settings(source: Mapping[str, Any], result: Imported) -> None:
    router = dict(source.get("router_settings") or {})
    general = dict(source.get("general_settings") or {})
    lite = dict(source.get("litellm_settings") or {})
    document = result.document
    strategy = router.pop("routing_strategy", None)
    if strategy is not None:
        document["default_strategy"] = STRATEGIES.get(str(strategy), "weighted")
        if strategy not in STRATEGIES:
            result.notes.append(f"router_settings.routing_strategy: {strategy} is unknown here; weighted was taken")
    timeout = router.pop("timeout", None) or lite.pop("request_timeout", None)
    if isinstance(timeout, (int, float)):
        document["request_timeout"] = timeout
    retries = router.pop("num_retries", None) or lite.pop("num_retries", None)
    if isinstance(retries, int) and retries >= 0:
        document["max_attempts"] = min(retries + 1, 20)
    fails = router.pop("allowed_fails", None) or lite.pop("allowed_fails", None)
    if isinstance(fails, int) and fails > 0:
        document["circuit_breaker_threshold"] = fails
    cooldown = router.pop("cooldown_time", None)
    if isinstance(cooldown, (int, float)) and cooldown > 0:
        document["circuit_breaker_timeout"] = cooldown
    _fallbacks(router, lite, document)
    _master_key(general, result)
    for section, rest in (("router_settings", router), ("litellm_settings", lite), ("general_settings", general)):
        result.notes += [f"{section}.{name}: has no equivalent" for name in rest]


def _fallbacks(router: dict[str, Any], lite: dict[str, Any], document: dict[str, Any]) -> None:
    policies: dict[str, dict[str, Any]] = {}
    for theirs, ours in (("fallbacks", "fallbacks"), ("context_window_fallbacks", "context_fallbacks")):
        for model, names in _pairs(router.pop(theirs, None) or lite.pop(theirs, None) or []):
            policy = policies.setdefault(model, {"name": safe_name(model), "pattern": model})
            policy[ours] = [str(name) for name in names]
    if policies:
        strategy = document.get("default_strategy", "priority")
        document["route_policies"] = [{**policy, "strategy": strategy} for policy in policies.values()]


def _pairs(value: Any) -> Iterator[tuple[str, list[Any]]]:
    for item in value if isinstance(value, list) else []:
        for model, names in item.items() if isinstance(item, Mapping) else ():
            if isinstance(names, list):
                yield str(model), names


def _master_key(general: dict[str, Any], result: Imported) -> None:
    key = general.pop("master_key", None)
    if isinstance(key, str) and key.startswith("os.environ/"):
        result.document["api_keys"] = [{"env": key.removeprefix("os.environ/"), "name": "master key"}]
    elif key:
        result.notes.append("general_settings.master_key: not taken over; create a key with create_api_key")
