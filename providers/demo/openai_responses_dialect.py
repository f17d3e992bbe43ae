"""OpenAI's Responses API as the demo speaks it: `/v1/responses`, whole and streamed, and the model list.

Reasoning, when asked for, comes before the answer: its summary if that was asked for, encrypted if that was. A web search
is answered with a made-up source and a citation of it. Nothing is stored: what refers to an earlier answer is refused.
"""

import itertools
from collections.abc import Iterator
from typing import Any

from providers.demo import openai_dialect, tokens
from providers.demo import openai_responses_checks as checks
from providers.demo import openai_responses_shapes as shapes
from providers.demo.answering import THINKING, CalledTool, OfferedTool, Question, Reply, context_window, reply_to
from providers.demo.openai_chat import not_json
from providers.demo.openai_checks import invalid
from providers.demo.openai_texts import model, models
from providers.demo.responses_events import ItemEvents, added, call_events, events_of, message_events
from providers.demo.responses_items import SOURCE, TOO_LONG, images_in, text_of
from providers.demo.wire import Answer, Call, Dialect, JsonAnswer, StreamAnswer, read_json, sse
from providers.types import JsonObject

OBFUSCATED_TO = 16
"""Deltas are filled up to a common length, unless the client does not want that."""


def respond(call: Call) -> Answer:
    body = read_json(call, not_json())
    checks.check(body)
    thought = _thought(body)
    question = _question(body, spent=tokens.count_tokens(thought))
    if question.input_tokens > context_window(question.model) and body.get("truncation") != "auto":
        raise invalid(TOO_LONG, "input", "context_length_exceeded")
    reply = reply_to(question, length=call.settings.tokens)
    response = _response(call, body, question, reply, thought)
    if body.get("stream"):
        return StreamAnswer(events=_stream(response, body))
    return JsonAnswer(body=response)


def _thought(body: JsonObject) -> str:
    reasoning = body.get("reasoning")
    return THINKING if reasoning and reasoning.get("effort") != "none" else ""


# ------------------------------------------------------------------------------------------------------ the question


def _question(body: JsonObject, *, spent: int) -> Question:
    """`spent` tokens of the output are already used for reasoning."""
    given = body["input"]
    items: list[JsonObject] = [{"role": "user", "content": given}] if isinstance(given, str) else given
    asked = next((text for item in reversed(items) if item.get("role") == "user" and (text := text_of(item))), "")
    tools, choice = _offered(body)
    limit = body.get("max_output_tokens")
    return Question(
        model=body["model"],
        texts=(body.get("instructions") or "", *(_all_text(item) for item in items)),
        asked=asked,
        tool_result=text_of(items[-1]) if items[-1].get("type") in shapes.OUTPUT_OF.values() else None,
        images=images_in(items),
        tools=tools,
        tool_choice=choice,
        parallel_tools=body.get("parallel_tool_calls") is not False,
        schema=_schema((body.get("text") or {}).get("format") or {}),
        max_tokens=limit - spent if limit else None,
    )


def _all_text(item: JsonObject) -> str:
    return text_of(item) + (item.get("arguments") or item.get("input") or "")


def _offered(body: JsonObject) -> tuple[tuple[OfferedTool, ...], str]:
    """The tools that may be called, and how: `auto`, `none`, `required` or a name."""
    tools = [tool for tool in body.get("tools") or () if "name" in tool]
    choice: Any = body.get("tool_choice") or "auto"
    if isinstance(choice, dict) and choice["type"] == "allowed_tools":
        names = [tool.get("name") for tool in choice["tools"]]
        tools = [tool for tool in tools if tool["name"] in names]
        choice = choice["mode"]
    elif isinstance(choice, dict):
        choice = choice.get("name") or "none"
    return tuple(OfferedTool(name=tool["name"], schema=tool.get("parameters") or {}) for tool in tools), choice


def _schema(wanted: JsonObject) -> JsonObject | None:
    if wanted.get("type") == "json_schema":
        schema: JsonObject = wanted["schema"]
        return schema
    return {} if wanted.get("type") == "json_object" else None


# -------------------------------------------------------------------------------------------------------- the answer


def _response(call: Call, body: JsonObject, question: Question, reply: Reply, thought: str) -> JsonObject:
    cut = reply.ending == "length"
    reasoning = body.get("reasoning") or {}
    text = body.get("text") or {}
    return {
        "id": f"resp_demo{call.id}",
        "object": "response",
        "created_at": int(call.now_s),
        "status": "incomplete" if cut else "completed",
        "background": False,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "max_tool_calls": body.get("max_tool_calls"),
        "metadata": body.get("metadata") or {},
        "model": question.model,
        "output": list(_output(call.id, body, question, reply, thought)),
        "parallel_tool_calls": question.parallel_tools,
        "previous_response_id": None,
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "service_tier": "default",
        "store": body.get("store") is not False,
        "temperature": _or(body.get("temperature"), 1.0),
        "text": {"format": text.get("format") or {"type": "text"}, "verbosity": text.get("verbosity") or "medium"},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "top_logprobs": body.get("top_logprobs") or 0,
        "top_p": _or(body.get("top_p"), 1.0),
        "truncation": body.get("truncation") or "disabled",
        "usage": _usage(reply, question, thought),
        "user": body.get("user"),
    }


def _or(given: float | None, default: float) -> float:
    return default if given is None else given


