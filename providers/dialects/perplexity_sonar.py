"""Perplexity's Sonar chat completions: OpenAI's dialect with strict turns, and answers that say where they got it from.

Retired by Perplexity in favour of the Agent API, still spoken by gateways in front of it. Pure. In its full streams each
chunk has the new piece as `delta` and everything so far as `message`; citations and usage come with every chunk.
In concise streams (`stream_mode: concise`) the kinds of chunks have names of their own in `object`.
"""

from collections.abc import Iterable
from typing import Any

from providers.dialects.openai_chat.answer import encode_citation
from providers.dialects.openai_responses.citations import marked_citations
from providers.errors import Unsupported
from providers.lenient import a_list, an_object, objects
from providers.types import JsonObject

STEERING = frozenset({"system", "developer"})
SEARCH_FIELDS = ("citations", "search_results")


def strict_turns(messages: Iterable[Any], *, provider: str) -> list[JsonObject]:
    """System messages first, then user or tool in turn with the assistant, never the assistant last.

    Steering messages move to the front as one, and neighbours of one role become one message.
    """
    turns: list[JsonObject] = []
    steering: list[JsonObject] = []
    for message in messages:
        if not isinstance(message, dict):
            continue
        if message.get("role") in STEERING:
            _append(steering, {**message, "role": "system"})
        else:
            _append(turns, message)
    if turns and turns[-1].get("role") == "assistant":
        raise Unsupported(field="messages", provider=provider, why="the last message must be the user's or a tool's")
    return steering + turns


def _append(turns: list[JsonObject], message: JsonObject) -> None:
    last = turns[-1] if turns else None
    mergeable = last is not None and last.get("role") == message.get("role") and message.get("role") != "tool"
    if last is None or not mergeable:
        turns.append(message)
        return
    merged = {**last, "content": _joined(last.get("content"), message.get("content"))}
    calls = [*a_list(last.get("tool_calls")), *a_list(message.get("tool_calls"))]
    if calls:
        merged["tool_calls"] = calls
    turns[-1] = merged


def _joined(first: Any, second: Any) -> Any:
    if not first or not second:
        return first or second
    if isinstance(first, str) and isinstance(second, str):
        return f"{first}\n\n{second}"
    return [*_parts(first), *_parts(second)]


def _parts(content: Any) -> list[Any]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


def sources_of(answer: JsonObject) -> dict[int, tuple[str, str]]:
    """Address and title by the number in the text: `[k]` is the k-th citation."""
    titles = {
        result.get("url"): str(result.get("title") or "")
        for result in objects(answer.get("search_results"))
        if isinstance(result.get("url"), str)
    }
    urls = a_list(answer.get("citations")) or list(titles)
    return {place: (url, titles.get(url, "")) for place, url in enumerate(urls, 1) if isinstance(url, str)}


def annotations_of(text: str, sources: dict[int, tuple[str, str]]) -> list[JsonObject]:
    """OpenAI's annotations for every `[k]` in the text that has a source."""
    return [encode_citation(citation) for citation in marked_citations(text, sources)]


def repair_answer(answer: JsonObject) -> bool:
    """Adds annotations to a complete answer and takes the stream's leftovers out of it, in place; True if it did."""
    sources = sources_of(answer)
    changed = False
    for choice in objects(answer.get("choices")):
        changed = choice.pop("delta", None) is not None or changed
        message = choice.get("message")
        text = message.get("content") if isinstance(message, dict) else None
        found = annotations_of(text, sources) if isinstance(text, str) else []
        if found and isinstance(message, dict):
            message["annotations"] = found
            changed = True
    return changed


class ChunkRepair:
    """Makes one stream's chunks OpenAI's: only what is new, sources once, annotations with the end."""

    def __init__(self) -> None:
        self._texts: dict[int, str] = {}
        self._sources: dict[int, tuple[str, str]] = {}
        self._sent: JsonObject = {}

    def __call__(self, chunk: JsonObject) -> bool:
        chunk["object"] = "chat.completion.chunk"
        self._sources = sources_of(chunk) or self._sources
        for name in SEARCH_FIELDS:
            if name in chunk and chunk[name] == self._sent.get(name):
                del chunk[name]
            elif chunk.get(name):
                self._sent[name] = chunk[name]
        for choice in objects(chunk.get("choices")):
            self._repair_choice(choice)
        return True

    def _repair_choice(self, choice: JsonObject) -> None:
        choice.pop("message", None)
        index = choice["index"] if isinstance(choice.get("index"), int) else 0
        delta = choice["delta"] = dict(an_object(choice.get("delta")))
        first = index not in self._texts
        if not first:
            delta.pop("role", None)
        text = delta.get("content")
        self._texts[index] = self._texts.get(index, "") + (text if isinstance(text, str) else "")
        if choice.get("finish_reason"):
            found = annotations_of(self._texts[index], self._sources)
            if found:
                delta["annotations"] = found
