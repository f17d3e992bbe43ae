"""Answers of `POST /v2/chat`, and the pieces that streams share with them."""

from collections.abc import Mapping, Sequence
from typing import Any

from providers.dialects.cohere_chat.errors import read_error_object, read_failure
from providers.dialects.counts import count
from providers.errors import BadAnswer
from providers.types import (
    ChatAnswer,
    Choice,
    Citation,
    FinishReason,
    JsonObject,
    ReasoningBlock,
    ToolCall,
    Usage,
)

# The last three are of the v1 format; older deployments behind a v2 path still say them.
_FINISH_REASONS: Mapping[str, FinishReason] = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR_TOXIC": "content_filter",
    "ERROR_LIMIT": "length",
    "USER_CANCEL": "stop",
}


def decode_answer(body: JsonObject, *, model: str = "") -> ChatAnswer:
    """Cohere's answer names no model and no time of creation: `model` is what was asked for.

    Raises the error of an error object and of finish reasons ERROR and TIMEOUT, and `BadAnswer` for what is no answer.
    """
    message = body.get("message")
    failure = read_failure(body.get("finish_reason"), body.get("error"))
    if failure is not None:
        raise failure
    if not isinstance(message, dict):
        raise read_error_object(body) or BadAnswer("Cohere's answer holds no message.")
    content = message.get("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else objects(content, "content")
    calls = tuple(_decode_call(call, i) for i, call in enumerate(objects(message.get("tool_calls"), "tool_calls")))
    raw_citations = objects(message.get("citations"), "citations")
    choice = Choice(
        text=_joined(parts, "text") + str(message.get("tool_plan") or "") or None,
        reasoning=tuple(ReasoningBlock(text=text) for text in [_joined(parts, "thinking")] if text),
        tool_calls=calls,
        finish_reason=read_finish_reason(body.get("finish_reason"), has_tool_calls=bool(calls)),
        citations=tuple(c for raw in raw_citations if (c := read_citation(raw, _text_starts(parts)))),
        logprobs=_decode_logprobs(objects(body.get("logprobs"), "logprobs")),
    )
    return ChatAnswer(
        id=str(body.get("id") or ""),
        model=model,
        choices=(choice,),
        usage=read_usage(body.get("usage")),
        extra={"citations": raw_citations} if raw_citations else {},
    )


def objects(value: Any, what: str) -> list[JsonObject]:
    """A list of objects, absent meaning empty. Raises `BadAnswer` for anything else."""
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise BadAnswer(f"Cohere's {what} is not a list of objects.")
    return value


def _joined(parts: Sequence[JsonObject], kind: str) -> str:
    return "".join(str(part.get(kind) or "") for part in parts if part.get("type") == kind)


def _text_starts(parts: Sequence[JsonObject]) -> dict[int, int]:
    """Where each text part begins in the joined text, by its index: Cohere's positions are relative to their part."""
    starts, position = {}, 0
    for index, part in enumerate(parts):
        if part.get("type") == "text":
            starts[index] = position
            position += len(str(part.get("text") or ""))
    return starts


def _decode_call(call: JsonObject, position: int) -> ToolCall:
    function = call.get("function")
    if not isinstance(function, dict) or not function.get("name"):
        raise BadAnswer("A tool call in Cohere's answer has no name.")
    # An empty string and an absent one both mean a call without arguments.
    return ToolCall(
        id=str(call.get("id") or f"call_{position}"),
        name=str(function["name"]),
        arguments=str(function.get("arguments") or "{}"),
    )


def read_finish_reason(reason: Any, *, has_tool_calls: bool) -> FinishReason:
    """A reason this version does not know is a plain end, or the call of tools when there are any."""
    known = _FINISH_REASONS.get(str(reason), "stop")
    return "tool_calls" if known == "stop" and has_tool_calls else known


def read_usage(usage: Any) -> Usage | None:
    """`tokens` is the real use of the context, Cohere's hidden preamble included, and is what is reported; `billed_units`
    is what is charged, and is reported where there are no `tokens`. Figures are JSON floats."""
    if not isinstance(usage, dict):
        return None
    billed = usage.get("billed_units")
    figures = usage.get("tokens") or billed
    if not isinstance(figures, dict):
        return None
    read = _figures(figures)
    charged = _figures({**figures, **billed}) if isinstance(billed, dict) else read
    return Usage(*read, cached_tokens=count(usage.get("cached_tokens")), billed=charged if charged != read else None)


def _figures(units: JsonObject) -> tuple[int, int]:
    return count(units.get("input_tokens")), count(units.get("output_tokens"))


def read_citation(raw: JsonObject, text_starts: Mapping[int, int]) -> Citation | None:
    """OpenAI's citation needs an address: sources without one stay in the raw `citations` only."""
    start_of_part = text_starts.get(count(raw.get("content_index")))
    if start_of_part is None and len(text_starts) <= 1:
        start_of_part = 0
    if start_of_part is None or raw.get("type") not in (None, "TEXT_CONTENT"):
        return None
    for source in objects(raw.get("sources"), "citation sources"):
        document = source.get("document") or source.get("tool_output")
        if isinstance(document, dict) and isinstance(document.get("url"), str) and document["url"]:
            return Citation(
                url=document["url"],
                title=str(document.get("title") or ""),
                start_index=start_of_part + count(raw.get("start")),
                end_index=start_of_part + count(raw.get("end")),
            )
    return None


def _decode_logprobs(items: Sequence[JsonObject]) -> JsonObject | None:
    """Cohere's entries are text chunks of one or more tokens; a chunk's probability is the product of its tokens'."""
    if not items:
        return None
    content = [
        {
            "token": str(item.get("text") or ""),
            "logprob": sum(item.get("logprobs") or ()),
            "bytes": list(str(item.get("text") or "").encode()),
            "top_logprobs": [],
        }
        for item in items
    ]
    return {"content": content, "refusal": None}
