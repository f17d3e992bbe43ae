"""The Responses wire format as the demo speaks it: Perplexity's Agent API at `/v1/responses` and `/v1/agent`.

A web search, asked for by tool, preset or effort, is answered with one made-up result and a citation of it. Costs are
reported at a fixed 0.25 and 2.50 USD per million input and output tokens.
"""

from collections.abc import Iterator
from typing import Any

from providers.demo import openai_dialect, perplexity_checks, tokens, vectors
from providers.demo.answering import OfferedTool, Question, Reply, context_window, reply_to
from providers.demo.openai_texts import model, models
from providers.demo.responses_events import ItemEvents, added, call_events, events_of, message_events
from providers.demo.responses_items import SOURCE, TOO_LONG, images_in, text_of
from providers.demo.wire import (
    Answer,
    Call,
    Dialect,
    JsonAnswer,
    RefusalError,
    StreamAnswer,
    is_integer,
    read_json,
    sse,
)
from providers.types import JsonObject

INPUT_USD, OUTPUT_USD = 0.25e-6, 2.5e-6
KINDS = {"overloaded": "server_error", "not_found_error": "not_found"}
MAX_EMBEDDING_INPUTS = 512
EMBEDDING_ENCODERS = {
    "base64_int8": lambda vector: vectors.bytes_to_base64(value % 256 for value in vectors.to_int8(vector)),
    "base64_binary": lambda vector: vectors.bytes_to_base64(vectors.to_ubinary(vector)),
}


def error_body(refusal: RefusalError, call: Call) -> JsonObject:
    """`code` is a number here."""
    kind = KINDS.get(refusal.kind, refusal.kind)
    return {"error": {"message": refusal.message, "type": kind, "param": refusal.param, "code": refusal.status}}


def respond(call: Call) -> Answer:
    body = read_json(call, perplexity_checks.invalid("The request body is not a JSON object."))
    perplexity_checks.check(body)
    question = _question(body)
    if question.input_tokens > context_window(question.model):
        raise perplexity_checks.invalid(TOO_LONG, "input")
    reply = reply_to(question, length=call.settings.tokens)
    response = _response(call, body, question, reply)
    if body.get("stream"):
        return StreamAnswer(events=_stream(response))
    return JsonAnswer(body=response)


def _question(body: JsonObject) -> Question:
    given = body["input"]
    items = [{"type": "message", "role": "user", "content": given}] if isinstance(given, str) else given
    functions = [tool for tool in body.get("tools") or () if tool["type"] == "function"]
    choice = body.get("tool_choice") or "auto"
    wanted = (body.get("response_format") or {}).get("json_schema")
    asked = [text_of(item) for item in items if item.get("role") == "user"]
    last = items[-1]
    return Question(
        model=body.get("model") or (body.get("models") or ["demo-large"])[0],
        texts=(body.get("instructions") or "", *(text_of(item) + item.get("arguments", "") for item in items)),
        asked=asked[-1] if asked else "",
        tool_result=text_of(last) if last["type"] == "function_call_output" else None,
        images=images_in(items),
        tools=tuple(OfferedTool(name=tool["name"], schema=tool.get("parameters") or {}) for tool in functions),
        tool_choice=choice["name"] if isinstance(choice, dict) else choice,
        schema=wanted["schema"] if wanted else None,
        max_tokens=body.get("max_output_tokens"),
    )


def _searches(body: JsonObject) -> bool:
    hosted = any(tool["type"] == "web_search" for tool in body.get("tools") or ())
    return hosted or bool(body.get("preset") or body.get("effort"))


def _response(call: Call, body: JsonObject, question: Question, reply: Reply) -> JsonObject:
    cut = reply.ending == "length"
    return {
        "id": f"resp_demo{call.id}",
        "object": "response",
        "created_at": int(call.now_s),
        "model": question.model,
        "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "error": None,
        "output": list(_output(call.id, question, reply, search=_searches(body))),
        "parallel_tool_calls": True,
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "usage": _usage(reply),
    }


