"""xAI's Grok: OpenAI's dialect with habits of its own. Sources: docs.x.ai, and what other gateways had to work around.

* A bad key is a 400, and errors may come with status 200, streams included (the shared error reader knows both).
* `stop` and penalties are refused by grok-4 and later and by the code models; live search left chat completions.
* In streams every delta may repeat the role, a reasoning delta may come twice, tool calls come whole and may lack an
  index, and citations come with the usage, when the last choice is already finished.
* A conversation that ends with the assistant's turn may have that turn echoed.
* `finish_reason` may be empty next to tool calls (mended as everybody's); `completion_tokens` may leave reasoning out.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from providers.adapters.base import ClientStream, Delivered, Quirks
from providers.adapters.openai_compatible import OpenAICompatibleAdapter, load_answer, show_images
from providers.dialects.openai_chat.answer import encode_citation
from providers.dialects.openai_chat.usage import client_usage, read_usage
from providers.dialects.relay import RelayStream
from providers.lenient import objects
from providers.specs import DeploymentSpec
from providers.types import Citation, ClientRequest, JsonObject, Operation

_STRICT_MODELS = re.compile(r"(?:^|/)grok-(?:(?:[4-9]|\d{2,})(?:[.\-]|$)|.*\bcode\b|build)")
_SILENT_MODELS = re.compile(
    r"(?:^|/)grok-(?:4(?:-\d{4}|-latest)?$|4(?:-1|\.1)?-fast|4[.\-]20(?!.*multi-agent)|code-fast|[23](?![\d.]|-mini))"
)
_ALWAYS_THINKING = re.compile(r"grok-4[.\-][5-9](?!\d)")
_XHIGH_MODELS = re.compile(r"grok-4\.[6-9]")
_REFUSED_BY_STRICT = frozenset({"stop", "presence_penalty", "frequency_penalty"})


class GrokAdapter(OpenAICompatibleAdapter):
    kind = "grok"
    label = "xAI Grok"
    default_base_url = "https://api.x.ai/v1"
    operations = frozenset({Operation.CHAT, Operation.COMPLETIONS})
    quirks = Quirks(
        dropped=frozenset({"logit_bias", "prediction", "store", "verbosity", "safety_identifier"}),
        refused=frozenset({"web_search_options", "search_parameters", "audio", "deferred"}),
        accepts_name_in_messages=False,
        accepts_strict_tools=False,
        flattens_text_parts=True,
    )
    repairs = True

    def quirks_for(self, deployment: DeploymentSpec) -> Quirks:
        quirks = self.quirks
        if _STRICT_MODELS.search(deployment.upstream_model.lower()):
            return replace(quirks, refused=quirks.refused | _REFUSED_BY_STRICT)
        return quirks

    def shape(self, body: JsonObject, request: ClientRequest, deployment: DeploymentSpec) -> JsonObject:
        if not request.has_plain_roles:
            show_images(body, request)
        effort = body.get("reasoning_effort")
        if effort is None:
            return body
        model = deployment.upstream_model.lower()
        if _SILENT_MODELS.search(model):
            # These reason always or never, and refuse to be told how much.
            del body["reasoning_effort"]
        elif effort in ("xhigh", "max"):
            body["reasoning_effort"] = "xhigh" if _XHIGH_MODELS.search(model) else "high"
        elif effort == "minimal" or (effort == "none" and _ALWAYS_THINKING.search(model)):
            body["reasoning_effort"] = "low"
        return body

    def repair(self, answer: JsonObject) -> bool:
        usage = read_usage(answer.get("usage"))
        if usage is None:
            return False
        said = answer["usage"]
        answer["usage"] = client_usage(said, usage)
        return answer["usage"] is not said

    def read_answer(
        self, request: ClientRequest, deployment: DeploymentSpec, headers: Mapping[str, str], body: bytes
    ) -> Delivered:
        prefill = prefill_of(request)
        if prefill:
            answer = load_answer(body)
            for choice in objects(answer.get("choices")):
                message = choice.get("message")
                if isinstance(message, dict) and message.get("content") == prefill:
                    message["content"] = ""
                    body = orjson.dumps(answer)
        return super().read_answer(request, deployment, headers, body)

    def open_stream(self, request: ClientRequest, deployment: DeploymentSpec) -> ClientStream:
        return RelayStream(request, repair=Habits(prefill=prefill_of(request)))


def prefill_of(request: ClientRequest) -> str | None:
    """The text of the assistant's turn that the client left for the model to continue."""
    messages = request.body.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else None
    if isinstance(last, dict) and last.get("role") == "assistant" and isinstance(last.get("content"), str):
        return last["content"] or None
    return None


class Habits:
    """Corrects the chunks of one stream, before the relay's own mending. A chunk with reasoning counts as changed always, so
    that the relay never takes it for a pattern by which a repetition passes unseen."""

    def __init__(self, *, prefill: str | None = None) -> None:
        self._prefill = prefill
        self._reasoning: dict[Any, str | None] = {}

    def __call__(self, chunk: JsonObject) -> bool:
        choices = chunk.get("choices")
        if choices == [] and isinstance(chunk.get("citations"), list) and chunk["citations"]:
            chunk["choices"] = [_citations_choice(chunk["citations"])]
            return True
        changed = False
        for choice in objects(choices):
            delta = choice.get("delta")
            if isinstance(delta, dict):
                changed = self._repair(delta, choice.get("index")) or changed
        return changed

    def _repair(self, delta: JsonObject, index: Any) -> bool:
        reasoning = delta.get("reasoning_content")
        if reasoning:
            if reasoning == self._reasoning.get(index):
                del delta["reasoning_content"]
            self._reasoning[index] = reasoning
        elif delta.get("content") or delta.get("tool_calls"):
            self._reasoning[index] = None
        is_echo = bool(self._prefill) and delta.get("content") == self._prefill
        if is_echo:
            delta["content"] = ""
        return is_echo or bool(reasoning)


def _citations_choice(urls: list[Any]) -> JsonObject:
    annotations = [encode_citation(Citation(url=url)) for url in urls if isinstance(url, str)]
    return {"index": 0, "delta": {"annotations": annotations}, "logprobs": None, "finish_reason": None}
