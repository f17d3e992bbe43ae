"""Every provider kind, by name. A new provider is a file in this folder and a line here."""

from collections.abc import Mapping
from types import MappingProxyType

from providers.adapter_options import COMMON, Option
from providers.adapters.anthropic import AnthropicAdapter
from providers.adapters.azure import AzureAdapter
from providers.adapters.base import Adapter
from providers.adapters.blackbox import BlackboxAdapter
from providers.adapters.cohere import CohereAdapter
from providers.adapters.openai import OpenAIAdapter
from providers.adapters.openai_responses import OpenAIResponsesAdapter
from providers.adapters.openrouter import OpenRouterAdapter
from providers.adapters.perplexity import PerplexityAdapter
from providers.adapters.xai import GrokAdapter

_ADAPTERS: tuple[Adapter, ...] = (
    OpenAIAdapter(),
    OpenAIResponsesAdapter(),
    AnthropicAdapter(),
    GrokAdapter(),
    PerplexityAdapter(),
    BlackboxAdapter(),
    OpenRouterAdapter(),
    CohereAdapter(),
    AzureAdapter(),
)
REGISTRY: Mapping[str, Adapter] = MappingProxyType({adapter.kind: adapter for adapter in _ADAPTERS})


class UnknownKindError(LookupError):
    """No adapter of this name."""


def adapter_for(kind: str) -> Adapter:
    try:
        return REGISTRY[kind]
    except KeyError:
        raise UnknownKindError(f"Unknown provider kind '{kind}'; known are {', '.join(sorted(REGISTRY))}.") from None


def options_of(kind: str, *, of_model: bool = False) -> tuple[Option, ...]:
    """What the `options` of a provider of this kind may say, or of its models."""
    own = REGISTRY[kind].own_options if kind in REGISTRY else ()
    named = {each.name: each for each in (*COMMON, *own)}
    return tuple(each for each in named.values() if (each.of_model if of_model else each.of_provider))
