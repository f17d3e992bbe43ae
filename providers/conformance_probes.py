"""What a conformance test sends, and what it makes of the answers. Pure; `providers.conformance` does the talking."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import orjson

from providers.adapters.base import Delivered
from providers.dialects.redaction import redact
from providers.errors import (
    BadAnswer,
    ClientFault,
    ConnectFailed,
    ContentFiltered,
    ContextOverflow,
    CredentialRejected,
    ModelNotFound,
    QuotaExhausted,
    RateLimited,
    ServerFailed,
    Unsupported,
    UpstreamError,
    UpstreamTimeout,
)
from providers.own_models import NoModelList
from providers.specs import DeploymentSpec
from providers.types import ClientRequest, JsonObject, Operation

Outcome: TypeAlias = Literal["passed", "failed", "unsupported", "skipped"]

NAMES = (
    "reachability", "authentication", "model_list", "chat", "stream", "usage_in_stream", "tools", "structured_output",
    "limit_error_shape", "cancel",
)  # fmt: skip
ANSWER_TOKENS = 64
LONG_ANSWER_TOKENS = 512
REASONING_TOKENS = 2048
INPUT_TOKENS = 200
"""No probe's input is longer than this by any tokenizer."""

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
SCHEMA = {
    "type": "object",
    "properties": {"color": {"type": "string"}},
    "required": ["color"],
    "additionalProperties": False,
}
ABSURD_LIMIT = 100_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """`detail` is a sentence for people: what was found, or what failed and why."""

    name: str
    outcome: Outcome
    detail: str = ""
    duration_s: float | None = None

    def as_json(self) -> JsonObject:
        return {
            "name": self.name, "outcome": self.outcome, "detail": self.detail, "duration": self.duration_s,
        }  # fmt: skip


def chat_request(deployment: DeploymentSpec, text: str, *, tokens: int, **fields: Any) -> ClientRequest:
    body: JsonObject = {
        "model": deployment.model,
        "messages": [{"role": "user", "content": text}],
        "max_tokens": tokens,
        **fields,
    }
    if body.get("stream"):
        body["stream_options"] = {"include_usage": True}
    return ClientRequest(
        operation=Operation.CHAT,
        model=deployment.model,
        body=body,
        stream=bool(body.get("stream")),
        include_usage=bool(body.get("stream")),
    )


def answer_tokens(deployment: DeploymentSpec, plain: int) -> int:
    """Reasoning models spend tokens before they say anything."""
    return max(plain, REASONING_TOKENS) if deployment.reasoning else plain


def read_chat(delivered: Delivered) -> str:
    """The sentence for a passed chat. Raises BadAnswer when nothing was said."""
    message = _message(delivered)
    text = message.get("content")
    if not text and delivered.finish_reason != "length":
        raise BadAnswer("The answer has no content.")
    return f"answered, finish_reason {delivered.finish_reason}"


def read_tools(delivered: Delivered) -> str:
    calls = _message(delivered).get("tool_calls") or []
    for call in calls:
        function = call.get("function") or {}
        if function.get("name") != "get_weather":
            raise BadAnswer(f"An unknown tool was called: {str(function.get('name'))[:60]}.")
        if not isinstance(_json(function.get("arguments")), dict):
            raise BadAnswer("The tool's arguments are not a JSON object.")
    if not calls:
        raise BadAnswer(f"No tool was called; finish_reason {delivered.finish_reason}.")
    return f"called get_weather, finish_reason {delivered.finish_reason}"


def read_structured(delivered: Delivered) -> str:
    value = _json(_message(delivered).get("content"))
    if not isinstance(value, dict) or not isinstance(value.get("color"), str):
        raise BadAnswer("The content does not follow the schema.")
    return "the content follows the schema"


def _message(delivered: Delivered) -> Mapping[str, Any]:
    body = orjson.loads(delivered.body)
    choices = body.get("choices") or [{}]
    message = choices[0].get("message")
    if not isinstance(message, dict):
        raise BadAnswer("The answer has no message.")
    return message


def _json(text: object) -> object:
    try:
        return orjson.loads(text) if isinstance(text, str) else None
    except orjson.JSONDecodeError:
        return None


def error_shape(error: UpstreamError) -> ProbeResult:
    """Whether a refusal can be understood: what it is, and in words."""
    if isinstance(error, ServerFailed | BadAnswer | UpstreamTimeout | ConnectFailed):
        return failed("limit_error_shape", error)
    kind = error.reason if error.code is None else error.code
    return ProbeResult(name="limit_error_shape", outcome="passed", detail=f"refused as {kind}: {_words(error)}")


def failed(name: str, error: UpstreamError) -> ProbeResult:
    """A refusal of what the provider cannot do is `unsupported`, everything else `failed`."""
    refused = isinstance(error, Unsupported | NoModelList) or (
        name in ("tools", "structured_output", "stream") and type(error) is ClientFault
    )
    return ProbeResult(name=name, outcome="unsupported" if refused else "failed", detail=_words(error))


_ADVICE: tuple[tuple[type[UpstreamError], str], ...] = (
    (CredentialRejected, "Check the credential: "),
    (QuotaExhausted, "The provider's account has no credit: "),
    (RateLimited, "The provider limits the rate; test again later: "),
    (ModelNotFound, "Choose another model: "),
    (ContextOverflow, "The model's context is too small: "),
    (ContentFiltered, "The provider's filter refused a harmless text: "),
)


def _words(error: UpstreamError) -> str:
    advice = next((words for kind, words in _ADVICE if isinstance(error, kind)), "")
    return advice + redact(error.message, limit=300)
