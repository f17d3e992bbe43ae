"""Cohere's errors: `{"message": str, "id"?: str}`, flat, with statuses 400 to 504 and 498 (a denied token) of its own.

Inside a stream or an answer there is no status at all: only a text, and the finish reasons ERROR and TIMEOUT.
"""

from typing import Any

from providers.dialects import upstream_errors
from providers.dialects.overflow import find_overflow
from providers.dialects.redaction import redact
from providers.errors import ContextOverflow, ServerFailed, UpstreamError, UpstreamTimeout
from providers.types import JsonObject


def read_error_object(value: JsonObject) -> UpstreamError | None:
    """The error in an object that came with status 200, or None when it is not one: a message is a text only there."""
    text = value.get("message")
    if isinstance(text, str) and text:
        return _overflow(text) or upstream_errors.error_of_object(value)
    return upstream_errors.error_of_object(value) if value.get("error") else None


def read_failure(finish_reason: Any, text: Any) -> UpstreamError | None:
    """The error of a generation that stopped with ERROR or TIMEOUT, or that carries an error text."""
    message = redact(text) if isinstance(text, str) and text else ""
    if finish_reason == "TIMEOUT":
        return UpstreamTimeout(message or "Cohere's generation timed out.", phase="total")
    if finish_reason == "ERROR" or message:
        return _overflow(message) or ServerFailed(message or "Cohere's generation failed.")
    return None


def _overflow(message: str) -> ContextOverflow | None:
    found = find_overflow(status=200, code=None, message=message)
    if found is None:
        return None
    return ContextOverflow(
        redact(message),
        upstream_status=200,
        limit_tokens=found.limit_tokens,
        requested_tokens=found.requested_tokens,
    )