def _output(call_id: str, question: Question, reply: Reply, *, search: bool) -> Iterator[JsonObject]:
    if search and not reply.calls:
        result = {"id": 1, **SOURCE, "snippet": "DEMO snippet", "date": None, "last_updated": None, "source": "web"}
        yield {"type": "search_results", "queries": [question.asked], "results": [result]}
    for position, called in enumerate(reply.calls):
        yield {
            "type": "function_call",
            "id": f"fc_demo{call_id}{position}",
            "call_id": f"call_demo{call_id}{position}",
            "name": called.name,
            "arguments": called.arguments,
            "status": "completed",
        }
    if not reply.calls:
        cited = {"type": "url_citation", **SOURCE, "start_index": 0, "end_index": min(4, len(reply.text))}
        part = {"type": "output_text", "text": reply.text, "annotations": [cited] if search else []}
        status = "incomplete" if reply.ending == "length" else "completed"
        yield {
            "type": "message",
            "id": f"msg_demo{call_id}",
            "role": "assistant",
            "status": status,
            "content": [part],
        }


def _usage(reply: Reply) -> JsonObject:
    paid_in, paid_out = reply.input_tokens * INPUT_USD, reply.output_tokens * OUTPUT_USD
    return {
        "input_tokens": reply.input_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0},
        "output_tokens": reply.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": reply.input_tokens + reply.output_tokens,
        "cost": {
            "currency": "USD",
            "input_cost": round(paid_in, 9),
            "output_cost": round(paid_out, 9),
            "total_cost": round(paid_in + paid_out, 9),
        },
    }


def _stream(response: JsonObject) -> Iterator[bytes]:
    for event in events_of(response, ITEM_EVENTS):
        yield sse(event, event=event["type"])


def _search_events(item: JsonObject, where: JsonObject) -> Iterator[JsonObject]:
    yield {"type": "response.reasoning.started"}
    yield {"type": "response.reasoning.search_queries", "queries": item["queries"]}
    yield {"type": "response.reasoning.search_results", "results": item["results"]}
    yield {"type": "response.reasoning.stopped"}
    yield added(item, where)


ITEM_EVENTS: dict[str, ItemEvents] = {
    "function_call": call_events,
    "message": message_events,
    "search_results": _search_events,
}


def embeddings(call: Call) -> Answer:
    """Quantised vectors only, as Perplexity has them."""
    body = read_json(call, perplexity_checks.invalid("The request body is not a JSON object."))
    texts = [body["input"]] if isinstance(body.get("input"), str) else body.get("input")
    encoding = body.get("encoding_format") or "base64_int8"
    encode = EMBEDDING_ENCODERS.get(encoding) if isinstance(encoding, str) else None
    dimensions = body.get("dimensions") or vectors.DIMENSIONS
    if not isinstance(body.get("model"), str):
        raise perplexity_checks.invalid("Missing required parameter: 'model'.", "model")
    if not isinstance(texts, list) or not 1 <= len(texts) <= MAX_EMBEDDING_INPUTS or not all(map(_is_text, texts)):
        raise perplexity_checks.invalid(f"'input' must hold 1 to {MAX_EMBEDDING_INPUTS} non-empty strings.", "input")
    if encode is None:
        raise perplexity_checks.invalid("'encoding_format' must be base64_int8 or base64_binary.", "encoding_format")
    if not is_integer(dimensions) or not 128 <= dimensions <= 2560:
        raise perplexity_checks.invalid("'dimensions' must be from 128 to 2560.", "dimensions")
    data = [
        {"object": "embedding", "index": index, "embedding": encode(vectors.embed(text, dimensions))}
        for index, text in enumerate(texts)
    ]
    read = sum(max(1, tokens.count_tokens(text)) for text in texts)
    usage = {"prompt_tokens": read, "total_tokens": read, "cost": {"total_cost": round(read * INPUT_USD, 9)}}
    return JsonAnswer(body={"object": "list", "data": data, "model": body["model"], "usage": usage})


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


DIALECT = Dialect(
    name="responses",
    prefixes=("v1/",),
    routes={
        "POST responses": respond,
        "POST agent": respond,
        "POST embeddings": embeddings,
        "GET models": models,
        "GET models/*": model,
    },
    authorize=openai_dialect.authorize,
    error_body=error_body,
)
