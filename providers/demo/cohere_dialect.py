"""Cohere's v2 API as the demo speaks it: chat, embed and the model list; errors are flat, token counts are floats."""

from collections.abc import Iterator
from typing import Any

from providers.demo import cohere_checks, tokens, vectors
from providers.demo.answering import (
    CHAT_MODELS,
    EMBEDDING_MODEL,
    THINKING,
    OfferedTool,
    Question,
    Reply,
    context_window,
    reply_to,
)
from providers.demo.wire import Answer, Call, Dialect, JsonAnswer, RefusalError, StreamAnswer, read_json, sse
from providers.types import JsonObject

PREAMBLE_TOKENS = 64
"""Of Cohere's own instructions to the model: read, cached, and charged to nobody."""
FINISH = {"stop": "COMPLETE", "stop_sequence": "STOP_SEQUENCE", "length": "MAX_TOKENS", "tool_calls": "TOOL_CALL"}
TOOL_CHOICES = {"REQUIRED": "required", "NONE": "none"}


def authorize(call: Call) -> None:
    if not call.bearer:
        raise RefusalError(401, "no api key supplied")
    if call.settings.require_key is not None and call.bearer != call.settings.require_key:
        raise RefusalError(401, "invalid api token")


def error_body(refusal: RefusalError, call: Call) -> JsonObject:
    return {"id": _id(call), "message": refusal.message}


def _id(call: Call) -> str:
    digits = f"{call.id:0<32}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _not_json() -> RefusalError:
    return cohere_checks.invalid("invalid request: the body is not a JSON object")


def chat(call: Call) -> Answer:
    body = read_json(call, _not_json())
    cohere_checks.check_chat(body)
    thought = _thought(body)
    question = _question(body, spent=tokens.count_tokens(thought))
    window = context_window(question.model)
    if question.input_tokens > window:
        text = f"total number of tokens in the prompt cannot exceed {window} - received {question.input_tokens}."
        raise cohere_checks.invalid(f"too many tokens: {text} Try using a shorter prompt.")
    reply = reply_to(question, length=call.settings.tokens)
    message = _message(call, reply, thought, question)
    if body.get("stream"):
        return StreamAnswer(events=_stream(_id(call), message, reply, _usage(reply, message)))
    usage = _usage(reply, message)
    return JsonAnswer(body={"id": _id(call), "finish_reason": FINISH[reply.ending], "message": message, "usage": usage})


def _thought(body: JsonObject) -> str:
    """What is thought aloud before the answer, if that was asked for and leaves room for an answer."""
    limit = body.get("max_tokens")
    asked = (body.get("thinking") or {}).get("type") == "enabled"
    return THINKING if asked and (limit is None or limit > tokens.count_tokens(THINKING)) else ""


def _question(body: JsonObject, *, spent: int) -> Question:
    messages: list[JsonObject] = body["messages"]
    last = messages[-1]
    limit = body.get("max_tokens")
    wanted = body.get("response_format") or {}
    schema = (wanted.get("json_schema") or wanted.get("schema") or {}) if wanted.get("type") == "json_object" else None
    return Question(
        model=body["model"],
        texts=tuple(_text(message) + _arguments(message) for message in messages),
        asked=next((_text(message) for message in reversed(messages) if message["role"] == "user"), ""),
        tool_result=_text(last) if last["role"] == "tool" else None,
        images=sum(part["type"] == "image_url" for message in messages for part in _parts(message)),
        tools=tuple(
            OfferedTool(name=tool["function"]["name"], schema=tool["function"]["parameters"])
            for tool in body.get("tools") or ()
        ),
        tool_choice=TOOL_CHOICES.get(body.get("tool_choice") or "", "auto"),
        schema=schema,
        max_tokens=None if limit is None else limit - spent,
        stop=tuple(body.get("stop_sequences") or ()),
    )


def _parts(message: JsonObject) -> list[JsonObject]:
    content = message.get("content")
    return content if isinstance(content, list) else []


def _text(message: JsonObject) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text") or part.get("document") or "") for part in _parts(message))


def _arguments(message: JsonObject) -> str:
    return "".join(call["function"]["arguments"] for call in message.get("tool_calls") or ())


def _message(call: Call, reply: Reply, thought: str, question: Question) -> JsonObject:
    content: list[JsonObject] = [{"type": "thinking", "thinking": thought}] if thought else []
    if not reply.calls:
        content.append({"type": "text", "text": reply.text})
    message: JsonObject = {"role": "assistant"}
    if content:
        message["content"] = content
    if reply.calls:
        message |= _tool_plan(reply, question)
        message["tool_calls"] = [
            {
                "id": f"{called.name}_demo{call.id}{position}",
                "type": "function",
                "function": {"name": called.name, "arguments": called.arguments},
            }
            for position, called in enumerate(reply.calls)
        ]
    return message


