"""Perplexity: the Agent API by default, Sonar's chat completions with option `dialect: sonar`, and embeddings."""

import base64
import binascii
import struct
from typing import Any

from providers.adapter_options import FLAG, LINE, Option, one_of
from providers.adapters.base import Adapter, ClientStream, Quirks, configured_path
from providers.adapters.openai_compatible import OpenAICompatibleAdapter
from providers.adapters.translated_stream import StreamDecoder
from providers.adapters.translating import TranslatingAdapter
from providers.dialects.openai_chat.usage import read_usage
from providers.dialects.openai_responses.answer import decode_answer
from providers.dialects.openai_responses.stream import StreamDecoder as ResponsesDecoder
from providers.dialects.perplexity_agent import encode_agent_request
from providers.dialects.perplexity_sonar import ChunkRepair, repair_answer, strict_turns
from providers.dialects.relay import RelayStream
from providers.errors import BadAnswer, Unsupported
from providers.specs import DeploymentSpec, ProviderSpec
from providers.types import ChatAnswer, ChatCall, ClientRequest, EmbeddingsAnswer, JsonObject, Operation


def _place(index: Any, position: int) -> int:
    return index if isinstance(index, int) else position


def floats_of_int8(encoded: Any) -> tuple[float, ...]:
    """Base64 of signed bytes. They are not scaled: cosine similarity does not depend on it."""
    if not isinstance(encoded, str):
        raise BadAnswer("The provider's embedding is not base64.", upstream_status=200)
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise BadAnswer("The provider's embedding is not base64.", upstream_status=200) from None
    return tuple(float(value) for value in struct.unpack(f"{len(data)}b", data))


class PerplexitySonar(OpenAICompatibleAdapter):
    kind = "perplexity"
    label = "Perplexity (Sonar)"
    version_path = ""
    operations = frozenset({Operation.CHAT})
    repairs = True
    quirks = Quirks(
        dropped=frozenset({"user", "seed", "metadata", "store", "service_tier", "parallel_tool_calls", "verbosity"}),
        refused=frozenset({"logprobs", "top_logprobs", "logit_bias", "audio", "stop"}),
        max_tokens_field="max_tokens",
        accepts_stream_options=False,
        accepts_name_in_messages=False,
    )

    def path(self, operation: Operation, deployment: DeploymentSpec) -> str:
        provider = deployment.provider
        return configured_path(provider, operation) or f"{_root(provider)}/chat/completions"

    def shape(self, body: JsonObject, request: ClientRequest, deployment: DeploymentSpec) -> JsonObject:
        provider = deployment.provider.name
        if body.pop("n", None) not in (None, 1):
            raise Unsupported(field="n", provider=provider)
        body["messages"] = strict_turns(body.get("messages") or (), provider=provider)
        return body

    def repair(self, answer: JsonObject) -> bool:
        return repair_answer(answer)

    def open_stream(self, request: ClientRequest, deployment: DeploymentSpec) -> ClientStream:
        return RelayStream(request, repair=ChunkRepair())


def _root(provider: ProviderSpec) -> str:
    """Sonar has no `/v1` and the Agent API has one, so a base_url is taken with and without it."""
    return provider.base_path.removesuffix("/v1")


class PerplexityAdapter(TranslatingAdapter):
    """The Agent API, unless a chat is to be in the other dialect. Embeddings and the model list are the same for both."""

    kind = "perplexity"
    label = "Perplexity"
    default_base_url = "https://api.perplexity.ai"
    operations = frozenset(Operation)
    models_path = "/v1/models"
    obeys_one_call = False
    quirks = Quirks(
        refused=frozenset({"logprobs", "top_logprobs", "moderation"}),
        dropped=frozenset({"user", "parallel_tool_calls", "include", "text"}),
    )
    most_inputs = 512
    own_options = (
        Option(
            name="dialect",
            rule=one_of("agent", "sonar"),
            meaning="The Agent API, or chat completions.",
            default="agent",
            of_model=True,
        ),
        Option(name="preset", rule=LINE, meaning="A preset of the Agent API.", of_model=True),
        Option(
            name="web_search",
            rule=FLAG,
            meaning="Whether the web is searched without being asked.",
            default="true for Perplexity's own models",
            of_model=True,
        ),
    )

    def __init__(self) -> None:
        super().__init__()
        self._sonar = PerplexitySonar()

    def serving(self, request: ClientRequest, deployment: DeploymentSpec) -> Adapter:
        dialect = deployment.options.get("dialect") or deployment.provider.options.get("dialect")
        return self._sonar if dialect == "sonar" and request.operation is Operation.CHAT else self

    def root(self, provider: ProviderSpec) -> str:
        return _root(provider)

    def chat_path(self, deployment: DeploymentSpec) -> str:
        return f"{self.root(deployment.provider)}/v1/responses"

    def embeddings_path(self, deployment: DeploymentSpec) -> str:
        return f"{self.root(deployment.provider)}/v1/embeddings"

    def encode(self, call: ChatCall, deployment: DeploymentSpec) -> JsonObject:
        provider = deployment.provider
        return encode_agent_request(
            call,
            model=deployment.upstream_model,
            quirks=self.quirks,
            provider=provider.name,
            options={**provider.options, **deployment.options},
        )

    def decode(self, body: JsonObject, request: ClientRequest, deployment: DeploymentSpec) -> ChatAnswer:
        return decode_answer(body)

    def stream_decoder(self, request: ClientRequest, deployment: DeploymentSpec) -> StreamDecoder:
        return ResponsesDecoder()

    def encode_embeddings(self, body: JsonObject, deployment: DeploymentSpec) -> JsonObject:
        """Bytes are the only number format on offer."""
        texts = body.get("input")
        many = texts if isinstance(texts, list) else [texts]
        if not all(isinstance(text, str) for text in many):
            raise Unsupported(field="input", provider=deployment.provider.name, why="token arrays are not read")
        encoded = {"model": deployment.upstream_model, "input": texts, "encoding_format": "base64_int8"}
        return encoded if body.get("dimensions") is None else {**encoded, "dimensions": body["dimensions"]}

    def decode_embeddings(self, body: JsonObject, deployment: DeploymentSpec) -> EmbeddingsAnswer:
        rows = body.get("data")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise BadAnswer("The provider's embeddings have no data.", upstream_status=200)
        ordered = sorted(enumerate(rows), key=lambda row: _place(row[1].get("index"), row[0]))
        return EmbeddingsAnswer(
            vectors=tuple(floats_of_int8(row.get("embedding")) for _, row in ordered),
            model=str(body.get("model") or deployment.upstream_model),
            usage=read_usage(body.get("usage")),
        )
