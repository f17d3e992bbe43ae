"""Who asks for a page or an API outside `/v1`: a client's key, or a signed-in person. Both end as a `Caller`.

The data plane has its own, cached way (`accounts.authentication`); here one query per request is cheap enough, and the
rules are the same: the id finds the row, the token's HMAC is compared in constant time.
"""

import time
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest

from accounts import keys, rules
from accounts.errors import AccountsUnavailable, InvalidApiKey, PermissionDenied
from accounts.key_source import KeyRow, SqlKeySource

READ, ADMIN = "read", "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """`key_id` is None for a person. Staff may see everything here, and do what `permitted` lets them; an `admin` key may
    do everything; `read` only looks."""

    name: str
    scopes: frozenset[str]
    key_id: int | None = None
    team_id: int | None = None
    tenant: str = ""
    user: Any = None

    @property
    def is_admin(self) -> bool:
        return ADMIN in self.scopes

    def may(self, scope: str) -> bool:
        return scope in self.scopes or self.is_admin


def presented_token(request: HttpRequest, key_header: str) -> str | None:
    """The key of `Authorization: Bearer` or of the configured header; None when none was sent."""
    return keys.token_in(request.headers.get("Authorization"), request.headers.get(key_header))


def identify(request: HttpRequest, key_header: str) -> Caller | None:
    """A key that was sent decides alone, even when it is wrong: it never falls back to a session. None: nobody.
    Raises InvalidApiKey, PermissionDenied (address) or AccountsUnavailable."""
    token = presented_token(request, key_header)
    if token is not None:
        return caller_of_token(token, request.META.get("REMOTE_ADDR"))
    user = getattr(request, "user", None)
    try:
        if user is None or not user.is_authenticated or not user.is_active:
            return None
        scopes = frozenset({READ, ADMIN}) if user.is_staff else frozenset[str]()
        return Caller(name=user.get_username(), scopes=scopes, user=user)
    except DatabaseError as error:
        raise AccountsUnavailable("Sessions cannot be checked at the moment.") from error


def caller_of_token(token: str, client_ip: str | None) -> Caller:
    public_id = keys.identify(token, str(settings.KEY_PEPPER).encode())
    if public_id is None:
        raise InvalidApiKey("The API key is malformed." if token else keys.NONE_SENT)
    try:
        row = SqlKeySource().read((public_id,)).get(public_id)
    except DatabaseError as error:
        raise AccountsUnavailable("API keys cannot be checked at the moment.") from error
    now = time.time()
    if row is None or not _is_secret_of(row, token, now):
        raise InvalidApiKey("The API key is wrong.")
    if now >= row.usable_until:
        raise InvalidApiKey("The API key is disabled, revoked or expired.")
    if row.networks and not rules.address_allowed(row.networks, client_ip):
        raise PermissionDenied(f"The API key may not be used from {client_ip or 'this address'}.")
    return Caller(
        name=row.name,
        scopes=frozenset(row.scopes),
        key_id=row.id,
        team_id=row.team_id,
        tenant=row.tenant,
    )


def _is_secret_of(row: KeyRow, token: str, now: float) -> bool:
    candidate = keys.digest(token, str(settings.KEY_PEPPER).encode())
    return any([keys.matches(candidate, digest) and now < valid_until for digest, valid_until in row.digests])


def required(request: HttpRequest, scope: str) -> Caller:
    """The caller, who has `scope`. `request.identify` is set by the key authentication middleware; without it nobody
    gets in."""
    caller: Caller | None = request.identify()  # type: ignore[attr-defined]
    if caller is None:
        raise InvalidApiKey("Send an API key as 'Authorization: Bearer …', or sign in.")
    if not caller.may(scope):
        raise PermissionDenied(f"This needs the scope '{scope}'.")
    return caller


def is_staff(user: Any) -> bool:
    return bool(user.is_authenticated and user.is_active and user.is_staff)


def permission_missing(permission: str) -> str:
    return f"This needs the permission '{permission}', or a key with the scope 'admin'."


def permitted(caller: Caller, permission: str) -> None:
    """Of a person, whose permissions in the admin hold here as well. Raises PermissionDenied or AccountsUnavailable."""
    if caller.user is None:
        return
    try:
        allowed = caller.user.has_perm(permission)
    except DatabaseError as error:
        raise AccountsUnavailable("Permissions cannot be checked at the moment.") from error
    if not allowed:
        raise PermissionDenied(permission_missing(permission))
