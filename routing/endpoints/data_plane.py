"""`/v1/*`: the OpenAI-compatible front as plain ASGI. Each endpoint decodes and delegates to the gateway."""

import logging
import time
from urllib.parse import unquote

from accounts.errors import AccessDenied, PermissionDenied
from accounts.header_lines import header_lines
from accounts.records import Principal
from monitoring.logs import current_request_id
from providers.dialects.json_limits import JsonRefusedError, loads_strict
from providers.types import ClientRequest, Operation
from routing.call import CallOptions
from routing.endpoints.cors import cors_headers, is_preflight, preflight_headers
from routing.endpoints.decoding import decode
from routing.endpoints.exchange import ClientGone, HttpExchange, Receive, Scope, Send
from routing.endpoints.models import list_models, one_model
from routing.endpoints.repeatable import answer_once
from routing.errors import (
    ClientFacing,
    InternalError,
    InvalidRequest,
    RequestError,
    UnknownRoute,
    UnsupportedMediaType,
    WrongMethod,
)
from routing.gateway import Gateway

logger = logging.getLogger("llm_proxy.routing.endpoints")

OPERATIONS = {operation.value: operation for operation in Operation}
PATHS = {f"/v1/{name}": name for name in OPERATIONS}
"""Paths as they should be, which need no closer look."""
COMPLETIONS_SCOPE = "completions"
JSON_MEDIA_TYPES = ("application/json", "text/json", "+json")
LONGEST_TAGS = 16
NO_TAGS: frozenset[str] = frozenset()


class DataPlane:
    """The ASGI application of `/v1/`. `gateway` is set when the worker has opened it."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = HttpExchange(scope, receive, send)
        current_request_id.set(exchange.request_id)
        if origins := self._gateway.table.policy.cors_origins:
            exchange.extra_headers += cors_headers(exchange, origins)
        try:
            await self._dispatch(exchange)
        except ClientGone:
            logger.debug("client left before its request was complete", extra={"request_id": exchange.request_id})
        except (AccessDenied, RequestError) as error:
            self._report(exchange, error)
            await exchange.fail(error, header_lines(error.headers))
        except Exception:
            logger.exception("request failed inside the gateway", extra={"request_id": exchange.request_id})
            failure = InternalError("The gateway failed to process this request.")
            self._report(exchange, failure)
            await exchange.fail(failure)

    async def _dispatch(self, exchange: HttpExchange) -> None:
        method = exchange.scope["method"]
        path = PATHS.get(exchange.scope["path"]) or _normal_path(exchange.scope["path"])
        if method == "OPTIONS" and is_preflight(exchange):
            headers = preflight_headers(exchange, self._gateway.table.policy)
            return await exchange.reply(204 if headers else 403, b"", headers)
        token = exchange.bearer(self._gateway.table.policy.api_key_header)
        principal = await self._gateway.accounts.authenticate(token or "", exchange.client_ip)
        if COMPLETIONS_SCOPE not in principal.scopes:
            raise PermissionDenied("This key lacks the scope 'completions'.")
        exchange.principal = principal
        if path in OPERATIONS:
            _require(method, "POST")
            return await self._complete(exchange, path, principal)
        if path == "models":
            _require(method, "GET")
            return await exchange.reply_json(200, list_models(self._gateway.table, principal))
        if path.startswith("models/"):
            _require(method, "GET")
            return await exchange.reply_json(200, one_model(self._gateway.table, principal, unquote(path[7:])))
        raise UnknownRoute(f"There is no endpoint {method} {exchange.scope['path'][:200]}.")

    def _report(self, exchange: HttpExchange, error: ClientFacing) -> None:
        path = _normal_path(exchange.scope["path"])
        self._gateway.settlement.reports.refused(
            error,
            request_id=exchange.request_id,
            endpoint=path if path in OPERATIONS else "models" if path.startswith("models") else "other",
            duration_s=time.monotonic() - exchange.began_at,
            principal=exchange.principal,
        )

    async def _complete(self, exchange: HttpExchange, path: str, principal: Principal) -> None:
        _check_media_type(exchange)
        body = await exchange.body()
        request, options = _decode(OPERATIONS[path], body), _options(exchange, path)
        if options.idempotency_key is not None and not request.stream:
            await answer_once(self._gateway, exchange, request, body=body, principal=principal, options=options)
            return
        await self._gateway.answer(
            request, request_id=exchange.request_id, principal=principal, options=options, sink=exchange
        )


def _normal_path(path: str) -> str:
    """The part below `/v1/`, forgiving a repeated `/v1`, doubled and trailing slashes (clients join URLs badly)."""
    parts = [part for part in path.split("/") if part]
    while parts and parts[0] == "v1":
        parts.pop(0)
    return "/".join(parts)


def _require(method: str, allowed: str) -> None:
    if method != allowed:
        raise WrongMethod(f"Use {allowed} for this endpoint, not {method}.")


def _check_media_type(exchange: HttpExchange) -> None:
    given = exchange.headers.get(b"content-type", b"application/json")
    if given == b"application/json":
        return
    media_type = given.decode("latin-1").split(";")[0].strip()
    if media_type and not media_type.lower().endswith(JSON_MEDIA_TYPES):
        raise UnsupportedMediaType(f"Send application/json, not '{media_type[:100]}'.")


def _decode(operation: Operation, body: bytes) -> ClientRequest:
    try:
        return decode(operation, loads_strict(body), raw=body, received_at_s=int(time.time()))
    except JsonRefusedError as error:
        raise InvalidRequest(f"The body is not acceptable JSON: {error}", code="invalid_json") from None


def _options(exchange: HttpExchange, endpoint: str) -> CallOptions:
    headers = exchange.headers
    tags = headers.get(b"x-llm-proxy-tags")
    caching = headers.get(b"cache-control")
    no_cache = b"x-llm-proxy-no-cache" in headers or (caching is not None and b"no-store" in caching)
    timeout_s = _timeout(exchange) if b"x-llm-proxy-timeout" in headers else None
    key = exchange.header(b"idempotency-key")
    return CallOptions(endpoint, exchange.client_ip, _tags(tags) if tags else NO_TAGS, no_cache, timeout_s, key)


def _tags(value: bytes) -> frozenset[str]:
    tags = frozenset(tag.strip() for tag in value.decode("latin-1").split(",") if tag.strip())
    if len(tags) > LONGEST_TAGS:
        raise InvalidRequest(f"'x-llm-proxy-tags' has more than {LONGEST_TAGS} tags.")
    return tags


def _timeout(exchange: HttpExchange) -> float:
    try:
        seconds = float(exchange.header(b"x-llm-proxy-timeout") or "")
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 86400:
        raise InvalidRequest("'x-llm-proxy-timeout' must be a number of seconds above 0.")
    return seconds
