"""What the gateway asks of a provider's adapter. An adapter is stateless and pure: it builds requests and reads answers.

    prepare      a client's request → what to send to this deployment
    read_answer  a complete answer → the client's JSON, with usage
    open_stream  a streamed answer → the client's SSE frames, with usage
    read_error   a status of 300 or more → the error that says what follows

`read_answer` and `ClientStream` also recognise errors that arrive with status 200.
"""

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, TypeAlias

from providers.adapter_options import Option
from providers.adapters.credential_headers import CredentialHeaders, Headers, bearer, join_headers
from providers.adapters.model_list import ModelInfo, read_model_list
from providers.dialects import upstream_errors
from providers.errors import UpstreamError
from providers.specs import DeploymentSpec, ProviderSpec
from providers.transport import UpstreamRequest
from providers.types import ClientRequest, Operation, Usage
from providers.values import positional_value

Thought: TypeAlias = Literal["kept", "left out", "as reasoning", "required"]
ThinkingTools: TypeAlias = Literal["chat", "responses for an effort", "responses"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """What a provider (or one of its models) does differently from OpenAI, as data.

    `dropped` fields are taken out silently, because OpenAI itself ignores them or they change nothing that a client can
    see; `refused` fields raise `Unsupported`, so that another candidate is tried. docs/providers.md is the table.
    """

    dropped: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    max_tokens_field: str | None = None
    """Rename `max_tokens`/`max_completion_tokens` to this one; None leaves the client's own field."""
    accepts_stream_options: bool = True
    accepts_name_in_messages: bool = True
    accepts_strict_tools: bool = True
    flattens_text_parts: bool = False
    thought: Thought = "kept"
    """What becomes of what was thought in earlier turns: some servers refuse it, or take it by their own name only, or
    refuse calls of tools without it (`dialects/chat_history`)."""
    thinking_tools: ThinkingTools = "chat"
    """Where a model that thinks may be given tools: some of OpenAI's are refused both in a chat, if an effort is asked for
    or, as they think by default, unless `none` is."""
    signs_calls: bool = False
    """Calls of tools without a signature of Gemini's are refused."""
    is_mistral: bool = False
    """The body is written as Mistral's schema has it, which knows no other field (`dialects/mistral_body`)."""


@positional_value
class Delivered:
    """A complete answer for the client. `text` is what was generated, for counting when `usage` tells no output."""

    body: bytes
    usage: Usage | None = None
    finish_reason: str | None = None
    text: str = ""

    def __repr__(self) -> str:
        """Without what was said."""
        return f"Delivered({len(self.body)} bytes, {self.usage}, {self.finish_reason})"


class ClientStream(Protocol):
    """Turns an upstream's bytes into the client's SSE frames. Sans-I/O; one per attempt.

    `started` turns true with the first semantic event (content, reasoning, tool call, finish). `ended` is true when
    the upstream completed the stream: the final frames, `[DONE]` included, have been returned. `failure` is set by an
    error event, garbage, or truncation; frames returned before it are still good and nothing follows.
    """

    started: bool
    ended: bool
    failure: UpstreamError | None
    usage: Usage | None
    finish_reason: str | None

    def feed(self, data: bytes) -> bytes:
        """Frames that are complete now, possibly none."""

    def close(self) -> bytes:
        """Call at the end of the upstream's body: the last frames, or `failure` becomes `StreamTruncated`."""

    def usage_frame(self, usage: Usage) -> bytes:
        """A usage chunk for a client that asked, when the upstream reported none; it goes before the final `[DONE]`."""

    def delivered_text(self) -> str:
        """The generated text that was returned so far (content, reasoning and tool arguments), for counting."""


class Adapter(abc.ABC):
    """One provider kind. Subclasses are small: address, authentication, paths, quirks."""

    kind: ClassVar[str]
    label: ClassVar[str]
    default_base_url: ClassVar[str | None] = None
    quirks: ClassVar[Quirks] = Quirks()
    operations: ClassVar[frozenset[Operation]] = frozenset(Operation)
    needs_credential: ClassVar[bool] = True
    own_options: ClassVar[tuple[Option, ...]] = ()
    """What `options` may say beside what they may of every kind."""

    version_path: ClassVar[str] = ""
    """What a base_url without a path (or with only its beginning) is completed to."""

    models_path: ClassVar[str | None] = "/models"
    """Below `root`."""

    most_inputs: ClassVar[int | None] = None
    """So many embeddings one request may ask for; more are asked for in several (`embedding_parts`)."""

    def __init__(self) -> None:
        self._headers = CredentialHeaders(self.auth_headers)

    def serving(self, request: ClientRequest, deployment: DeploymentSpec) -> "Adapter":
        """Whose `prepare`, `read_answer`, `open_stream` and `read_error` are this request's: another's where a kind speaks
        several dialects."""
        return self

    @abc.abstractmethod
    def prepare(self, request: ClientRequest, deployment: DeploymentSpec, secret: str) -> UpstreamRequest:
        """Raises `Unsupported` when the request asks for what this deployment cannot do."""

    @abc.abstractmethod
    def read_answer(
        self, request: ClientRequest, deployment: DeploymentSpec, headers: Mapping[str, str], body: bytes
    ) -> Delivered:
        """Raises an `UpstreamError` for an error in a 200 body, and `BadAnswer` for what is no answer at all."""

    @abc.abstractmethod
    def open_stream(self, request: ClientRequest, deployment: DeploymentSpec) -> ClientStream: ...

    # ---------------------------------------------------------------------------------- what most kinds have in common

    def auth_headers(self, secret: str, provider: ProviderSpec) -> Headers:
        """Lower-case names. Version headers belong here too."""
        return bearer(secret)

    def root(self, provider: ProviderSpec) -> str:
        """The base path with the kind's version segment, whether or not the configured base_url had it."""
        base, version = provider.base_path, self.version_path
        if base == version or not version.startswith(base):
            return base
        return version if not base or version[len(base)] == "/" else base

    def read_error(self, status: int, headers: Mapping[str, str], body: bytes, *, provider: str) -> UpstreamError:
        """`provider` is the name that operators gave it, for messages that tell a client who refused."""
        return upstream_errors.read_error(status, headers, body)

    def models_request(self, provider: ProviderSpec, secret: str) -> UpstreamRequest | None:
        """The provider's model list; None where there is none."""
        if self.models_path is None:
            return None
        headers = join_headers(self.auth_headers(secret, provider), provider.headers)
        return UpstreamRequest(method="GET", path=self.root(provider) + self.models_path, headers=headers)

    def read_models(self, body: bytes) -> tuple[ModelInfo, ...]:
        return read_model_list(body)


def configured_path(provider: ProviderSpec, operation: Operation) -> str | None:
    """`options.paths` may name another path per operation, from the root of the host."""
    paths = provider.options.get("paths")
    return str(paths[operation.value]) if isinstance(paths, dict) and operation.value in paths else None
