"""Cohere: the v2 chat and embed endpoints. Text completions are one user message, since v1's generate is retired."""

from providers.adapter_options import LINE, Option, one_of
from providers.adapters.credential_headers import bearer
from providers.adapters.model_list import ModelInfo
from providers.adapters.translated_stream import StreamDecoder
from providers.adapters.translating import TranslatingAdapter, load_object
from providers.dialects import cohere_chat
from providers.errors import BadAnswer
from providers.specs import DeploymentSpec, ProviderSpec
from providers.types import ChatAnswer, ChatCall, ClientRequest, EmbeddingsAnswer, JsonObject, Operation

_VERSIONS = ("/v1", "/v2")


class CohereAdapter(TranslatingAdapter):
    kind = "cohere"
    label = "Cohere"
    default_base_url = "https://api.cohere.com"
    operations = frozenset(Operation)
    models_path = "/v1/models?page_size=1000"
    obeys_one_call = False
    most_inputs = 96
    own_options = (
        Option(name="client_name", rule=LINE, meaning="For Cohere's logs."),
        Option(
            name="input_type",
            rule=one_of(*cohere_chat.INPUT_TYPES),
            meaning="Of embeddings whose client names none.",
            default=cohere_chat.DEFAULT_INPUT_TYPE,
            of_model=True,
        ),
    )

    def root(self, provider: ProviderSpec) -> str:
        """Chat is of version 2 and the model list of version 1, so a version in the base_url is taken off."""
        base = provider.base_path
        return next((base.removesuffix(version) for version in _VERSIONS if base.endswith(version)), base)

    def chat_path(self, deployment: DeploymentSpec) -> str:
        return f"{self.root(deployment.provider)}/v2/chat"

    def embeddings_path(self, deployment: DeploymentSpec) -> str:
        return f"{self.root(deployment.provider)}/v2/embed"

    def auth_headers(self, secret: str, provider: ProviderSpec) -> tuple[tuple[str, str], ...]:
        name = provider.options.get("client_name")
        named = (("x-client-name", str(name)),) if name else ()
        return bearer(secret) + named

    def encode(self, call: ChatCall, deployment: DeploymentSpec) -> JsonObject:
        provider = deployment.provider
        told = cohere_chat.with_told_names(call)
        return cohere_chat.encode_request(told, model=deployment.upstream_model, provider=provider.name)

    def decode(self, body: JsonObject, request: ClientRequest, deployment: DeploymentSpec) -> ChatAnswer:
        answer = cohere_chat.decode_answer(body, model=deployment.upstream_model)
        if not any(choice.tool_calls for choice in answer.choices):
            return answer
        return cohere_chat.with_own_names(answer, self._told_names(request, deployment))

    def stream_decoder(self, request: ClientRequest, deployment: DeploymentSpec) -> StreamDecoder:
        inner = cohere_chat.StreamDecoder(model=deployment.upstream_model)
        return cohere_chat.NamedStream(inner, lambda: self._told_names(request, deployment))

    def _told_names(self, request: ClientRequest, deployment: DeploymentSpec) -> dict[str, str]:
        return cohere_chat.told_names(self._call(request, deployment))

    def encode_embeddings(self, body: JsonObject, deployment: DeploymentSpec) -> JsonObject:
        options = {**deployment.provider.options, **deployment.options}
        return cohere_chat.encode_embeddings_request(
            body,
            model=deployment.upstream_model,
            provider=deployment.provider.name,
            input_type=options.get("input_type", cohere_chat.DEFAULT_INPUT_TYPE),
        )

    def decode_embeddings(self, body: JsonObject, deployment: DeploymentSpec) -> EmbeddingsAnswer:
        return cohere_chat.decode_embeddings(body, model=deployment.upstream_model)

    def read_models(self, body: bytes) -> tuple[ModelInfo, ...]:
        rows = load_object(body).get("models")
        if not isinstance(rows, list):
            raise BadAnswer("Cohere's model list has no 'models'.")
        return tuple(_model_info(row) for row in rows if isinstance(row, dict) and isinstance(row.get("name"), str))


def _model_info(row: JsonObject) -> ModelInfo:
    """Sizes are JSON floats."""
    window = row.get("context_length")
    is_known = isinstance(window, int | float) and window > 0
    return ModelInfo(id=row["name"], context_window=int(window) if is_known and window else None, raw=row)
