"""`/v1/*`, and what clients write for it (`places`): the OpenAI-compatible front as plain ASGI. Each endpoint decodes and
delegates to the gateway."""

import logging
import time
from functools import partial
from urllib.parse import unquote

from accounts.errors import AccessDenied, PermissionDenied
from accounts.header_lines import header_lines
from accounts.records import Principal
from monitoring.logs import current_request_id
from providers.dialects.json_limits import JsonRefusedError, loads_strict
from providers.types import ClientRequest
from routing.endpoints.cors import cors_headers, is_preflight, preflight_headers
from routing.endpoints.decoding import decode
from routing.endpoints.exchange import ClientConnection, ClientGone, HttpExchange, Receive, Send, connection_of
from routing.endpoints.fronts import Front
from routing.endpoints.messages import count_message_tokens, read_message_request
from routing.endpoints.models import list_models, one_model
from routing.endpoints.places import BASE_URL, COUNT_TOKENS, MESSAGES, MODELS, OPERATIONS, RESPONSES
from routing.endpoints.repeatable import answer_once
from routing.endpoints.request_head import ANTHROPICS_BETA, RequestHead, Scope
from routing.endpoints.responses import read_response_request
from routing.errors import (
    ClientFacing,
    InternalError,
    InvalidRequest,
    RequestError,
    UnknownRoute,
    WrongMethod,
)
from routing.gateway import Gateway
from routing.table import GatewayPolicy

logger = logging.getLogger("llm_proxy.routing.endpoints")

COMPLETIONS_SCOPE = "completions"
SERVED = f"under /v1 are {', '.join(OPERATIONS)} and {MODELS}"
"""For clients that begin with another part of OpenAI's API unless they are told."""
ENDINGS = tuple(f"/{name}" for name in (*OPERATIONS, MODELS))


class DataPlane:
    """The ASGI application of `/v1/`. `gateway` is set when the worker has opened it."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = RequestHead(scope)
        connection = connection_of(scope)
        if connection is not None and head.endpoint in OPERATIONS:
            connection.remember(partial(self._answer, head))
        await self._answer(head, connection, receive, send)

    async def _answer(
        self, head: RequestHead, connection: ClientConnection | None, receive: Receive, send: Send
    ) -> None:
        exchange = HttpExchange(head, connection, receive, send)
        current_request_id.set(exchange.request_id)
        policy = self._gateway.table.policy
        if origins := policy.cors_origins:
            exchange.extra_headers += cors_headers(head, origins)
        if head.of_messages:
            # Where Anthropic's clients look for it.
            exchange.extra_headers += b"request-id: %b\r\n" % exchange.request_id.encode()
        try:
            await self._dispatch(exchange, policy)
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

    async def _dispatch(self, exchange: HttpExchange, policy: GatewayPolicy) -> None:
        head = exchange.head
        if head.method == "OPTIONS" and is_preflight(head):
            await exchange.reply(204, b"", preflight_headers(head, policy))
            return
        principal = await self._gateway.accounts.check(head.key(policy.api_key_header), head.client_ip)
        if COMPLETIONS_SCOPE not in principal.scopes:
            raise PermissionDenied("This key lacks the scope 'completions'.")
        exchange.principal = principal
        if head.endpoint not in OPERATIONS:
            await self._tell(exchange, principal)
            return
        _require(head.method, "POST")
        options = head.options
        body = exchange.whole_body()
        if body is None:
            body = await exchange.body()
        request, front = _decode(head, body, exchange.request_id)
        if options.idempotency_key is not None and not request.stream:
            whole = f"{head.deployment}\n".encode() + body if head.deployment else body
            await answer_once(
                self._gateway, exchange, request, body=whole, principal=principal, options=options, front=front
            )
        else:
            sink = exchange if front is None else front(exchange)
            await self._gateway.answer(
                request, request_id=exchange.request_id, principal=principal, options=options, sink=sink
            )

    async def _tell(self, exchange: HttpExchange, principal: Principal) -> None:
        """What needs no provider."""
        head, table = exchange.head, self._gateway.table
        if head.endpoint == COUNT_TOKENS:
            _require(head.method, "POST")
            return await self._count_tokens(exchange, principal)
        if head.endpoint == MODELS:
            _require(head.method, "GET", "HEAD")
            return await exchange.reply_json(list_models(table, principal, of_messages=head.of_messages))
        if head.endpoint.startswith("models/"):
            _require(head.method, "GET", "HEAD")
            name = unquote(head.endpoint[7:])
            return await exchange.reply_json(one_model(table, principal, name, of_messages=head.of_messages))
        hint = f" {BASE_URL}" if head.endpoint.endswith(ENDINGS) else ""
        raise UnknownRoute(f"There is no endpoint {head.method} {head.path[:200]}; {SERVED}.{hint}")

    async def _count_tokens(self, exchange: HttpExchange, principal: Principal) -> None:
        exchange.head.check_content()
        body = await exchange.body()
        try:
            request, counted = count_message_tokens(body)
        except JsonRefusedError as error:
            raise _not_json(error) from None
        self._gateway.route(request, principal)
        await exchange.reply_json(counted)

    def _report(self, exchange: HttpExchange, error: ClientFacing) -> None:
        path = exchange.head.endpoint
        self._gateway.settlement.reports.refused(
            error,
            request_id=exchange.request_id,
            endpoint=path if path in OPERATIONS else "models" if path.startswith("models") else "other",
            duration_s=time.monotonic() - exchange.began_at,
            principal=exchange.principal,
        )


def _require(method: str, *allowed: str) -> None:
    if method not in allowed:
        raise WrongMethod(method, ", ".join(allowed))


def _decode(head: RequestHead, body: bytes, request_id: str) -> tuple[ClientRequest, Front | None]:
    endpoint = head.endpoint
    try:
        if endpoint == RESPONSES:
            return read_response_request(body, request_id)
        if endpoint == MESSAGES:
            return read_message_request(body, request_id, beta=head.header(ANTHROPICS_BETA) or "")
        asked = loads_strict(body)
        if head.deployment:
            # As at Azure, where what the body calls the model means nothing.
            asked["model"] = head.deployment
        return decode(OPERATIONS[endpoint], asked, raw=body, received_at_s=int(time.time())), None
    except JsonRefusedError as error:
        raise _not_json(error) from None


def _not_json(error: JsonRefusedError) -> InvalidRequest:
    return InvalidRequest(f"The body {error}", code="invalid_json")
