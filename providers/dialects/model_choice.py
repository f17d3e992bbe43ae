"""What in a request would have another model answer than its deployment's. Pure.

A key is allowed some models, and a deployment has prices: neither holds if a field of the vendor names a model. So these
are refused; an operator makes a deployment of the other model, or sets the option where there is one.
"""

from typing import Any

from providers.errors import Unsupported
from providers.types import JsonObject

FIELDS = frozenset({"models", "fallbacks"})
"""At OpenRouter, Blackbox and Vercel's gateway; at LiteLLM's, any of which may be behind an OpenAI-compatible address."""
WHY = "the model's deployment decides which model answers"

_OTHER_MODELS = ("openrouter:advisor", "openrouter:fusion", "openrouter:subagent", "fusion")
"""Tools and plugins of OpenRouter's that have further models at work, named or not."""


def leave_out(body: JsonObject, names: frozenset[str], provider: str) -> None:
    """Takes the fields out where they are empty; raises `Unsupported` where they choose."""
    for name in sorted(names & body.keys()):
        if body.pop(name):
            raise Unsupported(field=name, provider=provider, why=WHY)


def refuse_in(items: Any, field: str, provider: str) -> None:
    """Raises `Unsupported` for a plugin, or a tool that the provider runs, with which another model is put to work."""
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict) and item.get("type") not in ("function", "custom") and chooses_model(item):
            raise Unsupported(field=field, provider=provider, why=WHY)


def chooses_model(item: JsonObject) -> bool:
    """By a field such as `model`, `analysis_models` or `allowed_models`, or by what it is."""
    return (
        item.get("id") in _OTHER_MODELS
        or item.get("type") in _OTHER_MODELS
        or any(
            name in ("model", "models") or name.endswith(("_model", "_models"))
            for fields in (item, item.get("parameters"))
            if isinstance(fields, dict)
            for name in fields
        )
    )
