"""What is publicly known of models: context window and list prices, for filling in deployments that people then edit."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from providers.specs import Prices
from rows.catalogue import CATALOGUE_IDS, CatalogueUnreadable, Listed, look_up

logger = logging.getLogger("llm_proxy.providers.catalog")

# Where the vendor itself answers: these hosts, and those below them (regions, resources).
VENDOR_HOSTS = {
    "openai": ("api.openai.com",),
    "openai_responses": ("api.openai.com",),
    "anthropic": ("api.anthropic.com",),
    "grok": ("api.x.ai",),
    "perplexity": ("api.perplexity.ai",),
    "openrouter": ("openrouter.ai",),
    "cohere": ("api.cohere.com", "api.cohere.ai"),
    "azure": ("azure.com", "azure.us", "azure.cn", "azure-api.net"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """None where unknown."""

    context_window: int | None
    prices: Prices


UNKNOWN = ModelFacts(context_window=None, prices=Prices())


def is_listed(kind: str, host: str, options: Mapping[str, object]) -> bool:
    """Whether list prices hold for a provider: its kind is a vendor's, and it is the vendor's own address. An operator's
    option `list_prices` knows better: true for a proxy in front of the vendor, false for prices of one's own."""
    if kind not in CATALOGUE_IDS:
        return False
    said = options.get("list_prices")
    if isinstance(said, bool):
        return said
    return any(host == own or host.endswith(f".{own}") for own in VENDOR_HOSTS[kind])


def known_capabilities(model: str) -> list[str]:
    """Of a model that is adopted from a list: nothing, unless its name says that it only embeds. Nobody says more: neither
    the lists of models nor the catalogue of prices tell embeddings from chats."""
    return ["embeddings"] if "embed" in model.lower() else []


def model_facts(kind: str, models: Iterable[str]) -> dict[str, ModelFacts]:
    """Every one of `models`, `UNKNOWN` where the catalogue does not have it. Blocks for a second or two."""
    asked = list(dict.fromkeys(models))
    if kind not in CATALOGUE_IDS or not asked:
        return dict.fromkeys(asked, UNKNOWN)
    try:
        found = look_up((kind, model) for model in asked)
    except CatalogueUnreadable:
        logger.exception("the model catalogue cannot be read: prices and context windows stay empty")
        return dict.fromkeys(asked, UNKNOWN)
    return {model: UNKNOWN if listed is None else _facts(listed) for model, listed in zip(asked, found, strict=True)}


def _facts(listed: Listed) -> ModelFacts:
    """With the prices of the lowest tier: a deployment has one price, and tiers are accounting's own business."""
    prices: dict[str, Any] = {name: price for name, price in listed["tiers"][0].items() if name != "above"}
    return ModelFacts(context_window=listed["context_window"], prices=Prices(**prices))
