"""POST /v1/chat/completions of the demo: JSON, or SSE with role, content, finish, `[DONE]`, usage when asked for."""

from collections.abc import Iterator
from typing import Any

from providers.demo import openai_checks, tokens
from providers.demo.answering import OfferedTool, Question, Reply, context_window, reply_to
from providers.demo.wire import Answer, Call, JsonAnswer, RefusalError, StreamAnswer, read_json, sse
from providers.types import JsonObject

FINISH = {"stop": "stop", "stop_sequence": "stop", "length": "length", "tool_calls": "tool_calls"}


def chat(call: Call) -> Answer:
    body = read_json(call, not_json())
    model = openai_checks.check_model(body)
    openai_checks.check_messages(body.get("messages"))
    openai_checks.check_parameters(body)
    openai_checks.check_tools(body)
    openai_checks.check_response_format(body)
    question = _question(model, body)
    openai_checks.check_window(question.input_tokens, context_window(model), "messages")
    reply = reply_to(question, length=call.settings.tokens)
    head = {"id": f"chatcmpl-demo{call.id}", "created": int(call.now_s), "model": model}
    if body.get("stream"):
        return StreamAnswer(events=_stream(head, reply, body, call.id))
    return JsonAnswer(body=_completion(head, reply, body, call.id))


def not_json() -> RefusalError:
    text = "We could not parse the JSON body of your request. The OpenAI API expects a JSON payload."
    return openai_checks.invalid(text)


def usage_of(reply: Reply, choices: int) -> JsonObject:
    written = reply.output_tokens * choices
    return {
        "prompt_tokens": reply.input_tokens,
        "completion_tokens": written,
        "total_tokens": reply.input_tokens + written,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def stop_sequences(body: JsonObject) -> tuple[str, ...]:
    stop = body.get("stop") or ()
    return (stop,) if isinstance(stop, str) else tuple(stop)


def _question(model: str, body: JsonObject) -> Question:
    messages: list[JsonObject] = body["messages"]
    last = messages[-1]
    asked = next((text_of(message) for message in reversed(messages) if message["role"] == "user"), text_of(last))
    return Question(
        model=model,
        texts=tuple(text_of(message) + _arguments(message) for message in messages),
        asked=asked,
        tool_result=text_of(last) if last["role"] in ("tool", "function") else None,
        images=sum(part["type"] == "image_url" for message in messages for part in _parts(message)),
        tools=tuple(_offered(tool) for tool in body.get("tools") or ()),
        tool_choice=_tool_choice(body.get("tool_choice")),
        parallel_tools=body.get("parallel_tool_calls") is not False,
        schema=_schema(body.get("response_format")),
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
        stop=stop_sequences(body),
    )


def _parts(message: JsonObject) -> list[JsonObject]:
    content = message.get("content")
    return content if isinstance(content, list) else []


def text_of(message: JsonObject) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in _parts(message))


def _arguments(message: JsonObject) -> str:
    calls = message.get("tool_calls") or ()
    return "".join(str(call[call["type"]].get("arguments", "")) for call in calls)


def _offered(tool: JsonObject) -> OfferedTool:
    definition = tool[tool["type"]]
    return OfferedTool(name=definition["name"], schema=definition.get("parameters") or {"type": "object"})


def _tool_choice(choice: Any) -> str:
    if isinstance(choice, str):
        return choice
    return (openai_checks.chosen_name(choice) or "auto") if choice else "auto"


def _schema(wanted: JsonObject | None) -> JsonObject | None:
    kind = (wanted or {}).get("type")
    if wanted is not None and kind == "json_schema":
        schema: JsonObject = wanted["json_schema"]["schema"]
        return schema
    return {} if kind == "json_object" else None


def _choices(body: JsonObject) -> int:
    return body.get("n") or 1


def _completion(head: JsonObject, reply: Reply, body: JsonObject, call_id: str) -> JsonObject:
    choices = []
    for index in range(_choices(body)):
        message: JsonObject = {"role": "assistant", "content": reply.text or None, "refusal": None, "annotations": []}
        if reply.calls:
            message["tool_calls"] = _tool_calls(reply, call_id, index)
        elif reply.text == "":
            message["content"] = ""
        choices.append(
            {
                "index": index,
                "message": message,
                "logprobs": _logprobs(reply.text) if body.get("logprobs") else None,
                "finish_reason": FINISH[reply.ending],
            }
        )
    return {
        **head,
        "object": "chat.completion",
        "choices": choices,
        "usage": usage_of(reply, len(choices)),
        "service_tier": "default",
        "system_fingerprint": None,
    }


def _tool_calls(reply: Reply, call_id: str, choice: int) -> list[JsonObject]:
    return [
        {
            "id": f"call_demo{call_id}{choice}{position}",
            "type": "function",
            "function": {"name": called.name, "arguments": called.arguments},
        }
        for position, called in enumerate(reply.calls)
    ]


def _logprobs(text: str) -> JsonObject:
    content = [
        {"token": piece, "logprob": 0.0, "bytes": list(piece.encode()), "top_logprobs": []}
        for piece in tokens.pieces(text)
    ]
    return {"content": content, "refusal": None}


def _stream(head: JsonObject, reply: Reply, body: JsonObject, call_id: str) -> Iterator[bytes]:
    with_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    base: JsonObject = {**head, "object": "chat.completion.chunk", "service_tier": "default"}
    tail: JsonObject = {"usage": None} if with_usage else {}
    for index in range(_choices(body)):
        for delta, finish in _deltas(reply, call_id, index):
            choice: JsonObject = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
            if body.get("logprobs") and delta.get("content"):
                choice["logprobs"] = _logprobs(delta["content"])
            yield sse({**base, "choices": [choice], **tail})
    if with_usage:
        yield sse({**base, "choices": [], "usage": usage_of(reply, _choices(body))})
    yield b"data: [DONE]\n\n"


def _deltas(reply: Reply, call_id: str, choice: int) -> Iterator[tuple[JsonObject, str | None]]:
    yield {"role": "assistant", "content": None if reply.calls else "", "refusal": None}, None
    for piece in tokens.pieces(reply.text):
        yield {"content": piece}, None
    for position, called in enumerate(_tool_calls(reply, call_id, choice)):
        arguments = called["function"]["arguments"]
        opening = {**called, "index": position, "function": {**called["function"], "arguments": ""}}
        yield {"tool_calls": [opening]}, None
        for piece in tokens.pieces(arguments):
            yield {"tool_calls": [{"index": position, "function": {"arguments": piece}}]}, None
    yield {}, FINISH[reply.ending]
