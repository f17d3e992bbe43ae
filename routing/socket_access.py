"""Who may open `/ws/v1/chat/completions`: a client's key, or signed-in staff who may see the providers, from a page of ours.

A key comes in the same headers as on `/v1`, or, because browsers cannot set headers here, as the subprotocols
`llm-proxy, key.<KEY>`; then `llm-proxy` is what the handshake answers, never the key.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from channels.db import database_sync_to_async
from django.db import DatabaseError

from accounts.errors import AccountsUnavailable, InvalidApiKey, PermissionDenied
from accounts.keys import token_in
from accounts.records import Principal
from accounts.socket_session import user_of_now
from routing.endpoints.request_head import client_ip
from routing.gateway import Gateway

SUBPROTOCOL = "llm-proxy"
KEY_PREFIX = "key."
COMPLETIONS_SCOPE = "completions"
TRY = "providers.view_provider"
"""What a person needs in order to try a model without a key: calls cost money, and no limit counts them."""

Scope = Mapping[str, Any]
OriginTest = Callable[[Scope], bool]


async def authenticate(scope: Scope, gateway: Gateway, trusted_origin: OriginTest) -> Principal:
    """Raises AccessDenied. A key that was sent decides alone: it never falls back to the session.

    Asked before each generation, not only at the handshake: meanwhile a key may be revoked, and a person signed out."""
    policy = gateway.table.policy
    token = presented_key(scope, policy.api_key_header)
    if not trusted_origin(scope) and not (token and _allowed_by_cors(scope, policy.cors_origins)):
        raise PermissionDenied("Pages of this origin may not connect.")
    if token is None:
        return await _staff(scope)
    principal = await gateway.accounts.authenticate(token, client_ip(scope))
    if COMPLETIONS_SCOPE not in principal.scopes:
        raise PermissionDenied("This key lacks the scope 'completions'.")
    return principal


def presented_key(scope: Scope, key_header: str) -> str | None:
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    token = token_in(headers.get(b"authorization"), headers.get(key_header.lower().encode("latin-1")))
    if token is not None:
        return token
    offered: Sequence[str] = scope.get("subprotocols") or ()
    return next((each[len(KEY_PREFIX) :] for each in offered if each.startswith(KEY_PREFIX)), None)


def chosen_subprotocol(scope: Scope) -> str | None:
    return SUBPROTOCOL if SUBPROTOCOL in (scope.get("subprotocols") or ()) else None


def _allowed_by_cors(scope: Scope, origins: frozenset[str]) -> bool:
    origin = dict(scope["headers"]).get(b"origin", b"").decode("latin-1")
    return "*" in origins or origin in origins


async def _staff(scope: Scope) -> Principal:
    try:
        user = await user_of_now(scope)
        allowed = await database_sync_to_async(user.has_perm)(TRY)
    except DatabaseError as error:
        raise AccountsUnavailable("Sessions cannot be checked at the moment.") from error
    if not user.is_authenticated or not user.is_active:
        raise InvalidApiKey("Send an API key, or sign in.")
    if not user.is_staff:
        raise PermissionDenied("Only staff may use the gateway without an API key.")
    if not allowed:
        raise PermissionDenied(f"Without an API key this needs the permission '{TRY}'.")
    # No key stands behind it: the ledger books it without one, and nothing of it is shared with keys.
    return Principal(
        key_id=0,
        public_id="playground",
        name=f"{user.get_username()} (playground)",
        tenant=f"staff:{user.pk}",
        scopes=frozenset({COMPLETIONS_SCOPE}),
    )
