"""What LiteLLM's parameters say of an account: address, key, headers, and what is set per provider here. Pure."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Final

from providers.adapters import REGISTRY
from providers.bounds import MOST_ATTEMPTS
from routing.litellm_compatible import COMPATIBLE

VARIABLE: Final = "os.environ/"
# What LiteLLM reads where api_base or api_key are not given. A server of one's own is never the vendor's instead.
BASE_VARIABLES: Final = {
    "azure": "AZURE_API_BASE", "azure_ai": "AZURE_AI_API_BASE", "hosted_vllm": "HOSTED_VLLM_API_BASE",
    "openai_like": "OPENAI_LIKE_API_BASE", "litellm_proxy": "LITELLM_PROXY_API_BASE", "lm_studio": "LM_STUDIO_API_BASE",
}  # fmt: skip
_KEY_VARIABLES: Final = {
    "openai": "OPENAI_API_KEY", "text-completion-openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY",
    "azure": "AZURE_API_KEY", "azure_ai": "AZURE_AI_API_KEY", "cohere": "COHERE_API_KEY", "cohere_chat": "COHERE_API_KEY",
    "xai": "XAI_API_KEY", "perplexity": "PERPLEXITYAI_API_KEY", "openrouter": "OPENROUTER_API_KEY",
    **{prefix: variable for prefix, (_, variable) in COMPATIBLE.items()},
}  # fmt: skip
_NO_KEYS: Final = frozenset(
    {"none", "null", "empty", "dummy", "fake", "fake-key", "not-needed", "not-required", "no-key", "no-key-required",
     "sk-no-key-required", "na", "n/a", "anything", "ollama", "lm-studio", "vllm"}
)  # fmt: skip
"""What stands for a key where a server asks for none, since LiteLLM wants one."""
_EVERY_ADDRESS: Final = "//0.0.0.0"


def reads(kind: str, option: str) -> bool:
    return any(each.name == option for each in REGISTRY[kind].own_options)


def attempts_of(retries: int, path: str, notes: list[str]) -> int:
    """With the first, which is no retry."""
    most = MOST_ATTEMPTS - 1
    if retries > most:
        notes.append(f"{path}: {retries} is more than is possible here; {most} was taken")
    return min(retries, most) + 1


def account(kind: str, prefix: str, params: Mapping[str, Any], path: str, notes: list[str]) -> dict[str, Any]:
    """The keys of a provider's entry, but for its name, kind and models."""
    found: dict[str, Any] = {}
    base_url = _address(params, path, notes)
    vendors_own = not base_url or prefix in ("azure", "azure_ai")
    if base_url := base_url or COMPATIBLE.get(prefix, ("", ""))[0]:
        found["base_url"] = base_url
    customary = _KEY_VARIABLES.get(prefix, "") if vendors_own else ""
    if variable := _key(params.get("api_key"), customary, path, notes, asked_for=vendors_own):
        found["api_key_env"] = variable
    if headers := dict(_headers(params, path, notes)):
        found["headers"] = headers
    return found | _own_settings(kind, params, path, notes)


def _address(params: Mapping[str, Any], path: str, notes: list[str]) -> str:
    base_url = str(params.get("api_base") or params.get("base_url") or "")
    if base_url.startswith(VARIABLE):
        # Left as it is: load_config asks for an address then, and nobody else is called in its place.
        notes.append(
            f"{path}.litellm_params.api_base: the variable with its address ({base_url.removeprefix(VARIABLE)}) is not set"
            " here: set it for the import, or write the address out"
        )
    elif _EVERY_ADDRESS in base_url:
        base_url = base_url.replace(_EVERY_ADDRESS, "//127.0.0.1")
        notes.append(f"{path}.litellm_params.api_base: 0.0.0.0 is nobody's address; {base_url} was taken")
    return base_url


def _key(value: Any, customary: str, path: str, notes: list[str], *, asked_for: bool) -> str:
    if isinstance(value, str) and value.startswith(VARIABLE):
        return value.removeprefix(VARIABLE)
    if value and not asked_for and str(value).lower() in _NO_KEYS:
        return ""
    if value:
        notes.append(f"{path}.litellm_params.api_key: a key in the file is not taken over; put it into a variable")
        return ""
    return customary


def _headers(params: Mapping[str, Any], path: str, notes: list[str]) -> Iterator[tuple[str, str]]:
    given = params.get("extra_headers")
    named = (
        {f"extra_headers.{name}": (str(name), value) for name, value in given.items()}
        if isinstance(given, Mapping)
        else {}
    )
    if params.get("organization"):
        named["organization"] = ("openai-organization", params["organization"])
    for place, (name, value) in named.items():
        if str(value).startswith(VARIABLE):
            notes.append(f"{path}.litellm_params.{place}: a value from a variable is not supported; write it out")
        else:
            yield name, str(value)


def _own_settings(kind: str, params: Mapping[str, Any], path: str, notes: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key in ("api_version", "timeout"):
        value = params.get(key)
        if key == "api_version" and value is not None and not reads(kind, key):
            notes.append(f"{path}.litellm_params.{key}: has no equivalent")
        elif isinstance(value, str) and value.startswith(VARIABLE):
            notes.append(f"{path}.litellm_params.{key}: a value from a variable is not supported; write it out")
        elif isinstance(value, date):  # what YAML makes of 2024-06-01
            found[key] = value.isoformat()
        elif isinstance(value, (str, int, float)):
            found[key] = value
    retries = params.get("max_retries")
    if isinstance(retries, int) and retries >= 0:
        found["max_retries"] = attempts_of(retries, f"{path}.litellm_params.max_retries", notes)
    return found
