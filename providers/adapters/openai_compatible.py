"""Providers that speak OpenAI's own dialect: the body goes through, the answer comes back as it is.

A subclass gives its address and, where it differs, authentication, paths, quirks and repairs of answers.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar, TypeAlias

import orjson

from providers.adapters.base import Adapter, ClientStream, Delivered, ModelInfo, Quirks
from providers.adapters.request_quirks import apply_quirks
from providers.dialects import embeddings, model_choice, upstream_errors
from providers.dialects.call_repair import mend_calls
from providers.dialects.chat_history import is_plain, written_plainly
from providers.dialects.content_parts import mend_choices
from providers.dialects.finish_reasons import mend_reasons
from providers.dialects.openai_chat.usage import read_usage
from providers.dialects.relay import RelayStream
from providers.errors import BadAnswer, Unsupported, UpstreamError
from providers.identity_cache import IdentityCache
from providers.specs import DeploymentSpec, ProviderSpec
from providers.transport import UpstreamRequest
from providers.types import ClientRequest, JsonObject, Operation, told

BASE_HEADERS = (
    ("content-type", "application/json"),
    ("accept", "application/json"),
    ("accept-encoding", "identity"),
    ("user-agent", "llm-proxy-api"),
)


Headers: TypeAlias = tuple[tuple[str, str], ...]
CHOOSING = model_choice.FIELDS
SUMMARY = "reasoning_summary"
"""Of the Responses API, which a chat of OpenAI's cannot be asked for: whoever can say it looks into the request."""
RARE = CHOOSING | {SUMMARY}
EMBEDDINGS = Operation.EMBEDDINGS
TOOLS_OR_THINKING = "Function tools with reasoning_effort are not supported"
THINKS_ELSEWHERE = "this model takes them in a chat only with reasoning_effort none"
REMEMBERED = 1024
"""Header tuples kept at most, one for each credential in use."""


