"""What the head of a request says, read once: its connection may keep it for the next request with the same head."""

from collections.abc import Collection, Mapping
from typing import Any

from accounts.keys import PresentedKey, token_in
from monitoring.tracing import parse_traceparent
from routing.call import CallOptions
from routing.endpoints.places import MESSAGES, MODELS, USUAL, place_of
from routing.errors import InvalidRequest, UnsupportedMediaType

Scope = dict[str, Any]

AZURES_KEY_HEADER, ANTHROPICS_KEY_HEADER = b"api-key", b"x-api-key"
"""Where clients made for these put it."""
ANTHROPICS_VERSION = b"anthropic-version"
"""Tells its clients' lists of models from others'."""
ANTHROPICS_BETA = b"anthropic-beta"
JSON_MEDIA_TYPES = ("application/json", "text/json", "+json")
LISTS = (b"x-llm-proxy-tags", b"cache-control", ANTHROPICS_BETA)
LONGEST_TAGS = 16
NO_TAGS: frozenset[str] = frozenset()
NO_TRACE = (None, None)


def client_ip(scope: Mapping[str, Any]) -> str | None:
    client = scope.get("client")
    return client[0] if client else None


class RequestHead:
    """`endpoint` is what the path names below `/v1/`, `deployment` the model that it names instead of the body, if any;
    `of_messages` that its client speaks Anthropic's dialect.
    Nothing here changes between two requests with the same head."""

    __slots__ = (
        "_key",
        "_key_header",
        "_options",
        "client_ip",
        "deployment",
        "endpoint",
        "headers",
        "method",
        "of_messages",
        "path",
    )

    def __init__(self, scope: Scope) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers = _by_name(scope["headers"])
        self.client_ip = client_ip(scope)
        self.endpoint, self.deployment = USUAL.get(self.path) or place_of(self.path)
        self.of_messages = self.endpoint.startswith(MESSAGES) or (
            ANTHROPICS_VERSION in self.headers and self.endpoint.startswith(MODELS)
        )
        self._options: CallOptions | None = None
        self._key: PresentedKey | None = None
        self._key_header = ""

    def header(self, name: bytes) -> str | None:
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    def key(self, key_header: str) -> PresentedKey:
        """The client's key from `Authorization: Bearer`, the configured header or another vendor's; empty when it sent none."""
        if self._key is None or self._key_header != key_header:
            token = token_in(self.header(b"authorization"), self.header(key_header.encode("latin-1")))
            if token is None:
                name = ANTHROPICS_KEY_HEADER if self.of_messages else AZURES_KEY_HEADER
                token = token_in(None, self.header(name))
            self._key, self._key_header = PresentedKey(token or ""), key_header
        return self._key

    @property
    def options(self) -> CallOptions:
        """Raises UnsupportedMediaType or InvalidRequest."""
        if self._options is None:
            self.check_content()
            self._options = self._read_options()
        return self._options

    def check_content(self) -> None:
        """Raises UnsupportedMediaType."""
        _check_media_type(self.headers.get(b"content-type", b"application/json"))
        _check_encoding(self.headers.get(b"content-encoding", b"identity"))

    def _read_options(self) -> CallOptions:
        headers = self.headers
        tags = headers.get(b"x-llm-proxy-tags")
        no_cache = b"x-llm-proxy-no-cache" in headers or b"no-store" in headers.get(b"cache-control", b"").lower()
        timeout_s = _timeout(self.header(b"x-llm-proxy-timeout"))
        key = self.header(b"idempotency-key")
        trace = parse_traceparent(self.header(b"traceparent")) or NO_TRACE
        tags_found = _tags(tags) if tags else NO_TAGS
        return CallOptions(self.endpoint, self.client_ip, tags_found, no_cache, timeout_s, key, trace)


def _by_name(lines: Collection[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Of headers that come twice the last counts, but several lines of a list are one list (RFC 9110, 5.3): the tags of an
    earlier line bind as well."""
    found = dict(lines)
    if len(found) < len(lines):
        for name in LISTS:
            if name in found:
                found[name] = b",".join([value for each, value in lines if each == name])
    return found


def _check_media_type(given: bytes) -> None:
    media_type = given.decode("latin-1").split(";")[0].strip()
    if media_type and not media_type.lower().endswith(JSON_MEDIA_TYPES):
        raise UnsupportedMediaType(f"Send application/json, not '{media_type[:100]}'.")


def _check_encoding(given: bytes) -> None:
    if given.strip().lower() not in (b"identity", b""):
        name = given.decode("latin-1")[:100]
        raise UnsupportedMediaType(f"Send the body as it is: content-encoding '{name}' is not read here.")


def _tags(value: bytes) -> frozenset[str]:
    tags = frozenset(tag.strip() for tag in value.decode("latin-1").split(",") if tag.strip())
    if len(tags) > LONGEST_TAGS:
        raise InvalidRequest(f"'x-llm-proxy-tags' has more than {LONGEST_TAGS} tags.")
    return tags


def _timeout(value: str | None) -> float | None:
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 86400:
        raise InvalidRequest("'x-llm-proxy-timeout' must be a number of seconds above 0.")
    return seconds
