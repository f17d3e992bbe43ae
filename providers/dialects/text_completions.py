"""OpenAI's text completions, for providers that only chat: the prompt becomes one user message. Pure.

`echo`, `suffix`, `best_of`, `logprobs` and prompts of token numbers have no equivalent and are refused.
"""

import orjson

from providers.dialects.openai_chat import fields
from providers.dialects.openai_chat.usage import write_usage
from providers.dialects.sse import DONE
from providers.errors import ClientFault, Unsupported
from providers.types import (
    ChatAnswer,
    ChatCall,
    Finish,
    JsonObject,
    Message,
    RefusalDelta,
    StreamEnd,
    StreamEvent,
    StreamStart,
    TextDelta,
    TextPart,
    Usage,
    UsageReport,
)

DEFAULT_MAX_TOKENS = 16
"""What OpenAI generates at most when a text completion does not say."""

_REFUSED = ("echo", "suffix", "logprobs")
_TYPED = frozenset(
    {"model", "prompt", "max_tokens", "temperature", "top_p", "n", "best_of", "stop", "presence_penalty", "stream"}
    | {"frequency_penalty", "logit_bias", "seed", "stream_options", "user", *_REFUSED}
)


def decode_as_chat(body: JsonObject, *, provider: str) -> ChatCall:
    """Raises `Unsupported` for what a chat cannot do and `ClientFault` for what is wrong."""
    for name in _REFUSED:
        value = body.get(name)
        if value is not None and value is not False and value != "":
            raise Unsupported(field=name, provider=provider, why="it is a chat model")
    n = fields.integer(body, "n")
    best_of = fields.integer(body, "best_of")
    if best_of is not None and best_of != (n or 1):
        raise Unsupported(field="best_of", provider=provider, why="it is a chat model")
    options = fields.mapping(body, "stream_options") or {}
    max_tokens = fields.integer(body, "max_tokens")
    return ChatCall(
        model=fields.required_text(body, "model"),
        messages=(Message(role="user", parts=(TextPart(text=_prompt(body.get("prompt"), provider)),)),),
        max_output_tokens=DEFAULT_MAX_TOKENS if max_tokens is None else max_tokens,
        temperature=fields.number(body, "temperature"),
        top_p=fields.number(body, "top_p"),
        stop=fields.texts(body, "stop"),
        n=n,
        seed=fields.integer(body, "seed", most=fields.MOST_OF_SEED),
        presence_penalty=fields.number(body, "presence_penalty"),
        frequency_penalty=fields.number(body, "frequency_penalty"),
        logit_bias=fields.mapping(body, "logit_bias"),
        user=fields.text(body, "user"),
        stream=bool(fields.flag(body, "stream")),
        include_usage=bool(fields.flag(options, "include_usage", "stream_options.")),
        extra={key: value for key, value in body.items() if key not in _TYPED and value is not None},
    )


def _prompt(prompt: object, provider: str) -> str:
    prompts = [prompt] if isinstance(prompt, str) else prompt
    if not isinstance(prompts, list) or not prompts or not all(isinstance(each, str | int | list) for each in prompts):
        fields.refuse("prompt", "a string or an array of strings that is not empty")
    if not all(isinstance(each, str) for each in prompts):
        raise Unsupported(field="prompt", provider=provider, why="it takes text, not token numbers")
    if len(prompts) > 1:
        raise Unsupported(field="prompt", provider=provider, why="it takes one prompt per call")
    if not prompts[0]:
        raise ClientFault("'prompt' must not be empty.", param="prompt")
    return str(prompts[0])


def encode_answer(answer: ChatAnswer, *, created: int, model: str) -> JsonObject:
    encoded: JsonObject = {
        "id": completion_id(answer.id, created),
        "object": "text_completion",
        "created": answer.created if answer.created is not None else created,
        "model": answer.model or model,
        "choices": [
            {
                "text": choice.text or choice.refusal or "",
                "index": choice.index,
                "logprobs": None,
                "finish_reason": _reason(choice.finish_reason),
            }
            for choice in answer.choices
        ],
    }
    if answer.usage is not None:
        encoded["usage"] = write_usage(answer.usage)
    return encoded


def completion_id(upstream_id: str, created: int) -> str:
    return upstream_id or f"cmpl-{created}"


def _reason(reason: str) -> str:
    """Text completions know no tool calls, and none can have been asked for."""
    return "stop" if reason == "tool_calls" else reason


class StreamEncoder:
    """Typed events of a chat → text completion chunks. Reasoning is not shown: there is no field for it."""

    def __init__(self, *, model: str, created: int, include_usage: bool) -> None:
        self._names: JsonObject = {
            "id": completion_id("", created),
            "object": "text_completion",
            "created": created,
            "model": model,
        }
        self._include_usage = include_usage
        self._usage: Usage | None = None
        self._finished: set[int] = set()
        self._seen: set[int] = {0}

    def encode(self, event: StreamEvent) -> bytes:
        if isinstance(event, TextDelta | RefusalDelta):
            self._seen.add(event.choice)
            return self._chunk(event.text, event.choice) if event.text else b""
        if isinstance(event, StreamStart):
            named = {"id": event.id, "created": event.created, "model": event.model}
            self._names |= {key: value for key, value in named.items() if value}
        elif isinstance(event, UsageReport):
            self._usage = event.usage
        elif isinstance(event, Finish):
            return self._finish(event)
        elif isinstance(event, StreamEnd):
            return self._end()
        return b""

    def usage_frame(self, usage: Usage) -> bytes:
        return b"data: " + orjson.dumps({**self._names, "choices": [], "usage": write_usage(usage)}) + b"\n\n"

    def _finish(self, event: Finish) -> bytes:
        if event.choice in self._finished:
            return b""
        self._finished.add(event.choice)
        return self._chunk("", event.choice, _reason(event.reason))

    def _end(self) -> bytes:
        frames = [self._finish(Finish("stop", choice)) for choice in sorted(self._seen - self._finished)]
        if self._include_usage and self._usage is not None:
            frames.append(self.usage_frame(self._usage))
        return b"".join(frames) + DONE

    def _chunk(self, text: str, choice: int, reason: str | None = None) -> bytes:
        choices = [{"text": text, "index": choice, "logprobs": None, "finish_reason": reason}]
        return b"data: " + orjson.dumps({**self._names, "choices": choices}) + b"\n\n"
