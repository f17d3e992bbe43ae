"""LiteLLM's model_list as providers with models, and the names that several of them share. Pure.

Deployments of one account become one provider: same kind, address and key, and the same of what is set per provider here.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from providers.adapters import REGISTRY
from providers.discovery.found import safe_name
from routing.litellm_account import BASE_VARIABLES, VARIABLE, account, reads
from routing.litellm_compatible import COMPATIBLE, remarks, upstream_name
from routing.litellm_elsewhere import elsewhere
from routing.litellm_shares import share_out

KINDS: Final = {
    "openai": "openai", "azure": "azure", "azure_ai": "azure", "anthropic": "anthropic", "cohere": "cohere",
    "cohere_chat": "cohere", "xai": "grok", "perplexity": "perplexity", "openrouter": "openrouter",
    "text-completion-openai": "openai", "hosted_vllm": "openai", "openai_like": "openai", "litellm_proxy": "openai",
    "lm_studio": "openai", **dict.fromkeys(COMPATIBLE, "openai"),
}  # fmt: skip
_NAMED_LIKE: Final = (
    (re.compile(r"claude"), "anthropic"),
    (re.compile(r"command|embed-"), "cohere"),
    (re.compile(r"gemini"), "vertex_ai"),
    (re.compile(r"(?:[a-z-]+\.)?(?:anthropic|amazon|meta|cohere|mistral|ai21|deepseek|qwen)\."), "bedrock"),
)
"""Models without a prefix that are none of OpenAI's."""
_AZURE_PREFIX = re.compile(r"(?:o_series|gpt5_series|responses|model_router)/")
"""Said to LiteLLM; no part of a deployment's name."""
_SERVED: Final = (None, "chat", "completion", "embedding", "responses")
_FOR_OTHER_ENDPOINTS: Final = re.compile(
    r"(?:.*/)?(?:whisper|tts-|gpt-4o-(?:mini-)?(?:tts|transcribe)|gpt-image|dall-e|rerank|(?:omni|text)-moderation|sora|imagen)"
)
"""Models that LiteLLM knows the mode of."""
_OF_ACCOUNTS: Final = frozenset(
    {"model", "custom_llm_provider", "api_base", "base_url", "api_key", "api_version", "timeout", "max_retries",
     "litellm_credential_name", "extra_headers", "organization"}
)  # fmt: skip
"""What a wildcard can say of a provider; all else it says of models that are not known yet."""
_WITHOUT_A_LIST: Final = frozenset({"azure", *(kind for kind, each in REGISTRY.items() if each.models_path is None)})
"""Azure lists what it sells, not what is deployed."""
_PRICES: Final = {
    "input_cost_per_token": "input_usd_per_mtok", "output_cost_per_token": "output_usd_per_mtok",
    "cache_read_input_token_cost": "cached_input_usd_per_mtok",
    "cache_creation_input_token_cost": "cache_write_usd_per_mtok",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h_usd_per_mtok",
    "input_cost_per_audio_token": "audio_input_usd_per_mtok", "output_cost_per_audio_token": "audio_output_usd_per_mtok",
}  # fmt: skip
_SEARCH: Final = "search_context_cost_per_query"
_PARAMS: Final = frozenset({*_OF_ACCOUNTS, *_PRICES, _SEARCH, "weight", "order", "rpm", "tpm", "tags"})
_INFO: Final = frozenset(
    {*_PRICES, _SEARCH, "id", "max_input_tokens", "max_output_tokens", "max_tokens", "mode", "base_model",
     "supports_function_calling", "supports_vision", "supports_reasoning"}
)  # fmt: skip


def unusable(name: str) -> str:
    """Why that cannot be the name of a model here; empty when it can."""
    if "*" in name:
        return f"'{name}' stands for any name, and models are called by name here"
    if not name or any(character.isspace() for character in name):
        return f"'{name}' is empty or has a space, as no model's name here"
    return ""


