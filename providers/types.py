"""Typed values of one call, independent of any wire format. Pure: no clock, no I/O, no Django.

A `ClientRequest` is what an application sent, in OpenAI's shape. When the upstream speaks another dialect, it is
decoded into a `ChatCall`; answers come back as a `ChatAnswer`, streams as `StreamEvent`s. Token counts are integers,
money is nano-USD.
"""

import enum
from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal, NamedTuple, TypeAlias

from providers.values import positional_value, value

JsonObject: TypeAlias = dict[str, Any]

Role: TypeAlias = Literal["system", "developer", "user", "assistant", "tool"]
FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter"]


class Operation(enum.StrEnum):
    """What a client may ask for; the value is the path below `/v1/`."""

    CHAT = "chat/completions"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"


class Usage(NamedTuple):
    """Tokens of one call. `cached_tokens`, `cache_write_tokens` and `audio_input_tokens` are inside `input_tokens`,
    `reasoning_tokens` and `audio_output_tokens` inside `output_tokens` (OpenAI's convention). `cost_nano_usd` is what the
    provider itself reported, if it did; `billed` the input and output tokens it charges, where it says that these are
    others. `searches` of the web were run by the provider itself, which asks a fee for each."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    cost_nano_usd: int | None = None
    billed: tuple[int, int] | None = None
    cache_write_1h_tokens: int = 0
    """Inside `cache_write_tokens`: kept for an hour, which costs more than five minutes."""
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0
    searches: int = 0

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens


def told(usage: Usage | None) -> Usage | None:
    """None also for zeros, which servers say that have not counted (LocalAI with tools). No answer uses nothing: it is
    counted here then."""
    if usage is None or usage.input_tokens or usage.output_tokens or usage.cost_nano_usd or usage.billed is not None:
        return usage
    return None


# ---------------------------------------------------------------------------------------------------- what is asked


@positional_value
class TextPart:
    text: str
    cache_control: JsonObject | None = None


@value
class ImagePart:
    """`url` is https or a data URI."""

    url: str
    detail: str | None = None
    cache_control: JsonObject | None = None


@value
class AudioPart:
    """`data` is base64."""

    data: str
    format: str


@value
class FilePart:
    """`data` is a data URI or base64, as the client sent it."""

    data: str | None = None
    file_id: str | None = None
    filename: str | None = None
    cache_control: JsonObject | None = None


@value
class RefusalPart:
    text: str


@value
class OpaquePart:
    """A content part of a type this version does not know: passed on within a dialect, refused across dialects."""

    raw: JsonObject


Part: TypeAlias = TextPart | ImagePart | AudioPart | FilePart | RefusalPart | OpaquePart


@value
class ToolCall:
    """`arguments` is the model's JSON text, which may be invalid JSON; free text when `custom`."""

    id: str
    name: str
    arguments: str
    custom: bool = False


@value
class ReasoningBlock:
    """Reasoning to be replayed unchanged: text with its signature, or an opaque encrypted block.

    On the OpenAI side it travels in `reasoning_details` as `{"type": "reasoning.text", "text", "signature"}` or
    `{"type": "reasoning.encrypted", "data"}` (OpenRouter's shape).

    `format` is OpenRouter's word for who can read a signature or an encrypted block; None where nobody said.
    """

    text: str = ""
    signature: str | None = None
    encrypted: str | None = None
    format: str | None = field(default=None, compare=False)


@positional_value
class Message:
    role: Role
    parts: tuple[Part, ...] = ()
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    reasoning: tuple[ReasoningBlock, ...] = ()
    extra: JsonObject = field(default_factory=dict)

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))


@value
class Tool:
    """A function the model may call; `custom_format` is set for OpenAI's free-text custom tools.

    `extra` holds fields without a type, such as `cache_control`; a tool that the provider itself runs has its `type`
    there (`web_search_20250305`), and only the dialect that knows that type can pass it on.
    """

    name: str
    description: str | None = None
    parameters: JsonObject | None = None
    strict: bool | None = None
    custom: bool = False
    custom_format: JsonObject | None = None
    extra: JsonObject = field(default_factory=dict)


@value
class ToolChoice:
    """`name` is set when `mode` is `tool`; `allowed` when the choice is limited to some tools."""

    mode: Literal["auto", "none", "required", "tool"]
    name: str | None = None
    allowed: tuple[str, ...] = ()
    custom: bool = False


