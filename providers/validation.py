"""Validation of what people type about a provider, with messages that say what to do."""

import re
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from providers import bounds
from providers.adapters import REGISTRY
from providers.addresses import UrlError, literal, parse_base_url, refusal
from providers.header_rules import HEADER_NAME, RESERVED_HEADERS


def check_kind(kind: str) -> None:
    if kind not in REGISTRY:
        raise ValidationError(_("Unknown kind; one of: %(kinds)s.") % {"kinds": ", ".join(sorted(REGISTRY))})


def check_base_url(url: str) -> None:
    """http or https, a host, no user, query or fragment, and no address that is always refused. What a name resolves to
    is checked when connecting."""
    try:
        parts = urlsplit(url)
        port_ok = parts.port is None or 0 < parts.port < 65536
    except ValueError:
        raise ValidationError(_("This is not a URL.")) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_ok:
        raise ValidationError(_("A base URL looks like https://api.example.com or http://10.0.0.5:8080/v1."))
    if parts.username or parts.password:
        raise ValidationError(_("Put the key into a credential, not into the URL."))
    if parts.query or parts.fragment or re.search(r"[\s\x00-\x1f\x7f\\]", url):
        raise ValidationError(_("A base URL has no query, fragment, spaces or control characters."))
    try:
        host = parse_base_url(url).host
    except UrlError as error:
        # The routing table reads it the same way: what got past here would stop every later change from going live.
        raise ValidationError(_("This base URL is refused: %(why)s.") % {"why": error}) from None
    if literal(host) is not None and (why := refusal(host, allow_private=True)):
        raise ValidationError(_("This base URL is refused: %(why)s.") % {"why": why})


def check_variable(name: str) -> None:
    if bounds.is_own_secret(name):
        raise ValidationError(_("This variable is the gateway's own secret."))


def check_headers(headers: object) -> None:
    if not isinstance(headers, dict):
        raise ValidationError(_("Headers are a JSON object of names and values."))
    for name, value in headers.items():
        if not HEADER_NAME.fullmatch(str(name)) or not isinstance(value, str) or re.search(r"[\r\n\x00]", value):
            raise ValidationError(_("'%(name)s' is not a valid header.") % {"name": name})
        if name.lower() in RESERVED_HEADERS:
            raise ValidationError(_("'%(name)s' is set by the gateway itself.") % {"name": name})


def check_tags(tags: object) -> None:
    if not bounds.are_words(tags):
        raise ValidationError(_("Tags are a JSON list of words, each once."))


def check_words(words: object) -> None:
    if not bounds.are_words(words):
        raise ValidationError(_("This is a JSON list of words, each once."))


def check_json_object(value: object) -> None:
    if not bounds.is_json_object(value):
        raise ValidationError(
            _("This is a JSON object such as {}, with finite numbers and at most %(levels)d levels.")
            % {"levels": bounds.DEEPEST}
        )
