"""A complete chat answer, and what streams share of reading one. Pure."""

from typing import Any

from providers.dialects.finish_reasons import openai_reason
from providers.dialects.openai_chat.messages import encode_call
from providers.dialects.openai_chat.reasoning import encode_reasoning
from providers.dialects.openai_chat.usage import write_usage
from providers.types import ChatAnswer, Choice, Citation, FinishReason, JsonObject

_FINISH: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


def encode_answer(answer: ChatAnswer, *, created: int, model: str) -> JsonObject:
    """`created` (Unix time) and `model` stand in for what the provider did not say."""
    encoded: JsonObject = {
        "id": answer.id or f"chatcmpl-{created}",
        "object": "chat.completion",
        "created": answer.created if answer.created is not None else created,
        "model": answer.model or model,
        "choices": [encode_choice(choice) for choice in answer.choices],
    }
    if answer.usage is not None:
        encoded["usage"] = write_usage(answer.usage)
    return {**answer.extra, **encoded}


def encode_choice(choice: Choice) -> JsonObject:
    message: JsonObject = {"role": "assistant", "content": choice.text, "refusal": choice.refusal}
    message |= encode_reasoning(choice.reasoning)
    if choice.citations:
        message["annotations"] = [encode_citation(citation) for citation in choice.citations]
    if choice.tool_calls:
        message["tool_calls"] = [encode_call(call) for call in choice.tool_calls]
    return {
        "index": choice.index,
        "message": message,
        "logprobs": choice.logprobs,
        "finish_reason": choice.finish_reason,
    }


def encode_citation(citation: Citation) -> JsonObject:
    return {
        "type": "url_citation",
        "url_citation": {
            "start_index": citation.start_index,
            "end_index": citation.end_index,
            "title": citation.title,
            "url": citation.url,
        },
    }


def generated_text(answer: ChatAnswer) -> str:
    """Everything that was generated, for counting."""
    texts: list[str] = []
    for choice in answer.choices:
        texts += [block.text for block in choice.reasoning]
        texts += [choice.text or "", choice.refusal or ""]
        texts += [call.name + call.arguments for call in choice.tool_calls]
    return "".join(texts)


# ---------------------------------------------------------------------------------------------------- reading


def read_finish_reason(reason: Any, *, has_tools: bool) -> FinishReason:
    """Null or empty at a clean end means stop, or tool calls where there are some; a failure raises `ServerFailed`."""
    if not isinstance(reason, str) or not reason or reason == "None":
        return "tool_calls" if has_tools else "stop"
    return _FINISH.get(openai_reason(reason), "stop")


def decode_citations(annotations: Any) -> list[Citation]:
    found = []
    for annotation in annotations if isinstance(annotations, list) else ():
        cited = annotation.get("url_citation") if isinstance(annotation, dict) else None
        if isinstance(cited, dict) and isinstance(cited.get("url"), str):
            found.append(
                Citation(
                    url=cited["url"],
                    title=_text(cited.get("title")),
                    start_index=_position(cited.get("start_index")),
                    end_index=_position(cited.get("end_index")),
                )
            )
    return found


def content_text(content: Any) -> str | None:
    """Some servers (Mistral's) write the text in parts, and what was thought before it in parts of another kind."""
    if isinstance(content, list):
        return "".join(_text(part.get("text")) for part in content if isinstance(part, dict)) or None
    return content if isinstance(content, str) else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _position(value: Any) -> int:
    return value if type(value) is int else 0