@dataclass(slots=True)
class ModelList:
    """`groups` are the targets of each public name, `notes` what a person must look at, `wildcards` the names under which
    discovery finds what wildcards stand for."""

    notes: list[str]
    credentials: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    variable: Callable[[str], str] = lambda name: ""
    groups: dict[str, list[str]] = field(default_factory=dict)
    wildcards: list[str] = field(default_factory=list)
    _providers: dict[tuple[Any, ...], dict[str, Any]] = field(default_factory=dict)
    _members: dict[str, list[tuple[dict[str, Any], Mapping[str, Any]]]] = field(default_factory=dict)

    def read(self, entries: list[Any]) -> list[dict[str, Any]]:
        """The providers."""
        for index, entry in enumerate(entries):
            self._deployment(entry, f"model_list[{index}]")
        for public, members in self._members.items():
            share_out(public, members, self.notes)
        return list(self._providers.values())

    def _deployment(self, entry: Any, path: str) -> None:
        given = entry.get("litellm_params") if isinstance(entry, Mapping) else None
        if not isinstance(given, Mapping) or not isinstance(given.get("model"), str):
            self.notes.append(f"{path}: has no litellm_params.model and was left out")
            return
        info = self._info(entry, path)
        params = self._params(given, path)
        public, prefix, upstream = str(entry.get("model_name") or params["model"]), *_named(params)
        kind, upstream = _kind(prefix, upstream, info)
        wildcard = "*" in public and "*" in upstream and params["model"] != "*"
        named = (public.replace("*", "x"), upstream.replace("*", "x")) if wildcard else (public, upstream)
        if problem := _problem(*named, prefix, kind, params, info):
            self.notes.append(f"{path}: {problem}; it was left out")
            return
        assert kind is not None
        if wildcard:
            self._wildcard(kind, prefix, public, upstream, params, path)
            return
        provider = self._provider(kind, prefix, params, path)
        model = self._model(kind, public, upstream, params, info, path)
        names = {item["name"] for item in provider["models"]}
        if model["name"] in names:
            model["name"] = next(f"{public}-{n}" for n in range(2, len(names) + 3) if f"{public}-{n}" not in names)
        provider["models"].append(model)
        self.groups.setdefault(public, []).append(f"{provider['name']}/{model['name']}")
        self._members.setdefault(public, []).append((model, params))
        self.notes += [f"{path}.litellm_params.{name}: {elsewhere(name)}" for name in given if name not in _PARAMS]

    def _params(self, given: Mapping[str, Any], path: str) -> dict[str, Any]:
        """With what a credential of that name says, and with the values of variables that are no secrets."""
        named = given.get("litellm_credential_name")
        if named is not None and str(named) not in self.credentials:
            self.notes.append(f"{path}.litellm_params.litellm_credential_name: no {named} is in credential_list")
        params = {**self.credentials.get(str(named), {}), **given}
        self._fill_in(params, ("model",), path)
        variable = BASE_VARIABLES.get(_named(params)[0])
        if variable and not (params.get("api_base") or params.get("base_url")):
            params["api_base"] = VARIABLE + variable
        self._fill_in(params, ("api_base", "base_url", "api_version"), path)
        return params

    def _fill_in(self, params: dict[str, Any], names: tuple[str, ...], path: str) -> None:
        for name in names:
            value = params.get(name)
            if isinstance(value, str) and value.startswith(VARIABLE):
                variable = value.removeprefix(VARIABLE)
                if found := self.variable(variable):
                    params[name] = found
                    self.notes.append(f"{path}.litellm_params.{name}: taken from {variable}, as it is set here")

    def _wildcard(
        self, kind: str, prefix: str, public: str, upstream: str, params: Mapping[str, Any], path: str
    ) -> None:
        """The models that the provider lists go live when discovery finds them, and are called `provider/model` as well:
        a provider that is called as clients call it keeps their names."""
        wanted = public.removesuffix(f"/{upstream}")
        name = self._provider(kind, prefix, params, path, called=wanted if wanted == safe_name(wanted) else None)[
            "name"
        ]
        if kind in _WITHOUT_A_LIST:
            found = f"but {name} has no list of its models to ask: write them down"
        else:
            self.wildcards.append(f"{name}/{upstream}")
            found = f"{name} is asked for its models by `discovery` (at once: `discover_providers`), and they go live"
            if public not in ("*", upstream, f"{name}/{upstream}"):
                found += f", called '{upstream}' and '{name}/{upstream}'"
        self.notes.append(f"{path}: '{public}' stands for any name; {found}")
        self.notes += [
            f"{path}.litellm_params.{each}: has no equivalent for models that are found"
            for each in params
            if each not in _OF_ACCOUNTS
        ]

    def _info(self, entry: Mapping[str, Any], path: str) -> Mapping[str, Any]:
        info = entry.get("model_info") or {}
        if isinstance(info, Mapping):
            return info
        self.notes.append(f"{path}.model_info: is no mapping and was left out")
        return {}

    # ------------------------------------------------------------------------------------------------------ provider

    def _provider(
        self, kind: str, prefix: str, params: Mapping[str, Any], path: str, called: str | None = None
    ) -> dict[str, Any]:
        provider = account(kind, prefix, params, path, self.notes)
        identity = (kind, repr(provider))
        if identity not in self._providers:
            taken = {other["name"] for other in self._providers.values()}
            called = called or (prefix.removesuffix("_chat") if prefix in COMPATIBLE else kind)
            name = next(
                name for n in range(1, len(taken) + 2) if (name := called if n == 1 else f"{called}-{n}") not in taken
            )
            given = bool(params.get("api_base") or params.get("base_url"))
            self.notes += [
                f"{path}: {said}" for said in remarks(prefix, address_given=given, patient="timeout" in provider)
            ]
            self._providers[identity] = {"name": safe_name(name), "kind": kind, **provider, "models": []}
        return self._providers[identity]

    # --------------------------------------------------------------------------------------------------------- model

    def _model(
        self, kind: str, public: str, upstream: str, params: Mapping[str, Any], info: Mapping[str, Any], path: str
    ) -> dict[str, Any]:
        model: dict[str, Any] = {"name": public}
        if upstream != public:
            model["upstream"] = upstream
        model.update(_counts(params, info))
        if info.get("mode") == "embedding":
            model["capabilities"] = ["embeddings"]
        if info.get("supports_reasoning") is True:
            model["reasoning"] = True
        if isinstance(params.get("tags"), list):
            model["tags"] = [str(tag) for tag in params["tags"]]
        model.update(self._prices(params, info, path))
        base_model = info.get("base_model")
        if base_model and reads(kind, "base_model"):
            model["options"] = {"base_model": str(base_model).removeprefix("azure/")}
        elif base_model:
            self.notes.append(f"{path}.model_info.base_model: has no equivalent")
        self.notes += [f"{path}.model_info.{name}: has no equivalent" for name in info if name not in _INFO]
        return model

    def _prices(self, params: Mapping[str, Any], info: Mapping[str, Any], path: str) -> dict[str, Decimal]:
        found = {ours: _times(1_000_000, params.get(theirs, info.get(theirs))) for theirs, ours in _PRICES.items()}
        fees = params.get(_SEARCH, info.get(_SEARCH))
        found["search_usd_per_thousand"] = _per_thousand(fees)
        if isinstance(fees, Mapping) and len(set(map(str, fees.values()))) > 1:
            self.notes.append(f"{path}: {_SEARCH} is one price here, whatever the size; that of medium was taken")
        return {name: price for name, price in found.items() if price is not None}


