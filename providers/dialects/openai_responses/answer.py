"""OpenAI's Responses API, answering: the `response` object to a `ChatAnswer`. Pure.

Everything the answer's output items say ends up in one choice: texts one after the other, refusals, reasoning, calls,
citations. Items of a type that is not known (hosted tools' traces) carry nothing for a chat client and are passed over.
"""

from dataclasses import dataclass, field
from typing import Any

from providers.dialects.openai_responses.citations import (
    decode_annotations,
    marked_citations,
    numbered,
    search_fields,
)
from providers.dialects.openai_responses.errors import classify_error, error_in
from providers.dialects.openai_responses.items import decode_call, decode_reasoning
from providers.dialects.openai_responses.usage import decode_usage, is_search
from providers.errors import BadAnswer
from providers.lenient import a_list, objects
from providers.types import ChatAnswer, Choice, Citation, FinishReason, JsonObject, ReasoningBlock, ToolCall

CALLS = frozenset({"function_call", "custom_tool_call"})
FINISHED = frozenset({"completed", "incomplete", "requires_action"})


@dataclass
class Output:
    """What the output items say. `has_text` is true for an empty text, too: it is an answer of a kind."""

    texts: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    citations: list[Citation] = field(default_factory=list)
    logprobs: list[Any] = field(default_factory=list)
    reasoning: list[ReasoningBlock] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    results: list[JsonObject] = field(default_factory=list)
    searches: int = 0

    @property
    def text(self) -> str:
        return "".join(self.texts)


def read_output(items: object) -> Output:
    output = Output()
    for item in objects(items):
        _read_item(output, item)
    if not output.citations:
        output.citations.extend(marked_citations(output.text, numbered(output.results)))
    return output


def _read_item(output: Output, item: JsonObject) -> None:
    kind = item.get("type")
    if kind == "message":
        for part in a_list(item.get("content")):
            _read_part(output, part)
    elif kind in CALLS:
        output.calls.append(decode_call(item))
    elif kind == "reasoning":
        block = decode_reasoning(item)
        if block.text or block.encrypted:
            output.reasoning.append(block)
    elif kind == "search_results":
        output.results.extend(objects(item.get("results")))
    elif is_search(item):
        output.searches += 1


def _read_part(output: Output, part: Any) -> None:
    match part:
        case {"type": "output_text" | "text", "text": str(text)}:
            output.citations.extend(decode_annotations(part.get("annotations"), offset=len(output.text)))
            output.texts.append(text)
            if isinstance(part.get("logprobs"), list):
                output.logprobs.extend(part["logprobs"])
        case {"type": "refusal", "refusal": str(text)}:
            output.refusals.append(text)


def finish_reason(body: JsonObject, *, has_calls: bool) -> FinishReason:
    """An answer that was cut stays `length`, even with calls in it: their arguments may be cut, too."""
    if body.get("status") == "incomplete":
        details = body.get("incomplete_details")
        reason = details.get("reason") if isinstance(details, dict) else None
        return "content_filter" if reason == "content_filter" else "length"
    return "tool_calls" if has_calls else "stop"


def check(body: JsonObject) -> None:
    """Raises the error that it stands for: a failure may come with status 200."""
    status = body.get("status")
    error = error_in(body)
    if error is not None and status not in FINISHED:
        raise classify_error(error)
    if status == "failed":
        raise classify_error({})
    if not isinstance(body.get("output"), list):
        raise BadAnswer("The provider's answer has no output.")
    if status is not None and status not in FINISHED:
        raise BadAnswer(f"The provider's answer is not finished (status {status!r}).")


def decode_answer(answer: JsonObject) -> ChatAnswer:
    """Raises an `UpstreamError` for a failed answer and `BadAnswer` for what is none."""
    check(answer)
    output = read_output(answer["output"])
    choice = Choice(
        text=output.text if output.texts else None,
        refusal="".join(output.refusals) or None,
        reasoning=tuple(output.reasoning),
        tool_calls=tuple(output.calls),
        finish_reason=finish_reason(answer, has_calls=bool(output.calls)),
        citations=tuple(output.citations),
        logprobs={"content": output.logprobs, "refusal": None} if output.logprobs else None,
    )
    extra = search_fields(output.results)
    if isinstance(answer.get("service_tier"), str):
        extra["service_tier"] = answer["service_tier"]
    created = answer.get("created_at")
    return ChatAnswer(
        id=str(answer.get("id") or ""),
        model=str(answer.get("model") or ""),
        choices=(choice,),
        created=int(created) if isinstance(created, int | float) else None,
        usage=decode_usage(answer.get("usage"), output.searches),
        extra=extra,
    )
