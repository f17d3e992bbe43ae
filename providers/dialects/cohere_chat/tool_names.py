"""Names of tools that Cohere refuses, such as Semantic Kernel's `plugin-function`, told differently and read back. Pure."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from providers.dialects.cohere_chat.stream import StreamDecoder
from providers.types import ChatAnswer, ChatCall, Message, StreamEvent, ToolCall, ToolCallStart, ToolChoice

_ALLOWED = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_OTHER = re.compile(r"[^A-Za-z0-9_]")


def told_names(call: ChatCall) -> dict[str, str]:
    """What Cohere is told, by each name that it refuses. No two are told alike; the same for the same call."""
    names = dict.fromkeys(_names(call))
    used = {name for name in names if _ALLOWED.match(name)}
    told: dict[str, str] = {}
    for name in names:
        if name not in used:
            told[name] = _free(name, used)
            used.add(told[name])
    return told


def with_told_names(call: ChatCall) -> ChatCall:
    told = told_names(call)
    if not told:
        return call
    choice = call.tool_choice
    return replace(
        call,
        tools=tuple(replace(tool, name=told.get(tool.name, tool.name)) for tool in call.tools),
        tool_choice=None if choice is None else _choice(choice, told),
        messages=tuple(_message(message, told) for message in call.messages),
    )


def with_own_names(answer: ChatAnswer, told: dict[str, str]) -> ChatAnswer:
    """As the client knows its tools."""
    if not told:
        return answer
    own = {new: name for name, new in told.items()}
    choices = (replace(choice, tool_calls=_calls(choice.tool_calls, own)) for choice in answer.choices)
    return replace(answer, choices=tuple(choices))


class NamedStream:
    """A stream in which tools have the names that the client knows. `told` is asked once a tool is called."""

    def __init__(self, inner: StreamDecoder, told: Callable[[], dict[str, str]]) -> None:
        self._inner = inner
        self._told = told
        self._own: dict[str, str] | None = None

    def feed(self, data: bytes) -> list[StreamEvent]:
        return [self._named(event) for event in self._inner.feed(data)]

    def close(self) -> list[StreamEvent]:
        return [self._named(event) for event in self._inner.close()]

    def _named(self, event: StreamEvent) -> StreamEvent:
        if not isinstance(event, ToolCallStart):
            return event
        if self._own is None:
            self._own = {new: name for name, new in self._told().items()}
        return replace(event, name=self._own.get(event.name, event.name))


def _names(call: ChatCall) -> Iterator[str]:
    """Of the tools and, for tools that are offered no longer, of the history."""
    for tool in call.tools:
        if tool.name and not tool.custom:
            yield tool.name
    for message in call.messages:
        for made in message.tool_calls:
            yield made.name


def _free(name: str, used: set[str]) -> str:
    plain = _OTHER.sub("_", name)
    first = plain if _ALLOWED.match(plain) else f"_{plain}"
    found, number = first, 2
    while found in used:
        found, number = f"{first}_{number}", number + 1
    return found


def _choice(choice: ToolChoice, told: dict[str, str]) -> ToolChoice:
    name = choice.name if choice.name is None else told.get(choice.name, choice.name)
    return replace(choice, name=name, allowed=tuple(told.get(each, each) for each in choice.allowed))


def _message(message: Message, told: dict[str, str]) -> Message:
    return replace(message, tool_calls=_calls(message.tool_calls, told)) if message.tool_calls else message


def _calls(calls: tuple[ToolCall, ...], names: dict[str, str]) -> tuple[ToolCall, ...]:
    return tuple(replace(call, name=names.get(call.name, call.name)) for call in calls)
