"""API keys: `llmp-<id>-<secret>`. Pure but for the random source of `new_key`.

The id (16 lower-case hex digits) finds the row; the whole token's HMAC-SHA256 under a pepper, which lives outside the
database, is what the row holds. So nothing in the database opens a door, and a lookup by id compares in constant time.

A configuration file may bring keys of any other form (`api_keys`). Their id is derived from the token by another HMAC
under the same pepper: it tells nothing about the token, and finding the row takes no scan.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

PREFIX = "llmp-"
NONE_SENT = "There is no API key in this request: send it as 'Authorization: Bearer KEY'."
_TOKEN = re.compile(r"llmp-([0-9a-f]{16})-[A-Za-z0-9_-]{43}\Z")
# Shorter ones can be guessed through the front door; printable ASCII is what an HTTP header can carry.
_FREE_FORM = re.compile(r"[\x21-\x7e]{8,256}\Z")
_BLANKS = " \t\n\r\x0b\x0c"
_FREE_FORM_ID = b"llm-proxy free-form key id v1:"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """`token` is shown to its owner once and never stored; `hint` is its last four characters."""

    public_id: str
    digest: str
    hint: str
    token: str = field(repr=False)


def token_in(authorization: str | None, named: str | None) -> str | None:
    """The token of `Authorization: Bearer`, else of the header that is configured for keys; None when none was sent."""
    if authorization is not None and authorization[:7].lower() == "bearer ":
        return authorization[7:].strip(_BLANKS)
    return None if named is None else named.strip(_BLANKS)


class PresentedKey:
    """A token as a client presents it. A connection that presents it again keeps this, with the digest made once; whether
    that opens anything is looked up each time."""

    __slots__ = ("digest", "token")

    def __init__(self, token: str) -> None:
        self.token = token
        self.digest: bytes | None = None


def new_key(pepper: bytes, *, public_id: str | None = None) -> NewKey:
    """A fresh secret of 256 bits; give `public_id` to rotate the secret of an existing key."""
    identity = public_id or secrets.token_hex(8)
    token = f"{PREFIX}{identity}-{secrets.token_urlsafe(32)}"
    return NewKey(public_id=identity, digest=digest(token, pepper).hex(), hint=token[-4:], token=token)


def parse(token: str) -> str | None:
    """The public id of a well-formed token, or None."""
    found = _TOKEN.match(token)
    return None if found is None else found.group(1)


def is_generated(public_id: str) -> bool:
    """Whether the id is of our own form, so that a token can be made for it."""
    return len(public_id) == 16


def identify(token: str, pepper: bytes) -> str | None:
    """The public id that a token of either form is stored under; None for what cannot be a key."""
    known = parse(token)
    if known is not None or token.startswith(PREFIX) or not _FREE_FORM.match(token):
        return known
    return "f" + hmac.digest(pepper, _FREE_FORM_ID + token.encode("ascii"), "sha256").hex()[:24]


def free_form_key(token: str, pepper: bytes) -> NewKey | None:
    """What to store for a token that somebody else chose; None when it cannot be a key (8 to 256 printable characters)."""
    public_id = identify(token, pepper)
    if public_id is None:
        return None
    hint = token[-4:] if len(token) >= 16 else token[-2:]
    return NewKey(public_id=public_id, digest=digest(token, pepper).hex(), hint=hint, token=token)


def digest(token: str, pepper: bytes) -> bytes:
    return hmac.digest(pepper, token.encode("ascii"), "sha256")


def digester(pepper: bytes) -> Callable[[str], bytes]:
    """`digest` under one pepper, with the half of the work that is the same for every token done once (RFC 2104)."""
    block = (hashlib.sha256(pepper).digest() if len(pepper) > 64 else pepper).ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def digest_of(token: str) -> bytes:
        message, whole = inner.copy(), outer.copy()
        message.update(token.encode("ascii"))
        whole.update(message.digest())
        return whole.digest()

    return digest_of


def matches(candidate: bytes, stored: bytes) -> bool:
    return hmac.compare_digest(candidate, stored)
