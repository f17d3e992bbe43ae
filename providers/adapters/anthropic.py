"""Anthropic: the Messages API. Text completions are one user message; there are no embeddings.

`max_tokens`, which Anthropic requires: the client's, at most the deployment's `max_output_tokens`; without the
client's the deployment's; without both 4096.
"""

import functools
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from providers.adapter_options import FLAG, LINE, Option, Rule, mapping_of
from providers.adapters.credential_headers import Headers
from providers.adapters.model_list import ModelInfo
from providers.adapters.translated_stream import StreamDecoder
from providers.adapters.translating import TranslatingAdapter, load_object
from providers.dialects import anthropic_messages
from providers.dialects.anthropic_messages import JSON_ANSWER_TOOL, ModelTraits
from providers.dialects.served_messages.own_fields import BETAS, OWN, own_of
from providers.errors import BadAnswer, Misconfigured, UpstreamError
from providers.specs import DeploymentSpec, ProviderSpec
from providers.types import ChatAnswer, ChatCall, ClientRequest, JsonObject

DEFAULT_API_VERSION = "2023-06-01"
BETA_HEADER = "anthropic-beta"
FIRST_VERSION_WITH_BEARER = "2026-10-21"

_API_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}")
_MODEL = re.compile(r"claude-(?:(?P<family>[a-z]+)-)?v?(?P<major>\d{1,2})(?:[-.](?P<minor>\d{1,2}))?(?!\d)")

_CLAUDE_3 = ModelTraits()
_CLAUDE_4_1 = ModelTraits(sampling_pair=False)
_CLAUDE_4_5 = replace(_CLAUDE_4_1, structured_output=True)
_CLAUDE_4_6 = replace(_CLAUDE_4_5, prefill=False, adaptive_thinking=True)
_CLAUDE_4_7 = replace(_CLAUDE_4_6, sampling=False, budgets=False, xhigh_effort=True)
_CLAUDE_4_8 = replace(_CLAUDE_4_7, late_system=True)
_ALWAYS_THINKING = replace(_CLAUDE_4_8, always_thinking=True)
_NEWEST = replace(_ALWAYS_THINKING, forced_tools=False)

_TRAITS: tuple[tuple[tuple[int, int], frozenset[str], ModelTraits], ...] = (
    ((4, 1), frozenset(), _CLAUDE_4_1),
    ((4, 5), frozenset(), _CLAUDE_4_5),
    ((4, 6), frozenset(), _CLAUDE_4_6),
    ((4, 7), frozenset(), _CLAUDE_4_7),
    ((4, 8), frozenset(), _CLAUDE_4_8),
    ((5, 0), frozenset({"fable", "mythos"}), _ALWAYS_THINKING),
    ((5, 1), frozenset(), _NEWEST),
    ((5, 1), frozenset({"haiku"}), _CLAUDE_4_8),
)
"""From a version on, for some families or (empty) for all; a later row wins. Source: the capability flags of the public
price catalogues (`supports_sampling_params`, `supports_assistant_prefill`, `supports_forced_tool_use` …)."""

_NAMED = {"claude-mythos-preview": replace(_CLAUDE_4_7, always_thinking=True)}


@functools.lru_cache(maxsize=4096)
def traits_of_model(model: str) -> ModelTraits:
    """What a model accepts, by its name, with or without a vendor's prefix or a date. A Claude without a known version
    counts as the newest; a model of another name as the widest."""
    name = model.lower()
    for known, traits in _NAMED.items():
        if known in name:
            return traits
    found = _MODEL.search(name)
    if found is None:
        return _NEWEST if "claude-" in name else _CLAUDE_3
    version = (int(found["major"]), int(found["minor"] or 0))
    chosen = _CLAUDE_3
    for since, families, traits in _TRAITS:
        if version >= since and (not families or found["family"] in families):
            chosen = traits
    return chosen


def check_api_version(version: str) -> str:
    """`ValueError` for what is no version; it becomes a header and decides how the key is sent."""
    if not _API_VERSION.fullmatch(version):
        raise ValueError(f"'{version}' is no Anthropic api_version: a date such as {DEFAULT_API_VERSION}.")
    return version


def _is_api_version(value: Any) -> bool:
    return isinstance(value, str) and _API_VERSION.fullmatch(value) is not None


def _is_beta(value: Any) -> bool:
    return LINE.fits(value) or (isinstance(value, list) and all(map(LINE.fits, value)))