class OpenAICompatibleAdapter(Adapter):
    version_path: ClassVar[str] = "/v1"
    """What a base_url without a path (or with only its beginning) is completed to."""

    models_path: ClassVar[str | None] = "/models"
    repairs: ClassVar[bool] = False
    """True when `repair` does something: answers and chunks are then written anew where it changed them."""

    def __init__(self) -> None:
        self._headers = CredentialHeaders(self.auth_headers)
        self._quirks = IdentityCache(self.quirks_for)
        self._paths = {each: IdentityCache(partial(self.path, each)) for each in self.operations}

    # ------------------------------------------------------------------------------------ hooks of subclasses

    def path(self, operation: Operation, deployment: DeploymentSpec) -> str:
        return operation_path(self.version_path, deployment.provider, operation)

    def auth_headers(self, secret: str, provider: ProviderSpec) -> tuple[tuple[str, str], ...]:
        return bearer(secret)

    def quirks_for(self, deployment: DeploymentSpec) -> Quirks:
        return self.quirks

    def shape(self, body: JsonObject, request: ClientRequest, deployment: DeploymentSpec) -> JsonObject:
        """Last changes to the upstream's body, a shallow copy that may be changed at its top level."""
        return body

    def repair(self, answer: JsonObject) -> bool:
        """Corrects an answer or a stream chunk in place; True when it changed something."""
        return False

    # -------------------------------------------------------------------------------------------- the seam

    def prepare(self, request: ClientRequest, deployment: DeploymentSpec, secret: str) -> UpstreamRequest:
        provider = deployment.provider
        if request.operation not in self.operations:
            raise Unsupported(field=request.operation.value, provider=provider.name)
        body = dict(request.body)
        if not RARE.isdisjoint(body):
            body.pop(SUMMARY, None)
            model_choice.leave_out(body, CHOOSING, provider.name)
        body["model"] = deployment.upstream_model
        quirks = self._quirks.get(deployment)
        if request.stream:
            _ask_for_usage(body, quirks)
        if quirks is not Adapter.quirks:
            apply_quirks(body, quirks, provider.name)
        path = self._paths[request.operation].get(deployment)
        shaped = orjson.dumps(self.shape(body, request, deployment))
        # By position, here and below: with keywords it would take twice as long.
        return UpstreamRequest(path, self._headers.of(provider, secret), shaped, "POST")

    def read_answer(
        self, request: ClientRequest, deployment: DeploymentSpec, headers: Mapping[str, str], body: bytes
    ) -> Delivered:
        answer = load_answer(body)
        operation = request.operation
        choices = answer.get("data" if operation is EMBEDDINGS else "choices")
        if not isinstance(choices, list) or not _are_objects(choices):
            raise _wrong_shape(answer)
        if self.repairs and self.repair(answer):
            body = orjson.dumps(answer)
        usage = told(read_usage(answer.get("usage")))
        if operation is EMBEDDINGS:
            embeddings.check_count(len(choices), request.body)
            if request.body.get("encoding_format") == "base64" and embeddings.pack_rows(choices):
                body = orjson.dumps(answer)
            return Delivered(body=body, usage=usage)
        if mend_reasons(choices) | mend_choices(choices):
            body = orjson.dumps(answer)
        reason = choices[0].get("finish_reason")
        if body.find(b'"tool_calls"') >= 0 and mend_calls(choices):
            body = orjson.dumps(answer)
        text = "" if usage is not None and usage.output_tokens else "".join(map(_choice_text, choices))
        return Delivered(body, usage, reason if isinstance(reason, str) else None, text)

    def open_stream(self, request: ClientRequest, deployment: DeploymentSpec) -> ClientStream:
        return RelayStream(request, repair=self.repair if self.repairs else None)

    def read_error(self, status: int, headers: Mapping[str, str], body: bytes, *, provider: str = "") -> UpstreamError:
        error = upstream_errors.read_error(status, headers, body)
        if status == 400 and error.message.startswith(TOOLS_OR_THINKING):
            # Azure and gateways before OpenAI say it as OpenAI does. Another candidate may take both.
            return Unsupported(field="tools", provider=provider or self.kind, why=THINKS_ELSEWHERE)
        return error

    def models_request(self, provider: ProviderSpec, secret: str) -> UpstreamRequest | None:
        if self.models_path is None:
            return None
        return UpstreamRequest(
            method="GET",
            path=root_path(self.version_path, provider) + self.models_path,
            headers=join_headers(self.auth_headers(secret, provider), provider.headers),
        )

    def read_models(self, body: bytes) -> tuple[ModelInfo, ...]:
        return read_model_list(body)


# ------------------------------------------------------------------------- parts that translating adapters use too


def root_path(version_path: str, provider: ProviderSpec) -> str:
    """The base path with the provider's version segment, whether or not the configured base_url had it."""
    base = provider.base_path
    if base == version_path or not version_path.startswith(base):
        return base
    return version_path if not base or version_path[len(base)] == "/" else base


def operation_path(version_path: str, provider: ProviderSpec, operation: Operation) -> str:
    return configured_path(provider, operation) or root_path(version_path, provider) + "/" + operation


def configured_path(provider: ProviderSpec, operation: Operation) -> str | None:
    """`options.paths` may name another path per operation, from the root of the host."""
    paths = provider.options.get("paths")
    return str(paths[operation.value]) if isinstance(paths, dict) and operation.value in paths else None


def bearer(secret: str) -> Headers:
    return (("authorization", f"Bearer {secret}"),) if secret else ()


class CredentialHeaders:
    """The same tuple for every call with one credential, so that the transport encodes it once. Remembered by identity: a
    new routing table has new specs, and what belonged to the old ones is dropped in time. `auth` takes (secret, provider)."""

    def __init__(self, auth: Callable[[str, ProviderSpec], Headers]) -> None:
        self._auth = auth
        self._remembered: dict[int, tuple[ProviderSpec, str, Headers]] = {}

    def of(self, provider: ProviderSpec, secret: str) -> Headers:
        known = self._remembered.get(id(secret))
        if known is not None and known[0] is provider and known[1] is secret:
            return known[2]
        headers = join_headers(self._auth(secret, provider), provider.headers)
        if len(self._remembered) >= REMEMBERED:
            self._remembered.clear()
        self._remembered[id(secret)] = (provider, secret, headers)
        return headers


