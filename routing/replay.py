"""A complete answer from a stream's frames, and a stream from a complete answer, both in OpenAI's shape. Pure."""

from collections.abc import Iterator
from typing import Any

import orjson

from providers.types import JsonObject

DONE = b"data: [DONE]\n\n"
PIECE_CHARS = 48
"""Length of the texts a replayed stream is cut into: clients that show text as it comes keep doing so."""

_JOINED = frozenset(
    {"content", "refusal", "reasoning_content", "reasoning", "text", "arguments", "input"}
    | {"data", "transcript", "summary"}  # of audio, and of blocks of reasoning
)
_NOT_KEPT = frozenset({"choices", "usage", "object", "obfuscation"})
_MESSAGE_ONLY_LATER = frozenset({"role", "content", "refusal", "tool_calls", "reasoning_content", "reasoning"})


# ------------------------------------------------------------------------------------------------ stream → answer


def events(frames: bytes) -> Iterator[JsonObject]:
    """The JSON objects of a stream; comments and the end mark are passed over."""
    for line in frames.split(b"\n"):
        if line.startswith(b"data: {"):
            yield orjson.loads(line[6:])


def assemble(frames: bytes, *, chat: bool) -> JsonObject:
    """The answer these frames told, as a client that had not asked for a stream would have got it."""
    answer: JsonObject = {"object": "chat.completion" if chat else "text_completion"}
    choices: dict[int, JsonObject] = {}
    usage: Any = None
    for event in events(frames):
        answer.update({key: value for key, value in event.items() if key not in _NOT_KEPT})
        usage = event.get("usage") or usage
        for part in event.get("choices") or ():
            choice = choices.setdefault(part.get("index") or 0, _new_choice(chat))
            _join_choice(choice, part)
    for choice in choices.values():
        _take_numbers_off(choice.get("message") or {})
    answer["choices"] = [{"index": index, **choices[index]} for index in sorted(choices)]
    if usage is not None:
        answer["usage"] = usage
    return answer


def _new_choice(chat: bool) -> JsonObject:
    told: JsonObject = {"message": {"role": "assistant", "content": None, "refusal": None}} if chat else {"text": ""}
    return {**told, "logprobs": None, "finish_reason": None}


def _join_choice(choice: JsonObject, part: JsonObject) -> None:
    for key, value in part.items():
        if key == "index" or value is None:
            continue
        if key == "delta":
            _join(choice["message"], value)
        elif key == "finish_reason":
            choice[key] = value
        else:
            _join(choice, {key: value})


def _join(target: JsonObject, delta: JsonObject) -> None:
    """Texts and lists are continued; of anything else the newest counts."""
    for key, value in delta.items():
        if value is None or key == "index":
            continue
        before = target.get(key)
        if key in _JOINED and isinstance(value, str):
            target[key] = (before or "") + value
        elif isinstance(value, list):
            target[key] = _join_entries(before if isinstance(before, list) else [], value)
        elif isinstance(value, dict):
            target[key] = inner = dict(before) if isinstance(before, dict) else {}
            _join(inner, value)
        else:
            target[key] = value


def _join_entries(entries: list[Any], deltas: list[Any]) -> list[Any]:
    """Entries with an index may come in pieces: a piece continues the one of its index. Several kinds of reasoning may
    share an index."""
    for delta in deltas:
        if not isinstance(delta, dict) or type(delta.get("index")) is not int:
            entries.append(delta)
            continue
        known = next((entry for entry in entries if isinstance(entry, dict) and _is_continued(entry, delta)), None)
        if known is None:
            known = {"index": delta["index"]}
            entries.append(known)
        _join(known, delta)
    return entries


def _is_continued(entry: JsonObject, delta: JsonObject) -> bool:
    return entry.get("index") == delta["index"] and all(
        entry.get(name) == delta[name] for name in ("type", "id") if delta.get(name) and entry.get(name)
    )


def _take_numbers_off(message: JsonObject) -> None:
    """Complete answers number neither calls nor citations; blocks of reasoning they do."""
    for name in ("tool_calls", "annotations"):
        for entry in message.get(name) or ():
            if isinstance(entry, dict):
                entry.pop("index", None)


# ------------------------------------------------------------------------------------------------ answer → stream


def as_frames(answer: JsonObject, *, chat: bool) -> bytes:
    """The answer as a stream, without usage and without the end mark."""
    head: JsonObject = {key: value for key, value in answer.items() if key not in _NOT_KEPT}
    head = {**head, "object": "chat.completion.chunk" if chat else "text_completion"}
    frames: list[bytes] = []
    for choice in answer["choices"]:
        parts = _chat_parts(choice) if chat else _completion_parts(choice)
        for part in parts:
            whole = {"index": choice.get("index", 0), **part, "finish_reason": None}
            frames.append(_frame({**head, "choices": [whole]}))
            head = {key: value for key, value in head.items() if key in _IDENTITY}
        end: JsonObject = {"delta": {}} if chat else {"text": ""}
        finish = {"index": choice.get("index", 0), **end, "logprobs": None, "finish_reason": choice["finish_reason"]}
        frames.append(_frame({**head, "choices": [finish]}))
    return b"".join(frames)


_IDENTITY = frozenset({"id", "object", "created", "model", "system_fingerprint", "service_tier"})


def usage_frame(event: JsonObject, usage: JsonObject) -> bytes:
    """The usage chunk of a stream with this event."""
    return _frame({**{key: event[key] for key in event if key in _IDENTITY}, "choices": [], "usage": usage})


def _chat_parts(choice: JsonObject) -> Iterator[JsonObject]:
    message = choice["message"]
    logprobs = choice.get("logprobs")
    others = {key: value for key, value in message.items() if key not in _MESSAGE_ONLY_LATER and value is not None}
    yield {"delta": {"role": "assistant", "content": "", **others}, "logprobs": None}
    for names, text in _texts_of(message):
        whole = names == ["content"] and logprobs is not None
        for piece in [text] if whole else _cut(text):
            yield {"delta": dict.fromkeys(names, piece), "logprobs": logprobs if whole else None}
    for index, call in enumerate(message.get("tool_calls") or ()):
        yield {"delta": {"tool_calls": [{"index": index, **call}]}, "logprobs": None}


def _texts_of(message: JsonObject) -> Iterator[tuple[list[str], str]]:
    """A thought with two names comes under both at once: who reads whichever is there would else read it twice."""
    is_one = message.get("reasoning_content") == message.get("reasoning")
    thoughts = [["reasoning_content", "reasoning"]] if is_one else [["reasoning_content"], ["reasoning"]]
    for names in (*thoughts, ["refusal"], ["content"]):
        text = message.get(names[0])
        if isinstance(text, str) and text:
            yield names, text


def _completion_parts(choice: JsonObject) -> Iterator[JsonObject]:
    logprobs = choice.get("logprobs")
    text = choice.get("text") or ""
    for piece in [text] if logprobs is not None else _cut(text):
        yield {"text": piece, "logprobs": logprobs}


def _cut(text: str) -> list[str]:
    return [text[start : start + PIECE_CHARS] for start in range(0, len(text), PIECE_CHARS)]


def _frame(event: JsonObject) -> bytes:
    return b"data: " + orjson.dumps(event) + b"\n\n"