class AnthropicAdapter(TranslatingAdapter):
    kind = "anthropic"
    label = "Anthropic"
    default_base_url = "https://api.anthropic.com"
    version_path = "/v1"
    models_path = "/models?limit=1000"
    speaks_messages = True
    own_options = (
        Option(
            name="api_version",
            rule=Rule(label=f"a date such as {DEFAULT_API_VERSION}", fits=_is_api_version),
            meaning=f"From {FIRST_VERSION_WITH_BEARER} on the key goes as a bearer token, and no sampling parameters.",
            default=DEFAULT_API_VERSION,
        ),
        Option(
            name="beta",
            rule=Rule(label="a text or a list of texts", fits=_is_beta),
            meaning="Sent as `anthropic-beta`.",
        ),
        Option(
            name="base_model",
            rule=LINE,
            meaning="The model that the upstream's own name does not tell.",
            of_provider=False,
            of_model=True,
        ),
        Option(
            name="traits",
            rule=mapping_of(FLAG, *(trait.name for trait in fields(ModelTraits))),
            meaning="Overrule what the model is known to accept.",
            of_provider=False,
            of_model=True,
        ),
    )

    def root(self, provider: ProviderSpec) -> str:
        """Unlike elsewhere, whatever path a base_url has, the version comes after it: Anthropic's own clients and the
        servers that imitate it do so."""
        return provider.base_path.removesuffix(self.version_path) + self.version_path

    def chat_path(self, deployment: DeploymentSpec) -> str:
        return f"{self.root(deployment.provider)}/messages"

    def auth_headers(self, secret: str, provider: ProviderSpec) -> tuple[tuple[str, str], ...]:
        version = _api_version(provider)
        headers = [("anthropic-version", version)]
        if secret and version >= FIRST_VERSION_WITH_BEARER:
            headers.append(("authorization", f"Bearer {secret}"))
        elif secret:
            headers.append(("x-api-key", secret))
        if beta := provider.options.get("beta"):
            headers.append((BETA_HEADER, beta if isinstance(beta, str) else ",".join(map(str, beta))))
        return tuple(headers)

    def headers_of_message(self, headers: Headers, own: JsonObject) -> Headers:
        """With the client's betas behind the provider's."""
        asked = own.get(BETAS)
        if not asked:
            return headers
        configured = dict(headers).get(BETA_HEADER, "")
        told = [name.strip() for name in configured.split(",") if name.strip()]
        told += [name for name in asked if name not in told]
        return (*[line for line in headers if line[0] != BETA_HEADER], (BETA_HEADER, ",".join(told)))

    def traits_for(self, deployment: DeploymentSpec) -> ModelTraits:
        traits = traits_of_model(str(deployment.options.get("base_model") or deployment.upstream_model))
        changes = deployment.options.get("traits")
        try:
            return replace(traits, **changes) if changes else traits
        except TypeError:
            why = "'traits' names what is no trait of a model."
            raise Misconfigured(provider=deployment.provider.name, why=why) from None

    def encode(self, call: ChatCall, deployment: DeploymentSpec) -> JsonObject:
        if OWN in call.extra:
            # It was asked in this very dialect, how much to think too.
            call = replace(call, extra=own_of(call.extra), reasoning_effort=None)
        return anthropic_messages.encode_request(
            call,
            model=deployment.upstream_model,
            max_output_tokens=deployment.max_output_tokens,
            traits=self.traits_for(deployment),
            version=_api_version(deployment.provider),
            provider=deployment.provider.name,
        )

    def decode(self, body: JsonObject, request: ClientRequest, deployment: DeploymentSpec) -> ChatAnswer:
        return anthropic_messages.decode_answer(
            body,
            json_tool=self._json_tool(request, deployment),
            provider=deployment.provider.name,
            in_place=OWN in request.body,
        )

    def stream_decoder(self, request: ClientRequest, deployment: DeploymentSpec) -> StreamDecoder:
        return anthropic_messages.StreamDecoder(
            json_tool=self._json_tool(request, deployment),
            provider=deployment.provider.name,
            in_place=OWN in request.body,
        )

    def read_error(self, status: int, headers: Mapping[str, str], body: bytes, *, provider: str) -> UpstreamError:
        return anthropic_messages.read_error(status, headers, body, provider=provider)

    def read_models(self, body: bytes) -> tuple[ModelInfo, ...]:
        rows = load_object(body).get("data")
        if not isinstance(rows, list):
            raise BadAnswer("Anthropic's model list has no 'data'.")
        return tuple(_model_info(row) for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str))

    def _json_tool(self, request: ClientRequest, deployment: DeploymentSpec) -> str | None:
        """The tool that stands for structured output in this request, if it was given one."""
        wanted = request.body.get("response_format")
        has_schema = isinstance(wanted, dict) and wanted.get("type") == "json_schema"
        return JSON_ANSWER_TOOL if has_schema and not self.traits_for(deployment).structured_output else None


def _api_version(provider: ProviderSpec) -> str:
    try:
        return check_api_version(str(provider.options.get("api_version") or DEFAULT_API_VERSION))
    except ValueError as error:
        raise Misconfigured(provider=provider.name, why=error) from None


def _model_info(row: JsonObject) -> ModelInfo:
    window, largest = row.get("max_input_tokens"), row.get("max_tokens")
    return ModelInfo(
        id=row["id"],
        context_window=window if type(window) is int and window > 0 else None,
        max_output_tokens=largest if type(largest) is int and largest > 0 else None,
        raw=row,
    )
