"""The same answer as each dialect's upstream gives it: complete, and streamed.

It says "Hello 😀", calls `get_weather` twice and reports 10 input and 7 output tokens.
"""

import json
from dataclasses import dataclass
from typing import Any

TEXT = ("Hel", "lo 😀")
CALLS = (("call_a", "get_weather", '{"city":"Rome"}'), ("call_b", "get_weather", '{"city":"Oslo"}'))
INPUT, OUTPUT = 10, 7


@dataclass(frozen=True)
class Exchange:
    answer: bytes
    events: tuple[bytes, ...]

    @property
    def stream(self) -> bytes:
        return b"".join(self.events)


def data(value: Any) -> bytes:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"data: {text}\n\n".encode()


def named(value: dict[str, Any]) -> bytes:
    return f"event: {value['type']}\n".encode() + data(value)


def openai_chat() -> Exchange:
    names = {"id": "c-1", "created": 1790000000, "model": "up"}
    usage = {"prompt_tokens": INPUT, "completion_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT}
    calls = [{"id": i, "type": "function", "function": {"name": n, "arguments": a}} for i, n, a in CALLS]
    message = {"role": "assistant", "content": "".join(TEXT), "tool_calls": calls}
    answer = {
        **names,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
        "usage": usage,
    }

    def chunk(delta: Any, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return data({**names, "object": "chat.completion.chunk", "choices": [choice]})

    events = [chunk({"role": "assistant", "content": ""}), *(chunk({"content": text}) for text in TEXT)]
    for index, call in enumerate(calls):
        events.append(chunk({"tool_calls": [{"index": index, **call}]}))
    events += [chunk({}, "tool_calls"), data({**names, "choices": [], "usage": usage}), data("[DONE]")]
    return Exchange(json.dumps(answer).encode(), tuple(events))


def anthropic_messages() -> Exchange:
    usage = {"input_tokens": INPUT, "output_tokens": OUTPUT}
    blocks: list[dict[str, Any]] = [{"type": "text", "text": "".join(TEXT)}]
    blocks += [{"type": "tool_use", "id": i, "name": n, "input": json.loads(a)} for i, n, a in CALLS]
    head = {"id": "c-1", "type": "message", "role": "assistant", "model": "up"}
    answer = {**head, "content": blocks, "stop_reason": "tool_use", "usage": usage}
    start = {**head, "content": [], "stop_reason": None, "usage": {"input_tokens": INPUT, "output_tokens": 1}}
    events = [named({"type": "message_start", "message": start}), named({"type": "ping"})]
    deltas: list[list[dict[str, Any]]] = [[{"type": "text_delta", "text": text} for text in TEXT]]
    deltas += [[{"type": "input_json_delta", "partial_json": part} for part in (a[:5], a[5:])] for _, _, a in CALLS]
    opened = [{"type": "text", "text": ""}, *({**block, "input": {}} for block in blocks[1:])]
    for index, block in enumerate(opened):
        events.append(named({"type": "content_block_start", "index": index, "content_block": block}))
        for delta in deltas[index]:
            events.append(named({"type": "content_block_delta", "index": index, "delta": delta}))
        events.append(named({"type": "content_block_stop", "index": index}))
    stop = {"stop_reason": "tool_use", "stop_sequence": None}
    events.append(named({"type": "message_delta", "delta": stop, "usage": {"output_tokens": OUTPUT}}))
    events.append(named({"type": "message_stop"}))
    return Exchange(json.dumps(answer).encode(), tuple(events))


def cohere_chat() -> Exchange:
    usage = {
        "billed_units": {"input_tokens": 1.0, "output_tokens": 7.0},
        "tokens": {"input_tokens": 10.0, "output_tokens": 7.0},
    }
    calls = [{"id": i, "type": "function", "function": {"name": n, "arguments": a}} for i, n, a in CALLS]
    content = [{"type": "text", "text": "".join(TEXT)}]
    message = {"role": "assistant", "content": content, "tool_calls": calls}
    answer = {"id": "c-1", "finish_reason": "TOOL_CALL", "message": message, "usage": usage}

    def event(kind: str, index: int | None = None, **message: Any) -> bytes:
        place = {} if index is None else {"index": index}
        return named({"type": kind, **place, **({"delta": {"message": message}} if message else {})})

    events = [named({"type": "message-start", "id": "c-1", "delta": {"message": {"role": "assistant"}}})]
    events.append(event("content-start", 0, content={"type": "text", "text": ""}))
    events += [event("content-delta", 0, content={"text": text}) for text in TEXT]
    events.append(event("content-end", 0))
    for index, (identifier, name, arguments) in enumerate(CALLS):
        function = {"name": name, "arguments": ""}
        events.append(
            event("tool-call-start", index, tool_calls={"id": identifier, "type": "function", "function": function})
        )
        for part in (arguments[:5], arguments[5:]):
            events.append(event("tool-call-delta", index, tool_calls={"function": {"arguments": part}}))
        events.append(event("tool-call-end", index))
    events.append(named({"type": "message-end", "delta": {"finish_reason": "TOOL_CALL", "usage": usage}}))
    return Exchange(json.dumps(answer).encode(), tuple(events))


def openai_responses() -> Exchange:
    usage = {"input_tokens": INPUT, "output_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT}
    part = {"type": "output_text", "text": "".join(TEXT), "annotations": []}
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}
    calls = [
        {"type": "function_call", "id": f"fc_{i}", "call_id": i, "name": n, "arguments": a, "status": "completed"}
        for i, n, a in CALLS
    ]
    head = {"id": "c-1", "object": "response", "created_at": 1790000000, "model": "up"}
    answer = {**head, "status": "completed", "output": [message, *calls], "usage": usage, "error": None}
    number = iter(range(100))

    def event(kind: str, **fields: Any) -> bytes:
        return named({"type": f"response.{kind}", "sequence_number": next(number), **fields})

    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    events = [event("created", response={**head, "status": "in_progress", "output": []})]
    events.append(event("output_item.added", output_index=0, item={**message, "status": "in_progress", "content": []}))
    events.append(event("content_part.added", **place, part={**part, "text": ""}))
    events += [event("output_text.delta", **place, delta=text) for text in TEXT]
    events.append(event("output_text.done", **place, text="".join(TEXT)))
    events.append(event("content_part.done", **place, part=part))
    events.append(event("output_item.done", output_index=0, item=message))
    for index, call in enumerate(calls, 1):
        spot = {"item_id": call["id"], "output_index": index}
        events.append(
            event("output_item.added", output_index=index, item={**call, "arguments": "", "status": "in_progress"})
        )
        events.append(event("function_call_arguments.delta", **spot, delta=call["arguments"]))
        events.append(event("function_call_arguments.done", **spot, arguments=call["arguments"]))
        events.append(event("output_item.done", output_index=index, item=call))
    events.append(event("completed", response=answer))
    return Exchange(json.dumps(answer).encode(), tuple(events))


EXCHANGES = {
    "openai": openai_chat(),
    "grok": openai_chat(),
    "openrouter": openai_chat(),
    "blackbox": openai_chat(),
    "azure": openai_chat(),
    "anthropic": anthropic_messages(),
    "cohere": cohere_chat(),
    "perplexity": openai_responses(),
    "openai_responses": openai_responses(),
}
"""By provider kind: a new adapter adds the dialect it speaks here."""