def _usage(reply: Reply, question: Question, thought: str) -> JsonObject:
    """Of a truncated input only what fits is read."""
    read = min(reply.input_tokens, context_window(question.model))
    reasoned = tokens.count_tokens(thought)
    written = reply.output_tokens + reasoned
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": reasoned},
        "total_tokens": read + written,
    }


def _output(call_id: str, body: JsonObject, question: Question, reply: Reply, thought: str) -> Iterator[JsonObject]:
    if thought:
        yield _reasoning(call_id, body, thought)
    custom = {tool["name"] for tool in body.get("tools") or () if tool["type"] == "custom"}
    for position, called in enumerate(reply.calls):
        yield _called(f"{call_id}{position}", called, custom=called.name in custom)
    if reply.calls:
        return
    searches = body.get("tool_choice") != "none" and _searches(body)
    if searches:
        action = {"type": "search", "query": question.asked}
        yield {"type": "web_search_call", "id": f"ws_demo{call_id}", "status": "completed", "action": action}
    cited = {"type": "url_citation", **SOURCE, "start_index": 0, "end_index": min(4, len(reply.text))}
    part: JsonObject = {"type": "output_text", "text": reply.text, "annotations": [cited] if searches else []}
    if shapes.LOGPROBS in (body.get("include") or ()):
        part["logprobs"] = [_logprob(piece) for piece in tokens.pieces(reply.text)]
    yield {
        "type": "message",
        "id": f"msg_demo{call_id}",
        "role": "assistant",
        "status": "incomplete" if reply.ending == "length" else "completed",
        "content": [part],
    }


def _reasoning(call_id: str, body: JsonObject, thought: str) -> JsonObject:
    summary = [{"type": "summary_text", "text": thought}] if body["reasoning"].get("summary") else []
    item = {"type": "reasoning", "id": f"rs_demo{call_id}", "summary": summary}
    wanted = shapes.ENCRYPTED_REASONING in (body.get("include") or ())
    return {**item, "encrypted_content": checks.encrypted(thought)} if wanted else item


def _called(number: str, called: CalledTool, *, custom: bool) -> JsonObject:
    item = {"call_id": f"call_demo{number}", "name": called.name, "status": "completed"}
    if custom:
        return {"type": "custom_tool_call", "id": f"ctc_demo{number}", **item, "input": called.arguments}
    return {"type": "function_call", "id": f"fc_demo{number}", **item, "arguments": called.arguments}


def _searches(body: JsonObject) -> bool:
    return any(tool["type"] in shapes.SEARCH_TOOLS for tool in body.get("tools") or ())


def _logprob(piece: str) -> JsonObject:
    return {"token": piece, "logprob": 0.0, "bytes": list(piece.encode()), "top_logprobs": []}


# -------------------------------------------------------------------------------------------------------- the stream


def _stream(response: JsonObject, body: JsonObject) -> Iterator[bytes]:
    obfuscates = (body.get("stream_options") or {}).get("include_obfuscation") is not False
    for event in events_of(response, ITEM_EVENTS):
        if obfuscates and event["type"].endswith(".delta"):
            event["obfuscation"] = "".ljust(OBFUSCATED_TO - len(event["delta"]), "x")
        yield sse(event, event=event["type"])


def _message_events(item: JsonObject, where: JsonObject) -> Iterator[JsonObject]:
    part = item["content"][0]
    logprobs = iter(part.get("logprobs") or ())
    for event in message_events(item, where):
        if event["type"] == "response.output_text.delta":
            event["logprobs"] = list(itertools.islice(logprobs, 1))
        if event["type"] == "response.output_text.done":
            event["logprobs"] = part.get("logprobs") or []
            place = {**where, "content_index": 0}
            for number, annotation in enumerate(part["annotations"]):
                cited = {"annotation_index": number, "annotation": annotation}
                yield {"type": "response.output_text.annotation.added", **place, **cited}
        yield event


def _reasoning_events(item: JsonObject, where: JsonObject) -> Iterator[JsonObject]:
    yield added({**item, "summary": []}, where)
    for number, part in enumerate(item["summary"]):
        place = {**where, "summary_index": number}
        yield {"type": "response.reasoning_summary_part.added", **place, "part": {**part, "text": ""}}
        for piece in tokens.pieces(part["text"]):
            yield {"type": "response.reasoning_summary_text.delta", **place, "delta": piece}
        yield {"type": "response.reasoning_summary_text.done", **place, "text": part["text"]}
        yield {"type": "response.reasoning_summary_part.done", **place, "part": part}


def _custom_call_events(item: JsonObject, where: JsonObject) -> Iterator[JsonObject]:
    yield added({**item, "input": "", "status": "in_progress"}, where)
    for piece in tokens.pieces(item["input"]):
        yield {"type": "response.custom_tool_call_input.delta", **where, "delta": piece}
    yield {"type": "response.custom_tool_call_input.done", **where, "input": item["input"]}


def _search_events(item: JsonObject, where: JsonObject) -> Iterator[JsonObject]:
    yield added({**item, "status": "in_progress"}, where)
    for step in ("in_progress", "searching", "completed"):
        yield {"type": f"response.web_search_call.{step}", **where}


ITEM_EVENTS: dict[str, ItemEvents] = {
    "reasoning": _reasoning_events,
    "web_search_call": _search_events,
    "function_call": call_events,
    "custom_tool_call": _custom_call_events,
    "message": _message_events,
}

DIALECT = Dialect(
    name="openai_responses",
    prefixes=("v1/",),
    routes={"POST responses": respond, "GET models": models, "GET models/*": model},
    authorize=openai_dialect.authorize,
    error_body=openai_dialect.error_body,
)
