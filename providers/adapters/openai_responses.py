"""OpenAI's Responses API as an upstream.

For models that chat completions does not serve (`*-pro`, some of codex), and for services that recommend it, such as
xAI's at `https://api.x.ai/v1`.
"""

from providers.adapters.translated_stream import StreamDecoder
from providers.adapters.translating import TranslatingAdapter
from providers.dialects.openai_responses.answer import decode_answer
from providers.dialects.openai_responses.request import encode_request
from providers.dialects.openai_responses.stream import StreamDecoder as ResponsesDecoder
from providers.specs import DeploymentSpec
from providers.types import ChatAnswer, ChatCall, ClientRequest, JsonObject


class OpenAIResponsesAdapter(TranslatingAdapter):
    kind = "openai_responses"
    label = "OpenAI Responses API"
    default_base_url = "https://api.openai.com/v1"
    version_path = "/v1"
    needs_credential = False

    def chat_path(self, deployment: DeploymentSpec) -> str:
        return f"{self.root(deployment.provider)}/responses"

    def encode(self, call: ChatCall, deployment: DeploymentSpec) -> JsonObject:
        return encode_request(
            call,
            model=deployment.upstream_model,
            quirks=self.quirks,
            provider=deployment.provider.name,
        )

    def decode(self, body: JsonObject, request: ClientRequest, deployment: DeploymentSpec) -> ChatAnswer:
        return decode_answer(body)

    def stream_decoder(self, request: ClientRequest, deployment: DeploymentSpec) -> StreamDecoder:
        return ResponsesDecoder()
