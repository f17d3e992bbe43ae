"""OpenAI's API as the demo speaks it: Bearer keys, `{"error": {…}}`, `/v1` or no prefix.

It stands in for Azure as well: the `api-key` header, and the paths `/openai/v1/…` and
`/openai/deployments/{deployment}/…?api-version=…`, where the deployment is the model, whatever the body says.
"""

import dataclasses
from urllib.parse import unquote

import orjson

from providers.demo import openai_chat, openai_texts
from providers.demo.wire import Answer, Call, Dialect, Handler, RefusalError, read_json
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


ROUTES: dict[str, Handler] = {
    "POST chat/completions": openai_chat.chat,
    "POST completions": openai_texts.completions,
    "POST embeddings": openai_texts.embeddings,
    "GET models": openai_texts.models,
    "GET models/*": openai_texts.model,
}


def azure(call: Call) -> Answer:
    """The same service behind Azure's paths."""
    surface, _, path = call.path.removeprefix("openai/").partition("/")
    body = call.body
    if surface == "deployments" and call.query.get("api-version"):
        deployment, _, path = path.partition("/")
        asked = read_json(call, openai_chat.not_json())
        body = orjson.dumps({**asked, "model": unquote(deployment)})
    elif surface != "v1":
        raise RefusalError(404, "Resource not found", code="404")
    handler = ROUTES.get(f"{call.method} {path}")
    if handler is None:
        raise RefusalError(404, "Resource not found", code="404")
    return handler(dataclasses.replace(call, path=path, body=body))


DIALECT = Dialect(
    name="openai",
    prefixes=("v1/",),
    routes={**ROUTES, "POST openai/*": azure, "GET openai/*": azure},
    authorize=authorize,
    error_body=error_body,
)