def join_headers(auth: Headers, extra: Headers) -> Headers:
    """The provider's own configured headers win over ours of the same name. Secrets are not kept in any cache here."""
    if not extra:
        return BASE_HEADERS + auth
    joined = {name.lower(): value for name, value in (*BASE_HEADERS, *auth, *extra)}
    joined["accept-encoding"] = "identity"
    return tuple(joined.items())


def shape_history(body: JsonObject, *, has_developer: bool) -> None:
    """For servers that may be OpenAI's. Most conversations `has_plain_roles`, and need not be looked at."""
    messages = body.get("messages")
    if type(messages) is list and not is_plain(messages, has_developer=has_developer):
        body["messages"] = written_plainly(messages, has_developer=has_developer)


def load_answer(body: bytes) -> JsonObject:
    """`BadAnswer` for what is no JSON object; the error it stands for, for an error in a 200."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadAnswer("The provider's answer is not JSON.", upstream_status=200) from None
    if isinstance(answer, list) and answer and isinstance(answer[0], dict) and answer[0].get("error"):
        answer = answer[0]
    if not isinstance(answer, dict):
        raise BadAnswer("The provider's answer is not a JSON object.", upstream_status=200)
    if answer.get("error"):
        raise upstream_errors.error_of_object(answer)
    return answer


def read_model_list(body: bytes) -> tuple[ModelInfo, ...]:
    """OpenAI's list, and the fields by which OpenRouter, vLLM, Mistral and others add sizes to it."""
    try:
        listing = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadAnswer("The provider's model list is not JSON.") from None
    rows = listing.get("data") if isinstance(listing, dict) else listing
    if not isinstance(rows, list):
        raise BadAnswer("The provider's model list has no 'data'.")
    return tuple(_model_info(row) for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str))


def _model_info(row: JsonObject) -> ModelInfo:
    top = row.get("top_provider")
    names = ("context_length", "max_model_len", "context_window", "max_context_length")
    window = next((size for name in names if (size := row.get(name))), None)
    largest = row.get("max_output_tokens") or row.get("max_completion_tokens")
    if isinstance(top, dict):
        largest = largest or top.get("max_completion_tokens")
    return ModelInfo(id=row["id"], context_window=_size(window), max_output_tokens=_size(largest), raw=row)


def _size(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and value > 0 else None


def _ask_for_usage(body: JsonObject, quirks: Quirks) -> None:
    """Usage is always asked for: accounting needs it, and the stream hides it from clients that did not ask."""
    if not quirks.accepts_stream_options:
        body.pop("stream_options", None)
        return
    options = body.get("stream_options")
    body["stream_options"] = (
        {**options, "include_usage": True} if isinstance(options, dict) else {"include_usage": True}
    )


def _are_objects(choices: list[Any]) -> bool:
    """And some. A loop of its own: mostly there is one, and every way to do it in one call takes six times as long."""
    for choice in choices:
        if type(choice) is not dict:
            return False
    return bool(choices)


def _choice_text(choice: JsonObject) -> str:
    message = choice.get("message")
    if not isinstance(message, dict):
        return str(choice.get("text") or "")
    parts = [
        message.get("reasoning_content") or message.get("reasoning"),
        message.get("content"),
        message.get("refusal"),
    ]
    for call in message.get("tool_calls") or ():
        function = (call.get("function") or call.get("custom")) if isinstance(call, dict) else None
        if isinstance(function, dict):
            parts += [function.get("name"), function.get("arguments") or function.get("input")]
    return "".join(part for part in parts if isinstance(part, str))


def _wrong_shape(answer: JsonObject) -> UpstreamError:
    if answer.get("message") or answer.get("detail"):
        return upstream_errors.error_of_object(answer)
    return BadAnswer("The provider's answer holds no answer.", upstream_status=200)
