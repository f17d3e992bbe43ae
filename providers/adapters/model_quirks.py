"""What single models of a provider do differently, told from their names. Pure.

Sources: OpenAI's reasoning guide and the errors its API answers with (`unsupported_parameter`, `unsupported_value`, "Function
tools with reasoning_effort are not supported for gpt-5.6 in /v1/chat/completions").
"""

import functools
import re
from dataclasses import replace

from providers.adapters.base import Quirks, ThinkingTools
from providers.specs import DeploymentSpec

OPENAIS_HOST = ".openai.com"
OWN_HOSTS = (OPENAIS_HOST, ".azure.com")
"""Where a role is named `developer`, and may speak in the midst of a conversation."""

_OPENAI_REASONING = re.compile(r"(?:^|/)(?:o[1-9](?:-|$)|gpt-(?:[5-9]|\d{2,})(?:[.\-]|$)|codex-)")
_EFFORT_EXCLUDES_TOOLS = re.compile(r"(?:^|[/:])gpt-5\.[45](?!\d)")
_SEARCHING = re.compile(r"(?:^|/)gpt-[\w.-]+-search-(?:preview|api)(?:-|$)")
_THINKING_EXCLUDES_TOOLS = re.compile(r"(?:^|[/:])gpt-(?:5\.(?:[6-9]|\d{2,})|[6-9]|\d{2,})(?:[.\-]|$)")


@functools.lru_cache(maxsize=4096)
def is_openai_reasoning_model(model: str) -> bool:
    """o1, o3-mini, gpt-5 and later, with or without a vendor prefix (`openai/gpt-5-mini`); not `gpt-5-chat-latest`."""
    return bool(_OPENAI_REASONING.search(model.lower())) and "-chat" not in model


def takes_effort(deployment: DeploymentSpec) -> bool:
    """Whether its model may be told how much to think by a client that tells every model."""
    return deployment.reasoning or is_openai_reasoning_model(deployment.upstream_model)


def always_searches(model: str) -> bool:
    """gpt-4o-search-preview, gpt-5-search-api: a chat of theirs searches before it answers, and its usage does not say so."""
    return bool(_SEARCHING.search(model.lower()))


def openai_quirks(base: Quirks, model: str) -> Quirks:
    """Reasoning models refuse `max_tokens` and want the same number as `max_completion_tokens`."""
    if base.max_tokens_field is None and is_openai_reasoning_model(model):
        return _with_new_token_limit(base)
    return base


def thinking_tools(model: str) -> ThinkingTools:
    name = model.lower()
    if "-chat" in name:
        return "chat"
    if _THINKING_EXCLUDES_TOOLS.search(name):
        return "responses"
    return "responses for an effort" if _EFFORT_EXCLUDES_TOOLS.search(name) else "chat"


@functools.lru_cache(maxsize=64)
def _with_new_token_limit(base: Quirks) -> Quirks:
    return replace(base, max_tokens_field="max_completion_tokens")
