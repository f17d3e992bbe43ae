"""A complete chat answer, both ways. Pure."""

from typing import Any

from providers.dialects.finish_reasons import openai_reason
from providers.dialects.openai_chat.messages import decode_call, encode_call
from providers.dialects.openai_chat.reasoning import decode_reasoning, encode_reasoning
from providers.dialects.openai_chat.usage import read_usage, write_usage
from providers.dialects.upstream_errors import error_of_object
from providers.errors import BadAnswer, ClientFault
from providers.types import ChatAnswer, Choice, Citation, FinishReason, JsonObject

_TYPED = frozenset({"id", "object", "created", "model", "choices", "usage"})
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


def decode_answer(body: JsonObject) -> ChatAnswer:
    """Raises the error inside a 200, or `BadAnswer` when there are no choices."""
    if body.get("error"):
        raise error_of_object(body)
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices:
        raise BadAnswer("The provider's answer has no choices.", upstream_status=200)
    created = body.get("created")
    try:
        return ChatAnswer(
            id=_text(body.get("id")),
            model=_text(body.get("model")),
            created=created if type(created) is int and created > 0 else None,
            choices=tuple(_decode_choice(choice, index) for index, choice in enumerate(choices)),
            usage=read_usage(body.get("usage")),
            extra={key: value for key, value in body.items() if key not in _TYPED and value is not None},
        )
    except ClientFault as error:
        raise BadAnswer(f"The provider's answer has a wrong shape: {error.message}", upstream_status=200) from None


def _decode_choice(choice: Any, position: int) -> Choice:
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        raise BadAnswer("The provider's answer has a choice without a message.", upstream_status=200)
    calls = message.get("tool_calls")
    index = choice.get("index")
    tool_calls = tuple(
        decode_call(call, f"tool_calls[{at}].") for at, call in enumerate(calls if isinstance(calls, list) else ())
    )
    logprobs = choice.get("logprobs")
    return Choice(
        index=index if type(index) is int else position,
        text=content_text(message.get("content")),
        refusal=message.get("refusal") or None,
        reasoning=decode_reasoning(message),
        tool_calls=tool_calls,
        finish_reason=read_finish_reason(choice.get("finish_reason"), has_tools=bool(tool_calls)),
        citations=tuple(decode_citations(message.get("annotations"))),
        logprobs=logprobs if isinstance(logprobs, dict) else None,
    )


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