@value
class ResponseFormat:
    """`schema` is JSON Schema, for `json_schema` only."""

    kind: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    description: str | None = None
    schema: JsonObject | None = None
    strict: bool | None = None


@value
class ChatCall:
    """A chat completion asked for, in typed form. Absent means None or empty; `extra` holds fields without a type."""

    model: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    n: int | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: Mapping[str, float] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    user: str | None = None
    service_tier: str | None = None
    stream: bool = False
    include_usage: bool = False
    extra: JsonObject = field(default_factory=dict)


@positional_value
class ClientRequest:
    """A request of the data plane after validation: the client's JSON body and the facts routing needs.

    `body` is OpenAI's shape; adapters copy what they change of it.
    """

    operation: Operation
    model: str
    body: JsonObject
    stream: bool = False
    include_usage: bool = False
    received_at_s: int = 0
    """Unix time, for answers of providers that give no time of their own."""
    size_bytes: int = 0
    """Of the JSON it came as; 0 when unknown."""
    has_media: bool = False
    """May hold images, audio or files, whose bytes are no text."""
    has_plain_roles: bool = False
    """No message is a developer's or the result of a tool, which not all providers take as they are. False when unknown."""


# -------------------------------------------------------------------------------------------------- what is answered


@value
class Citation:
    url: str
    title: str = ""
    start_index: int = 0
    end_index: int = 0


@value
class Choice:
    index: int = 0
    text: str | None = None
    refusal: str | None = None
    reasoning: tuple[ReasoningBlock, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: FinishReason = "stop"
    citations: tuple[Citation, ...] = ()
    logprobs: JsonObject | None = None


@value
class ChatAnswer:
    """`extra` holds provider fields that clients know by their own name, such as `citations` or `search_results`."""

    id: str
    model: str
    choices: tuple[Choice, ...]
    created: int | None = None
    usage: Usage | None = None
    extra: JsonObject = field(default_factory=dict)


@value
class EmbeddingsAnswer:
    vectors: tuple[tuple[float, ...], ...]
    model: str
    usage: Usage | None = None


# ---------------------------------------------------------------------------------------------------- stream events


@positional_value
class StreamStart:
    id: str
    model: str
    created: int | None = None


@positional_value
class TextDelta:
    text: str
    choice: int = 0


@positional_value
class RefusalDelta:
    text: str
    choice: int = 0


@positional_value
class ReasoningDelta:
    """Reasoning text to show."""

    text: str
    choice: int = 0


@positional_value
class ReasoningDone:
    """A whole reasoning block with its signature, for replay; its text was already sent as deltas."""

    block: ReasoningBlock
    choice: int = 0


@positional_value
class ToolCallStart:
    """`index` counts the calls of one answer 0, 1, 2 …; it is not the upstream's block index."""

    index: int
    id: str
    name: str
    custom: bool = False
    choice: int = 0


@positional_value
class ToolCallDelta:
    index: int
    arguments: str
    choice: int = 0


@positional_value
class CitationFound:
    citation: Citation
    choice: int = 0


@positional_value
class ExtraFields:
    """Provider fields to be merged into the top level of the next chunk (`citations`, `search_results`)."""

    fields: JsonObject


OWN_BLOCKS = "provider_content"
"""Where a chat carries them."""


@positional_value
class OwnBlock:
    """A block of the provider's own, or what belongs to one, at its place: for a front that speaks that dialect."""

    raw: JsonObject
    choice: int = 0


@positional_value
class Finish:
    reason: FinishReason
    choice: int = 0


@positional_value
class UsageReport:
    """Cumulative: a later report replaces an earlier one."""

    usage: Usage


@positional_value
class Heartbeat:
    """A ping or comment: keeps the connection alive, carries nothing."""


@positional_value
class StreamFailed:
    """An error event inside the stream; nothing follows it."""

    error: Exception


@positional_value
class StreamEnd:
    """The upstream said that the stream is complete; nothing follows it."""


StreamEvent: TypeAlias = (
    StreamStart | TextDelta | RefusalDelta | ReasoningDelta | ReasoningDone | ToolCallStart | ToolCallDelta | CitationFound
    | ExtraFields | OwnBlock | Finish | UsageReport | Heartbeat | StreamFailed | StreamEnd
)  # fmt: skip
