"""OpenAI's API as the demo speaks it: Bearer keys, `{"error": {…}}`, `/v1` or no prefix.

For Azure's adapter the `api-key` header is accepted as well.
"""

from providers.demo import openai_chat, openai_texts
from providers.demo.wire import Call, Dialect, RefusalError
from providers.types import JsonObject

KINDS = {
    "overloaded": "server_error",
    "request_too_large": "invalid_request_error",
    "not_found_error": "invalid_request_error",
}


def authorize(call: Call) -> None:
    key = call.bearer or call.headers.get("api-key", "")
    if not key:
        text = (
            "You didn't provide an API key. You need to provide your API key in an Authorization header using "
            "Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
        )
        raise RefusalError(401, text, kind="invalid_request_error")
    if call.settings.require_key is not None and key != call.settings.require_key:
        text = f"Incorrect API key provided: {key[:3]}***{key[-2:]}."
        raise RefusalError(401, text, kind="invalid_request_error", code="invalid_api_key")


def error_body(refusal: RefusalError, call: Call) -> JsonObject:
    kind = KINDS.get(refusal.kind, refusal.kind)
    return {"error": {"message": refusal.message, "type": kind, "param": refusal.param, "code": refusal.code}}


DIALECT = Dialect(
    name="openai",
    prefixes=("v1/",),
    routes={
        "POST chat/completions": openai_chat.chat,
        "POST completions": openai_texts.completions,
        "POST embeddings": openai_texts.embeddings,
        "GET models": openai_texts.models,
        "GET models/*": openai_texts.model,
    },
    authorize=authorize,
    error_body=error_body,
)
