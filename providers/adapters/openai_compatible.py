"""Providers that speak OpenAI's own dialect: the body goes through, the answer comes back as it is.

A subclass gives its address and, where it differs, authentication, paths, quirks and repairs of answers.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import orjson

from providers.adapters.asked_as_message import as_chat
from providers.adapters.base import Adapter, ClientStream, Delivered, Quirks, configured_path
from providers.adapters.request_quirks import apply_quirks
from providers.dialects import embeddings, model_choice, upstream_errors
from providers.dialects.call_repair import mend_calls
from providers.dialects.chat_history import is_plain, written_plainly
from providers.dialects.content_parts import mend_choices
from providers.dialects.finish_reasons import mend_calling, mend_reasons
from providers.dialects.openai_chat.request import say_effort
from providers.dialects.openai_chat.usage import read_usage
from providers.dialects.relay import RelayStream
from providers.dialects.served_messages.own_fields import OWN
from providers.dialects.tool_images import shown_by_user
from providers.errors import BadAnswer, Unsupported, UpstreamError
from providers.identity_cache import IdentityCache
from providers.specs import DeploymentSpec
from providers.transport import UpstreamRequest
from providers.types import ClientRequest, JsonObject, Operation, told

CHOOSING = model_choice.FIELDS
SUMMARY = "reasoning_summary"
"""Of the Responses API, which a chat of OpenAI's cannot be asked for: whoever can say it looks into the request."""
REASONING = "reasoning"
"""OpenRouter's, which many servers know or pass over, and some refuse."""
METADATA = "metadata"
"""Labels of what OpenAI stores. Clients of other gateways send it with everything: LiteLLM's keep their tags there."""
RARE = CHOOSING | {SUMMARY, REASONING, METADATA, OWN}
EMBEDDINGS = Operation.EMBEDDINGS
TOOLS_OR_THINKING = "Function tools with reasoning_effort are not supported"
THINKS_ELSEWHERE = "this model takes them in a chat only with reasoning_effort none"


class OpenAICompatibleAdapter(Adapter):
    version_path = "/v1"
    repairs: ClassVar[bool] = False
    """True when `repair` does something: answers and chunks are then written anew where it changed them."""
    takes_marks: ClassVar[bool] = False
    """True where Anthropic's marks for the cache and efforts of any model are understood in a chat."""

    def __init__(self) -> None:
        super().__init__()
        self._quirks = IdentityCache(self.quirks_for)
        self._paths = {each: IdentityCache(partial(self.path, each)) for each in self.operations}

    # ------------------------------------------------------------------------------------ hooks of subclasses

    def path(self, operation: Operation, deployment: DeploymentSpec) -> str:
        provider = deployment.provider
        return configured_path(provider, operation) or f"{self.root(provider)}/{operation}"

    def quirks_for(self, deployment: DeploymentSpec) -> Quirks:
        return self.quirks

    def refuses_reasoning(self, deployment: DeploymentSpec) -> bool:
        """Whether an effort has to be said in OpenAI's own word, `reasoning_effort`."""
        return False

    def refuses_metadata(self, deployment: DeploymentSpec) -> bool:
        """Of what is not to be stored."""
        return False

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
            if OWN in body:
                body = as_chat(body, deployment, marked=self.takes_marks)
            if REASONING in body and self.refuses_reasoning(deployment):
                say_effort(body)
            if METADATA in body and body.get("store") is not True and self.refuses_metadata(deployment):
                del body[METADATA]
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
        if body.find(b'"tool_calls"') >= 0 and mend_calling(choices, request.body) | mend_calls(choices):
            body = orjson.dumps(answer)
        reason = choices[0].get("finish_reason")
        text = "" if usage is not None and usage.output_tokens else "".join(map(_choice_text, choices))
        return Delivered(body, usage, reason if isinstance(reason, str) else None, text)

    def open_stream(self, request: ClientRequest, deployment: DeploymentSpec) -> ClientStream:
        return RelayStream(request, repair=self.repair if self.repairs else None)

    def read_error(self, status: int, headers: Mapping[str, str], body: bytes, *, provider: str) -> UpstreamError:
        error = super().read_error(status, headers, body, provider=provider)
        if status == 400 and error.message.startswith(TOOLS_OR_THINKING):
            # Azure and gateways before OpenAI say it as OpenAI does. Another candidate may take both.
            return Unsupported(field="tools", provider=provider, why=THINKS_ELSEWHERE)
        return error


def shape_history(body: JsonObject, *, has_developer: bool) -> None:
    """For servers that may be OpenAI's. Most conversations `has_plain_roles`, and need not be looked at."""
    messages = body.get("messages")
    if type(messages) is list and not is_plain(messages, has_developer=has_developer):
        body["messages"] = written_plainly(messages, has_developer=has_developer)


def show_images(body: JsonObject, request: ClientRequest) -> None:
    """For servers that take images from users only, of a request whose roles are not plain."""
    messages = body.get("messages")
    if request.has_media and type(messages) is list:
        body["messages"] = shown_by_user(messages)


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
