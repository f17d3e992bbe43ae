"""Which of Anthropic's trials a message may ask for by `anthropic-beta`. Pure."""

import re
from typing import Any

from providers.types import JsonObject

PASSED = frozenset(
    {
        "advanced-tool-use", "code-execution", "computer-use", "context-1m", "context-management", "effort",
        "extended-cache-ttl", "fine-grained-tool-streaming", "interleaved-thinking", "mcp-client",
        "model-context-window-exceeded", "output-128k", "pdfs", "prompt-caching", "structured-outputs", "task-budgets",
        "thinking-binding-controls", "thinking-display-updates", "token-efficient-tools", "tool-search-tool", "web-fetch",
        "web-search",
    }
)  # fmt: skip
"""What they ask for is in fields that go along, and what they bring into an answer is what a chat carries. Others change an
answer in ways that are lost here, keep something between calls, or are about accounts and their prices: those are the
operator's to choose, by the provider's option `beta`."""
EDITS = "context-management"
_DATED = re.compile(r"([a-z0-9-]+)-\d{4}-\d{2}-\d{2}")


def passed_betas(header: str) -> list[str]:
    """In one order, whatever the client's is: what is asked for is the same."""
    offered = {name.strip() for name in header.split(",")}
    return sorted(name for name in offered if (found := _DATED.fullmatch(name)) and found[1] in PASSED)


def context_edits(management: Any, betas: list[str]) -> JsonObject | None:
    """`context_management` as far as one of the betas covers it: what is cleared before the model reads. A conversation is
    not summed up there."""
    edits = management.get("edits") if isinstance(management, dict) else None
    if not isinstance(edits, list) or not any(name.startswith(EDITS) for name in betas):
        return None
    kept = [edit for edit in edits if isinstance(edit, dict) and str(edit.get("type")).startswith("clear_")]
    return {**management, "edits": kept} if kept else None
