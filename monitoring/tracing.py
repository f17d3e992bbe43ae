"""OpenTelemetry spans of finished calls, when the extra `otel` is installed and an exporter is configured.

    request (server) → attempt (client), with the attributes of the GenAI conventions

Spans are made when the call is over, from what was measured anyway: an absent extra costs nothing, a present one stays
off the hot path but for one call of `observe`. The standard OTEL_* variables configure the exporter, and are read by
OpenTelemetry itself. Attribute names are constants here because the conventions are still incubating
(https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/).
"""

import importlib
import logging
import re
from typing import Any

from monitoring.finished_call import NOT_A_FAILURE, FinishedAttempt, FinishedCall

logger = logging.getLogger("llm_proxy.monitoring.tracing")

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
FINISH_REASONS = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_TOKEN = "llm_proxy.time_to_first_token"  # noqa: S105 - a name of an attribute
OPERATIONS = {
    "chat/completions": "chat",
    "completions": "text_completion",
    "embeddings": "embeddings",
    "responses": "chat",
    "messages": "chat",
}

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")


def parse_traceparent(header: str | None) -> tuple[str, str] | None:
    """Trace id and parent span id of a W3C `traceparent`; None for none, and for what is malformed or all zeros."""
    match = _TRACEPARENT.fullmatch(header.strip()) if header else None
    if match is None or not int(match[1], 16) or not int(match[2], 16):
        return None
    return match[1], match[2]


def configure_tracing() -> "Tracing | None":
    """None when the extra is not installed. Starts the exporter's own thread."""
    try:
        sdk = importlib.import_module("opentelemetry.sdk.trace")
        export = importlib.import_module("opentelemetry.sdk.trace.export")
        resources = importlib.import_module("opentelemetry.sdk.resources")
        otlp = importlib.import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    except ImportError:
        logger.debug("tracing is off: the extra 'otel' is not installed")
        return None
    provider = sdk.TracerProvider(resource=resources.Resource.create({"service.name": "llm-proxy-api"}))
    provider.add_span_processor(export.BatchSpanProcessor(otlp.OTLPSpanExporter()))
    return Tracing(provider)


class Tracing:
    """`observe` makes the spans of a call. `provider` is an OpenTelemetry TracerProvider."""

    def __init__(self, provider: Any) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("llm_proxy")
        self._api = importlib.import_module("opentelemetry.trace")

    def observe(self, call: FinishedCall) -> None:
        api = self._api
        began = call.ended_at - call.duration_s
        span = self._tracer.start_span(
            f"{OPERATIONS.get(call.endpoint, call.endpoint)} {call.model}",
            context=self._parent(call),
            kind=api.SpanKind.SERVER,
            attributes=request_attributes(call),
            start_time=_nanoseconds(began),
        )
        inside = api.set_span_in_context(span)
        for attempt in call.attempts:
            self._attempt(call, attempt, inside, began)
        if call.status >= 500:
            span.set_status(api.Status(api.StatusCode.ERROR, call.error_type))
        span.end(end_time=_nanoseconds(call.ended_at))

    def close(self) -> None:
        self._provider.shutdown()

    def _attempt(self, call: FinishedCall, attempt: FinishedAttempt, inside: Any, began: float) -> None:
        api = self._api
        started = began + attempt.started_s
        span = self._tracer.start_span(
            f"attempt {attempt.deployment or attempt.provider}",
            context=inside,
            kind=api.SpanKind.CLIENT,
            attributes=attempt_attributes(call, attempt),
            start_time=_nanoseconds(started),
        )
        if attempt.outcome not in NOT_A_FAILURE:
            span.set_status(api.Status(api.StatusCode.ERROR, attempt.outcome))
        span.end(end_time=_nanoseconds(started + attempt.duration_s))

    def _parent(self, call: FinishedCall) -> Any:
        """The client's own span, so that its trace goes on here."""
        if call.trace_id is None or call.parent_span_id is None:
            return None
        api = self._api
        context = api.SpanContext(
            trace_id=int(call.trace_id, 16),
            span_id=int(call.parent_span_id, 16),
            is_remote=True,
            trace_flags=api.TraceFlags(api.TraceFlags.SAMPLED),
        )
        return api.set_span_in_context(api.NonRecordingSpan(context))


def request_attributes(call: FinishedCall) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        OPERATION: OPERATIONS.get(call.endpoint, call.endpoint),
        PROVIDER: call.provider,
        REQUEST_MODEL: call.model,
        INPUT_TOKENS: call.input_tokens,
        OUTPUT_TOKENS: call.output_tokens,
        "http.response.status_code": call.status,
        "llm_proxy.request_id": call.request_id,
        "llm_proxy.revision": call.revision,
        "llm_proxy.attempts": len(call.attempts),
        "llm_proxy.stream": call.stream,
    }
    optional = {
        FINISH_REASONS: None if call.finish_reason is None else [call.finish_reason],
        TIME_TO_FIRST_TOKEN: call.first_token_s,
        "error.type": call.error_type,
        "llm_proxy.cache": call.cache,
        "llm_proxy.team": call.team,
        "llm_proxy.cost_usd": None if call.cost_nano_usd is None else call.cost_nano_usd / 1e9,
    }
    attributes.update({name: value for name, value in optional.items() if value is not None})
    return attributes


def attempt_attributes(call: FinishedCall, attempt: FinishedAttempt) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        OPERATION: OPERATIONS.get(call.endpoint, call.endpoint),
        PROVIDER: attempt.provider,
        REQUEST_MODEL: attempt.deployment.partition("/")[2] or call.model,
        "llm_proxy.outcome": attempt.outcome,
    }
    if attempt.status is not None:
        attributes["http.response.status_code"] = attempt.status
    if attempt.first_token_s is not None:
        attributes[TIME_TO_FIRST_TOKEN] = attempt.first_token_s - attempt.started_s
    if attempt.outcome not in NOT_A_FAILURE:
        attributes["error.type"] = attempt.outcome
    return attributes


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1_000_000_000)
