"""POST /v1/completions and /v1/embeddings of the demo, and its model list, in OpenAI's shape."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from providers.demo import openai_checks, tokens, vectors
from providers.demo.answering import (
    CHAT_MODELS,
    CREATED_AT_S,
    EMBEDDING_MODEL,
    Question,
    Reply,
    context_window,
    reply_to,
)
from providers.demo.openai_chat import FINISH, not_json, stop_sequences, usage_of
from providers.demo.wire import Answer, Call, JsonAnswer, RefusalError, StreamAnswer, is_integer, read_json, sse
from providers.types import JsonObject

DEFAULT_MAX_TOKENS = 16
MAX_INPUTS = 2048
MAX_INPUT_TOKENS = 8192
MAX_DIMENSIONS = 3072


def completions(call: Call) -> Answer:
    body = read_json(call, not_json())
    model = openai_checks.check_model(body)
    openai_checks.check_parameters(body)
    prompts = _texts(body.get("prompt", "<|endoftext|>"), "prompt")
    replies = [_complete(model, prompt, body, call) for prompt in prompts]
    head = {"id": f"cmpl-demo{call.id}", "object": "text_completion", "created": int(call.now_s), "model": model}
    copies = body.get("n") or 1
    if body.get("stream"):
        return StreamAnswer(events=_stream(head, replies, copies, body))
    choices = [_choice(reply, number, reply.text) for number, reply in _numbered(replies, copies)]
    return JsonAnswer(body={**head, "choices": choices, "usage": _sum(replies, copies)})


def _complete(model: str, prompt: str, body: JsonObject, call: Call) -> Reply:
    limit = body.get("max_tokens")
    question = Question(
        model=model,
        texts=(prompt,),
        asked=prompt,
        max_tokens=DEFAULT_MAX_TOKENS if limit is None else limit,
        stop=stop_sequences(body),
    )
    openai_checks.check_window(question.input_tokens, context_window(model), "prompt")
    return reply_to(question, length=call.settings.tokens)


def _numbered(replies: list[Reply], copies: int) -> Iterator[tuple[int, Reply]]:
    return enumerate(reply for reply in replies for _ in range(copies))


def _choice(reply: Reply, number: int, text: str, *, ended: bool = True) -> JsonObject:
    return {"text": text, "index": number, "logprobs": None, "finish_reason": FINISH[reply.ending] if ended else None}


def _sum(replies: list[Reply], copies: int) -> JsonObject:
    whole = Reply(
        text="",
        ending="stop",
        input_tokens=sum(reply.input_tokens for reply in replies),
        output_tokens=sum(reply.output_tokens for reply in replies),
    )
    return usage_of(whole, copies)


def _stream(head: JsonObject, replies: list[Reply], copies: int, body: JsonObject) -> Iterator[bytes]:
    with_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    tail: JsonObject = {"usage": None} if with_usage else {}
    for number, reply in _numbered(replies, copies):
        for piece in tokens.pieces(reply.text):
            yield sse({**head, "choices": [_choice(reply, number, piece, ended=False)], **tail})
        yield sse({**head, "choices": [_choice(reply, number, "")], **tail})
    if with_usage:
        yield sse({**head, "choices": [], "usage": _sum(replies, copies)})
    yield b"data: [DONE]\n\n"


def _texts(value: Any, param: str) -> list[str]:
    """Strings, or token arrays shown as their numbers: the demo has no vocabulary."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and value:
        if all(is_integer(entry) for entry in value):
            return [_shown(value)]
        if all(isinstance(entry, str) for entry in value):
            return value
        if all(isinstance(entry, list) and entry and all(map(is_integer, entry)) for entry in value):
            return [_shown(entry) for entry in value]
    if value is None:
        raise openai_checks.missing(param)
    raise openai_checks.wrong_type(param, "a string or a non-empty array of strings or token arrays", value)


def _shown(token_ids: list[int]) -> str:
    return " ".join(map(str, token_ids))


def embeddings(call: Call) -> Answer:
    body = read_json(call, not_json())
    model = openai_checks.check_model(body)
    texts = _texts(body.get("input"), "input")
    encoding = body.get("encoding_format") or "float"
    if encoding not in ("float", "base64"):
        raise openai_checks.wrong_value("encoding_format", encoding, ("float", "base64"))
    dimensions = _dimensions(body.get("dimensions"))
    _check_sizes(texts)
    data = []
    for index, text in enumerate(texts):
        vector = vectors.embed(text, dimensions)
        shown = vectors.to_base64(vector) if encoding == "base64" else vector
        data.append({"object": "embedding", "index": index, "embedding": shown})
    read = sum(max(1, tokens.count_tokens(text)) for text in texts)
    usage = {"prompt_tokens": read, "total_tokens": read}
    return JsonAnswer(body={"object": "list", "data": data, "model": model, "usage": usage})


def _dimensions(value: Any) -> int:
    if value is None:
        return vectors.DIMENSIONS
    if not is_integer(value):
        raise openai_checks.wrong_type("dimensions", "an integer", value)
    if not 1 <= value <= MAX_DIMENSIONS:
        raise openai_checks.invalid(f"Invalid 'dimensions': expected 1 to {MAX_DIMENSIONS}.", "dimensions")
    return int(value)


def _check_sizes(texts: list[str]) -> None:
    if len(texts) > MAX_INPUTS:
        text = f"Invalid 'input': array too long. Expected an array with maximum length {MAX_INPUTS}."
        raise openai_checks.invalid(text, "input", "array_above_max_length")
    if not all(texts):
        raise openai_checks.invalid("Invalid 'input': input cannot be an empty string.", "input")
    longest = max(tokens.count_tokens(text) for text in texts)
    if longest > MAX_INPUT_TOKENS:
        text = (
            f"This model's maximum context length is {MAX_INPUT_TOKENS} tokens, however you requested {longest} tokens."
        )
        raise openai_checks.invalid(f"{text} Please reduce your prompt; or completion length.", "input")


def models(call: Call) -> Answer:
    return JsonAnswer(body={"object": "list", "data": [_model(name) for name in (*CHAT_MODELS, EMBEDDING_MODEL)]})


def model(call: Call) -> Answer:
    name = unquote(call.path.partition("/")[2])
    if name not in (*CHAT_MODELS, EMBEDDING_MODEL):
        text = f"The model '{name}' does not exist or you do not have access to it."
        raise RefusalError(404, text, kind="invalid_request_error", param="model", code="model_not_found")
    return JsonAnswer(body=_model(name))


def _model(name: str) -> JsonObject:
    window = MAX_INPUT_TOKENS if name == EMBEDDING_MODEL else context_window(name)
    return {"id": name, "object": "model", "created": CREATED_AT_S, "owned_by": "demo", "context_length": window}
