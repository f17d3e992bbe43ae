"""Providers that speak another dialect: a client's call becomes typed values, those become the provider's, and back.

A subclass gives its address, authentication, `encode`, `decode` and `stream_decoder`; what it does not mention it does
not have. Text completions are served as one user message; embeddings only where the three embeddings hooks are given
(add `Operation.EMBEDDINGS` to `operations`).
"""

import abc
from collections.abc import Callable, Mapping
from typing import ClassVar, TypeAlias

import orjson

from providers.adapters.asked_as_message import as_chat
from providers.adapters.base import Adapter, ClientStream, Delivered, configured_path
from providers.adapters.credential_headers import Headers
from providers.adapters.translated_stream import StreamDecoder, TranslatedStream
from providers.dialects import embeddings, openai_chat, text_completions
from providers.dialects.served_messages.own_fields import OWN
from providers.errors import BadAnswer, Unsupported
from providers.specs import DeploymentSpec
from providers.transport import UpstreamRequest
from providers.types import (
    ChatAnswer,
    ChatCall,
    ClientRequest,
    EmbeddingsAnswer,
    JsonObject,
    Operation,
    told,
)

_Encoders: TypeAlias = tuple[
    Callable[..., JsonObject], type[openai_chat.StreamEncoder] | type[text_completions.StreamEncoder]
]
"""For a whole answer and for a stream."""


class TranslatingAdapter(Adapter):
    operations: ClassVar[frozenset[Operation]] = frozenset({Operation.CHAT, Operation.COMPLETIONS})
    obeys_one_call: ClassVar[bool] = True
    """False where `parallel_tool_calls: false` cannot be said, so that further calls are left out of the answer."""
    speaks_messages: ClassVar[bool] = False
    """True where all that Anthropic's clients say is understood."""

    # ------------------------------------------------------------------------------------ hooks of subclasses

    @abc.abstractmethod
    def chat_path(self, deployment: DeploymentSpec) -> str:
        """Path (and query) from the root of the host; `self.root(provider)` is the completed base path."""

    @abc.abstractmethod
    def encode(self, call: ChatCall, deployment: DeploymentSpec) -> JsonObject:
        """The provider's body, `model` (upstream name) and `stream` included. Raises `Unsupported` or `ClientFault`."""

    @abc.abstractmethod
    def decode(self, body: JsonObject, request: ClientRequest, deployment: DeploymentSpec) -> ChatAnswer:
        """Raises an `UpstreamError` for an error in a 200 and `BadAnswer` for a shape that is no answer."""

    @abc.abstractmethod
    def stream_decoder(self, request: ClientRequest, deployment: DeploymentSpec) -> StreamDecoder: ...

    def headers_of_message(self, headers: Headers, own: JsonObject) -> Headers:
        """Of a chat that was asked for as a message; `own` is what only Anthropic's dialect can say."""
        return headers

    def embeddings_path(self, deployment: DeploymentSpec) -> str:
        raise NotImplementedError

    def encode_embeddings(self, body: JsonObject, deployment: DeploymentSpec) -> JsonObject:
        """OpenAI's embeddings body → the provider's. `encoding_format` is dealt with outside: give floats."""
        raise NotImplementedError

    def decode_embeddings(self, body: JsonObject, deployment: DeploymentSpec) -> EmbeddingsAnswer:
        raise NotImplementedError

    # -------------------------------------------------------------------------------------------- the seam

    def prepare(self, request: ClientRequest, deployment: DeploymentSpec, secret: str) -> UpstreamRequest:
        provider = deployment.provider
        if request.operation not in self.operations:
            raise Unsupported(field=request.operation.value, provider=provider.name)
        if request.operation is Operation.EMBEDDINGS:
            default, body = self.embeddings_path(deployment), self.encode_embeddings(request.body, deployment)
        else:
            call = self._call(request, deployment)
            _refuse_what_others_keep(call, provider.name)
            default, body = self.chat_path(deployment), self.encode(call, deployment)
        path, headers = configured_path(provider, request.operation) or default, self._headers.of(provider, secret)
        if OWN in request.body:
            headers = self.headers_of_message(headers, request.body[OWN])
        # By position, here and below: with keywords it would take twice as long.
        return UpstreamRequest(path, headers, orjson.dumps(body))

    def read_answer(
        self, request: ClientRequest, deployment: DeploymentSpec, headers: Mapping[str, str], body: bytes
    ) -> Delivered:
        answer = load_object(body)
        if request.operation is Operation.EMBEDDINGS:
            vectors = self.decode_embeddings(answer, deployment)
            embeddings.check_count(len(vectors.vectors), request.body)
            return Delivered(
                body=orjson.dumps(embeddings.encode_answer(vectors, request.body)), usage=told(vectors.usage)
            )
        chat = self.decode(answer, request, deployment)
        encode, _ = self._written_as(request)
        encoded = encode(chat, created=request.received_at_s, model=deployment.upstream_model)
        usage = told(chat.usage)
        finish = chat.choices[0].finish_reason if chat.choices else None
        text = "" if usage is not None and usage.output_tokens else openai_chat.generated_text(chat)
        return Delivered(orjson.dumps(encoded), usage, finish, text)

    def open_stream(self, request: ClientRequest, deployment: DeploymentSpec) -> ClientStream:
        _, frames = self._written_as(request)
        return TranslatedStream(
            decoder=self.stream_decoder(request, deployment),
            encoder=frames(
                model=deployment.upstream_model, created=request.received_at_s, include_usage=request.include_usage
            ),
        )

    def _call(self, request: ClientRequest, deployment: DeploymentSpec) -> ChatCall:
        body, provider = request.body, deployment.provider.name
        if request.operation is Operation.COMPLETIONS:
            return text_completions.decode_as_chat(body, provider=provider)
        if OWN in body and not self.speaks_messages:
            body = as_chat(body, deployment)
        return openai_chat.decode_request(body)

    def _written_as(self, request: ClientRequest) -> _Encoders:
        """In the form that the client asked in."""
        if request.operation is not Operation.CHAT:
            return text_completions.encode_answer, text_completions.StreamEncoder
        if openai_chat.speaks_of_functions(request.body):
            return openai_chat.encode_old_answer, openai_chat.OldStreamEncoder
        if not self.obeys_one_call and openai_chat.wants_one_call(request.body):
            return openai_chat.encode_one_call, openai_chat.OneCallEncoder
        return openai_chat.encode_answer, openai_chat.StreamEncoder


def _refuse_what_others_keep(call: ChatCall, provider: str) -> None:
    """Azure's search in the client's own documents, and recordings that OpenAI made and keeps: left out like other unknown
    fields, the answer would be made up."""
    if call.extra.get("data_sources"):
        raise Unsupported(field="data_sources", provider=provider, why="it is Azure's alone")
    if any(message.extra.get("audio") for message in call.messages):
        raise Unsupported(field="messages", provider=provider, why="a recording that another provider keeps")


def load_object(body: bytes) -> JsonObject:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadAnswer("The provider's answer is not JSON.", upstream_status=200) from None
    if not isinstance(answer, dict):
        raise BadAnswer("The provider's answer is not a JSON object.", upstream_status=200)
    return answer
