"""An error in the shape of Anthropic's API, and in OpenAI's too: `code` and `param` stand beside what Anthropic says. Pure."""

from typing import Any

from providers.dialects.served_chat import frame
from providers.types import JsonObject

TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
NO_THREADS = "thread_unsupported_request"


def error_body(error: Any, request_id: str) -> JsonObject:
    """`error` has a status, a message, a code and a param."""
    kind = TYPES.get(error.status) or ("invalid_request_error" if 400 <= error.status < 500 else "api_error")
    message = error.message
    if error.code == "context_length_exceeded":
        # By these words Claude Code knows that it has to shorten the conversation.
        message = f"prompt is too long: {message}"
    said = {"type": kind, "message": message, "code": error.code, "param": error.param}
    if error.code == NO_THREADS:
        # Here Anthropic's client looks for it, whose tool runner then goes on with whole conversations.
        said["details"] = {"error_code": NO_THREADS, "unsupported": []}
    return {"type": "error", "error": said, "request_id": request_id}


def error_event(error: Any, request_id: str) -> bytes:
    return frame(error_body(error, request_id))