def _named(params: Mapping[str, Any]) -> tuple[str, str]:
    """Prefix and upstream name."""
    model, said = str(params["model"]), params.get("custom_llm_provider")
    if isinstance(said, str) and said:
        return said, model.removeprefix(f"{said}/")
    prefix, slash, upstream = model.partition("/")
    if slash:
        return prefix, upstream
    return next((prefix for pattern, prefix in _NAMED_LIKE if pattern.match(model)), "openai"), model


def _kind(prefix: str, upstream: str, info: Mapping[str, Any]) -> tuple[str | None, str]:
    """Kind, and the upstream name without what only LiteLLM reads."""
    kind = KINDS.get(prefix)
    if prefix == "azure_ai" and upstream.startswith("claude"):
        return "anthropic", upstream
    if kind == "azure":
        return kind, _AZURE_PREFIX.sub("", upstream, count=1)
    if prefix == "openai" and (upstream.startswith("responses/") or info.get("mode") == "responses"):
        return "openai_responses", upstream.removeprefix("responses/")
    return kind, upstream_name(prefix, upstream)


def _problem(
    public: str, upstream: str, prefix: str, kind: str | None, params: Mapping[str, Any], info: Mapping[str, Any]
) -> str:
    if params["model"] == "*":
        return "'*' stands for any model of any provider; what names a provider, such as 'openai/*', is taken over"
    if prefix == VARIABLE.rstrip("/"):
        return f"the variable {upstream}, which names its model, is not set here: set it, or write the name out"
    if problem := unusable(public) or unusable(upstream):
        return problem
    if kind is None:
        found = f"the provider {prefix} has no adapter here, which {params['model']} needs"
        own = params.get("api_base") or params.get("base_url")
        return f"{found} (if that address speaks OpenAI's dialect, write openai/{upstream})" if own else found
    mode = info.get("mode")
    if mode is None and _FOR_OTHER_ENDPOINTS.match(upstream):
        return f"{upstream} is served by no endpoint here"
    return "" if mode in _SERVED else f"mode {mode} is served by no endpoint here"


def _counts(params: Mapping[str, Any], info: Mapping[str, Any]) -> dict[str, int]:
    found = {
        "priority": params.get("order"),
        "context_window": info.get("max_input_tokens") or info.get("max_tokens"),
        "max_output_tokens": info.get("max_output_tokens"),
    }
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, int) and not isinstance(value, bool) and value >= (name != "priority")
    }


def _per_thousand(per_search: Any) -> Decimal | None:
    """A number, or one for each size of what is searched, of which medium is the usual one."""
    if isinstance(per_search, Mapping):
        per_search = per_search.get("search_context_size_medium", next(iter(per_search.values()), None))
    return _times(1_000, per_search)


def _times(many: int, price_of_one: Any) -> Decimal | None:
    """So many times the price; what is finer than a nano-USD is rounded."""
    if price_of_one is None or isinstance(price_of_one, bool):
        return None
    try:
        price = Decimal(str(price_of_one)) * many
    except InvalidOperation:
        return None
    return price.quantize(Decimal("1e-9")).normalize() if price.is_finite() and price >= 0 else None
