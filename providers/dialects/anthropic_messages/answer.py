"""Anthropic's complete answer → `ChatAnswer`. Pure.

Blocks that OpenAI has no place for (searches the provider ran itself, compaction) stay under `provider_content` of the
answer's `extra`, and why it ended under `provider_stop`, so that nothing of an answer is lost.
"""

from collections.abc import Mapping
from typing import Any

from providers.dialects.anthropic_messages.arguments import arguments_from_object
from providers.dialects.anthropic_messages.errors import error_of_object
from providers.dialects.anthropic_messages.messages import REASONING_FORMAT
from providers.dialects.counts import count
from providers.errors import BadAnswer
from providers.lenient import objects
from providers.types import (
    OWN_BLOCKS,
    ChatAnswer,
    Choice,
    Citation,
    FinishReason,
    JsonObject,
    ReasoningBlock,
    ToolCall,
    Usage,
)

UNTYPED_CONTENT = OWN_BLOCKS
BLOCKS = "provider_blocks"
"""All as they came, for a client that asked in this dialect, where a chat would join them or tell them in another order."""
STOP = "provider_stop"
"""Where a chat carries why an answer ended, if its own words say less."""
STOPS = ("stop_sequence", "pause_turn", "model_context_window_exceeded", "compaction")
_PLACES = {"thinking": 0, "redacted_thinking": 0, "text": 1, "tool_use": 2}
_FINISH_REASONS: Mapping[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "pause_turn": "length",
    "compaction": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


def finish_reason(stop_reason: Any, *, has_calls: bool) -> FinishReason:
    """A null or unknown reason at a regular end means what the content says. `tool_use` without a call left (the only
    one was the answer as JSON) is a plain stop."""
    reason = _FINISH_REASONS.get(stop_reason if isinstance(stop_reason, str) else "")
    if reason is None:
        return "tool_calls" if has_calls else "stop"
    return "stop" if reason == "tool_calls" and not has_calls else reason


def own_stop(source: JsonObject) -> JsonObject:
    """The field of a chat for it; `source` is an answer or the delta of a `message_delta`."""
    reason, sequence = source.get("stop_reason"), source.get("stop_sequence")
    if reason not in STOPS:
        return {}
    return {STOP: {"stop_reason": reason, "stop_sequence": sequence if isinstance(sequence, str) else None}}


def usage_of(counts: Mapping[str, Any]) -> Usage:
    """Anthropic counts cached tokens beside the input tokens, we count them inside."""
    cached = count(counts.get("cache_read_input_tokens"))
    written = count(counts.get("cache_creation_input_tokens"))
    details = counts.get("output_tokens_details")
    kept = counts.get("cache_creation")
    used = counts.get("server_tool_use")
    return Usage(
        input_tokens=count(counts.get("input_tokens")) + cached + written,
        output_tokens=count(counts.get("output_tokens")),
        cached_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=count(details.get("thinking_tokens")) if isinstance(details, dict) else 0,
        cache_write_1h_tokens=count(kept.get("ephemeral_1h_input_tokens")) if isinstance(kept, dict) else 0,
        searches=count(used.get("web_search_requests")) if isinstance(used, dict) else 0,
    )


def citation_of(citation: Any, start: int, end: int) -> Citation | None:
    """None for citations of documents, which have no address. The positions are those of the cited text block."""
    if not isinstance(citation, dict) or not isinstance(citation.get("url"), str):
        return None
    return Citation(url=citation["url"], title=str(citation.get("title") or ""), start_index=start, end_index=end)


class _Content:
    """What the blocks of one answer add up to."""

    def __init__(self, json_tool: str | None) -> None:
        self.json_tool = json_tool
        self.text: str | None = None
        self.reasoning: list[ReasoningBlock] = []
        self.calls: list[ToolCall] = []
        self.citations: list[Citation] = []
        self.untyped: list[Any] = []

    def add(self, block: Any) -> None:
        match block:
            case {"type": "text"}:
                self._add_text(block)
            case {"type": "thinking" | "redacted_thinking"}:
                self.reasoning.append(reasoning_from_block(block))
            case {"type": "tool_use", "name": name} if name == self.json_tool and name is not None:
                self.text = (self.text or "") + arguments_from_object(block.get("input"))
            case {"type": "tool_use"}:
                self.calls.append(call_from_block(block))
            case _:
                self.untyped.append(block)

    def _add_text(self, block: JsonObject) -> None:
        start = len(self.text or "")
        self.text = (self.text or "") + str(block.get("text") or "")
        for raw in block.get("citations") or ():
            if (citation := citation_of(raw, start, len(self.text))) is not None:
                self.citations.append(citation)
            else:
                self.untyped.append({"type": "citation", "citation": raw})


def call_from_block(block: JsonObject) -> ToolCall:
    return ToolCall(
        id=str(block.get("id", "")),
        name=str(block.get("name", "")),
        arguments=arguments_from_object(block.get("input")),
    )


def reasoning_from_block(block: JsonObject) -> ReasoningBlock:
    if block["type"] == "redacted_thinking":
        return ReasoningBlock(encrypted=str(block.get("data", "")), format=REASONING_FORMAT)
    signature = block.get("signature") or None
    return ReasoningBlock(text=str(block.get("thinking") or ""), signature=signature, format=REASONING_FORMAT)


def decode_answer(
    body: JsonObject, *, json_tool: str | None = None, provider: str = "anthropic", in_place: bool = False
) -> ChatAnswer:
    """`json_tool` is the tool whose input is the answer itself; `in_place`: what would lose its place is given under
    `provider_blocks`, too. Raises `BadAnswer`, or the error that the body is."""
    if body.get("type") == "error" or ("error" in body and "content" not in body):
        raise error_of_object(body, provider=provider)
    blocks = body.get("content")
    if not isinstance(blocks, list):
        raise BadAnswer("The provider's answer has no content.")
    content = _Content(json_tool)
    for block in blocks:
        content.add(block)
    choice = Choice(
        text=content.text,
        refusal=refusal_of(body),
        reasoning=tuple(content.reasoning),
        tool_calls=tuple(content.calls),
        finish_reason=finish_reason(body.get("stop_reason"), has_calls=bool(content.calls)),
        citations=tuple(content.citations),
    )
    counts = body.get("usage")
    extra = {UNTYPED_CONTENT: content.untyped} if content.untyped else {}
    if in_place and json_tool is None and choice.refusal is None and not _is_a_chats(blocks):
        extra[BLOCKS] = objects(blocks)
    return ChatAnswer(
        id=str(body.get("id") or ""),
        model=str(body.get("model") or ""),
        choices=(choice,),
        usage=usage_of(counts) if isinstance(counts, dict) else None,
        extra=extra | own_stop(body),
    )


def _is_a_chats(blocks: list[Any]) -> bool:
    """Whether a chat tells them all in their order: what was thought, a text without citations, calls."""
    places = [_PLACES.get(str(block.get("type")), -1) if isinstance(block, dict) else -1 for block in blocks]
    is_cited = any(isinstance(block, dict) and block.get("citations") for block in blocks)
    return -1 not in places and places == sorted(places) and places.count(1) <= 1 and not is_cited


def refusal_of(source: JsonObject) -> str | None:
    """The explanation of a refusal; `source` is an answer or the delta of a `message_delta`."""
    details = source.get("stop_details")
    explanation = details.get("explanation") if isinstance(details, dict) else None
    return explanation if isinstance(explanation, str) and explanation else None
