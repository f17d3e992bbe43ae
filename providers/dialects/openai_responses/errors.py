"""What a failure in a Responses answer means, whether it came with a status, in a 200 body, or in the stream. Pure.

Shapes: `{"error": {"message", "type", "param", "code"}}`; an answer with status `failed` and `error`; the stream's
`response.failed`, with the error in the response (OpenAI) or beside it (Perplexity); the stream's `error` event, flat
or nested.
"""

from providers.dialects import upstream_errors
from providers.dialects.overflow import find_overflow
from providers.dialects.upstream_errors import classify, facts_of_object
from providers.errors import ContentFiltered, UpstreamError
from providers.types import JsonObject

# Codes that only the Responses API has. A request is at fault for each of them, but only some are moderation.
FILTERED = frozenset({"cyber_policy", "misalignment_policy_violation", "image_content_policy_violation"})
CLIENTS_FAULT = frozenset(
    {
        "data_residency_mismatch", "invalid_image", "invalid_image_format", "invalid_base64_image", "invalid_image_url",
        "image_too_large", "image_too_small", "image_parse_error", "invalid_image_mode", "image_file_too_large",
        "unsupported_image_media_type", "empty_image_file", "failed_to_download_image", "image_file_not_found",
        "invalid_encrypted_content",
    }
)  # fmt: skip


def error_in(body: JsonObject) -> JsonObject | None:
    """The error object of an answer or event, whichever way it is written; None when there is none."""
    error = body.get("error")
    if isinstance(error, dict):
        return error
    if isinstance(error, str) and error:
        return {"message": error, "code": body.get("code")}
    if body.get("type") == "error" or ("message" in body and ("code" in body or "statusCode" in body)):
        return {name: body.get(name) for name in ("message", "code", "param")}
    return None


def classify_error(error: JsonObject) -> UpstreamError:
    """An error object that came with status 200."""
    code = error.get("code")
    facts = facts_of_object(400, {}, {"error": error})
    if code in FILTERED:
        return ContentFiltered(facts.message, upstream_status=200)
    if code in CLIENTS_FAULT or find_overflow(status=200, code=facts.code, message=facts.message) is not None:
        return classify(facts)
    return upstream_errors.error_of_object({"error": error})
