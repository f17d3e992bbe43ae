"""What the demo answers, independent of any wire format. Pure and deterministic: the same question, the same answer."""

from dataclasses import dataclass
from typing import Literal

import orjson

from providers.demo import schemas, tokens
from providers.types import JsonObject

ECHO_CHARACTERS = 280
CONTEXT_WINDOWS = {"demo-small": 8_192}
LARGE_CONTEXT_WINDOW = 131_072
CHAT_MODELS = ("demo-small", "demo-large")
EMBEDDING_MODEL = "demo-embedding"
THINKING = "DEMO thinking: I repeat what I was asked."
CREATED_AT_S = 1_767_225_600  # 2026-01-01T00:00:00Z: when the demo's models "appeared"

Ending = Literal["stop", "stop_sequence", "length", "tool_calls"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedTool:
    name: str
    schema: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A validated request. `texts` are all texts of the input, for counting; `asked` is the last user's text;
    `tool_result` is set when the last turn is a tool's answer. `tool_choice` is `auto`, `none`, `required` or a name.
    `schema` asks for structured output (`{}` means any JSON object)."""

    model: str
    texts: tuple[str, ...]
    asked: str
    tool_result: str | None = None
    images: int = 0
    tools: tuple[OfferedTool, ...] = ()
    tool_choice: str = "auto"
    parallel_tools: bool = True
    schema: JsonObject | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()

    @property
    def input_tokens(self) -> int:
        return max(1, tokens.count_tokens("".join(self.texts)))


@dataclass(frozen=True, slots=True, kw_only=True)
class CalledTool:
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    text: str
    ending: Ending
    input_tokens: int
    output_tokens: int
    calls: tuple[CalledTool, ...] = ()
    stop_sequence: str | None = None


def context_window(model: str) -> int:
    return CONTEXT_WINDOWS.get(model, LARGE_CONTEXT_WINDOW)


def reply_to(question: Question, *, length: int | None = None) -> Reply:
    """The answer; a plain text answer is exactly `length` tokens long when that is given."""
    calls = _calls(question)
    spent = sum(tokens.count_tokens(call.name + call.arguments) for call in calls)
    if calls and (question.max_tokens is None or spent <= question.max_tokens):
        return Reply(text="", ending="tool_calls", input_tokens=question.input_tokens, output_tokens=spent, calls=calls)
    return _limited(_text(question, length), question)


def _calls(question: Question) -> tuple[CalledTool, ...]:
    """One call of the tool that was named, mentioned in the question (each of them), or offered first."""
    if question.tool_choice == "none" or not question.tools:
        return ()
    if question.tool_result is not None and question.tool_choice == "auto":
        return ()
    if question.tool_choice not in ("auto", "required"):
        chosen = [tool for tool in question.tools if tool.name == question.tool_choice]
    else:
        chosen = [tool for tool in question.tools if tool.name in question.asked]
    chosen = chosen or [question.tools[0]]
    if not question.parallel_tools:
        chosen = chosen[:1]
    return tuple(CalledTool(name=tool.name, arguments=_arguments(tool)) for tool in chosen)


def _arguments(tool: OfferedTool) -> str:
    value = schemas.sample(tool.schema)
    return _json(value if isinstance(value, dict) else {})


def _text(question: Question, length: int | None) -> str:
    if question.schema is not None:
        return _json(schemas.sample(question.schema) if question.schema else {"demo": True, "asked": _echo(question)})
    text = _prose(question)
    return text if length is None else tokens.filled(text, length)


def _prose(question: Question) -> str:
    if question.tool_result is not None:
        return f"DEMO answer from {question.model}: the tool returned {_shortened(question.tool_result)}"
    text = f'DEMO answer from {question.model}: you asked "{_echo(question)}".'
    if question.images:
        text += f" I received {question.images} image{'s' if question.images > 1 else ''}."
    return text


def _echo(question: Question) -> str:
    return _shortened(question.asked)


def _shortened(text: str) -> str:
    return text if len(text) <= ECHO_CHARACTERS else text[:ECHO_CHARACTERS] + "…"


def _limited(text: str, question: Question) -> Reply:
    """`text` up to the first stop sequence, then up to `max_tokens`."""
    ending: Ending = "stop"
    found = min(((text.find(stop), stop) for stop in question.stop if stop and stop in text), default=None)
    if found is not None:
        text, ending = text[: found[0]], "stop_sequence"
    if question.max_tokens is not None and tokens.count_tokens(text) > question.max_tokens:
        text, ending = tokens.cut(text, question.max_tokens), "length"
    return Reply(
        text=text,
        ending=ending,
        input_tokens=question.input_tokens,
        output_tokens=tokens.count_tokens(text),
        stop_sequence=found[1] if found is not None and ending == "stop_sequence" else None,
    )


def _json(value: object) -> str:
    return orjson.dumps(value).decode()