def _tool_plan(reply: Reply, question: Question) -> JsonObject:
    plan = f"DEMO plan: I will call {', '.join(called.name for called in reply.calls)}."
    limit = question.max_tokens
    fits = limit is None or reply.output_tokens + tokens.count_tokens(plan) <= limit
    return {"tool_plan": plan} if fits else {}


def _usage(reply: Reply, message: JsonObject) -> JsonObject:
    aside = [message.get("tool_plan", ""), *(part.get("thinking", "") for part in message.get("content", ()))]
    written = reply.output_tokens + sum(tokens.count_tokens(text) for text in aside)
    billed = {"input_tokens": float(reply.input_tokens), "output_tokens": float(written)}
    return {
        "billed_units": billed,
        "tokens": {**billed, "input_tokens": billed["input_tokens"] + PREAMBLE_TOKENS},
        "cached_tokens": float(PREAMBLE_TOKENS),
    }


def _stream(answer_id: str, message: JsonObject, reply: Reply, usage: JsonObject) -> Iterator[bytes]:
    opening = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    yield _event("message-start", opening, id=answer_id)
    for index, part in enumerate(message.get("content", ())):
        kind = part["type"]
        yield _event("content-start", {"content": {"type": kind, kind: ""}}, index=index)
        for piece in tokens.pieces(part[kind]):
            yield _event("content-delta", {"content": {kind: piece}}, index=index)
        yield sse({"type": "content-end", "index": index}, event="content-end")
    for piece in tokens.pieces(message.get("tool_plan", "")):
        yield _event("tool-plan-delta", {"tool_plan": piece})
    for index, called in enumerate(message.get("tool_calls", ())):
        opened = {**called, "function": {**called["function"], "arguments": ""}}
        yield _event("tool-call-start", {"tool_calls": opened}, index=index)
        for piece in tokens.pieces(called["function"]["arguments"]):
            yield _event("tool-call-delta", {"tool_calls": {"function": {"arguments": piece}}}, index=index)
        yield sse({"type": "tool-call-end", "index": index}, event="tool-call-end")
    delta = {"finish_reason": FINISH[reply.ending], "usage": usage}
    yield sse({"type": "message-end", "delta": delta}, event="message-end")


def _event(kind: str, message: JsonObject, **more: Any) -> bytes:
    return sse({"type": kind, **more, "delta": {"message": message}}, event=kind)


def embed(call: Call) -> Answer:
    body = read_json(call, _not_json())
    texts = cohere_checks.check_embed(body)
    found = [vectors.embed(text, body.get("output_dimension") or vectors.DIMENSIONS) for text in texts]
    kinds = body.get("embedding_types") or ["float"]
    read = float(sum(max(1, tokens.count_tokens(text)) for text in texts))
    return JsonAnswer(
        body={
            "id": _id(call),
            "embeddings": {kind: [vectors.ENCODERS[kind](vector) for vector in found] for kind in kinds},
            "texts": body.get("texts") or [],
            "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": read}},
            "response_type": "embeddings_by_type",
        }
    )


def models(call: Call) -> Answer:
    found = [_model(name, "chat") for name in CHAT_MODELS] + [_model(EMBEDDING_MODEL, "embed")]
    wanted = call.query.get("endpoint")
    return JsonAnswer(body={"models": [entry for entry in found if wanted in (None, *entry["endpoints"])]})


def model(call: Call) -> Answer:
    name = call.path.partition("/")[2]
    if name not in (*CHAT_MODELS, EMBEDDING_MODEL):
        raise RefusalError(404, f"model '{name}' not found, make sure the correct model ID was used")
    return JsonAnswer(body=_model(name, "embed" if name == EMBEDDING_MODEL else "chat"))


def _model(name: str, endpoint: str) -> JsonObject:
    return {
        "name": name,
        "endpoints": [endpoint],
        "finetuned": False,
        "is_deprecated": False,
        "context_length": float(context_window(name)),
        "default_endpoints": [],
    }


DIALECT = Dialect(
    name="cohere",
    prefixes=("v1/", "v2/"),
    routes={"POST chat": chat, "POST embed": embed, "GET models": models, "GET models/*": model},
    authorize=authorize,
    error_body=error_body,
    request_id_header="x-debug-trace-id",
)
