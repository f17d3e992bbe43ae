"""Validation of what people type about a provider, with messages that say what to do."""

import math
import re
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils.translation import gettext as _

from providers import bounds
from providers.adapter_options import faults
from providers.adapters import REGISTRY, options_of
from providers.addresses import base_url_fault
from providers.header_rules import HEADER_NAME, RESERVED_HEADERS, unveiled
from rows.bounds import MOST_WHOLE, are_words, is_line
from rows.names import MOST_NAMED
from rows.validation import check_json_object, check_line, check_lines, check_words  # noqa: F401 migrations find them here


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
    # The routing table reads it the same way: what got past here could not be used.
    if (why := base_url_fault(url)) is not None:
        raise ValidationError(_("This base URL is refused: %(why)s.") % {"why": why})


def check_variable(name: str) -> None:
    if bounds.is_own_secret(name):
        raise ValidationError(_("This variable is the gateway's own secret."))


def check_secret(secret: str) -> None:
    """A key goes out in a header, of every HTTP client that asks: calls, probes, lists of models."""
    if re.search(r"[\s\x00-\x1f\x7f]", secret):
        raise ValidationError(_("A key has no spaces or line breaks; part of something else was pasted."))
    if not secret.isascii():
        strange = next(character for character in secret if not character.isascii())
        raise ValidationError(
            _("A key has no characters such as '%(character)s', which no header carries.") % {"character": strange}
        )


def check_model_name(name: str) -> None:
    if not bounds.is_model_name(name):
        raise ValidationError(_("A model name has no spaces, control or invisible characters."))


def check_finite(number: float) -> None:
    """Neither bound stops what is no number."""
    if not math.isfinite(number):
        raise ValidationError(_("This is no finite number."))


def whole_from(least: int, most: int = MOST_WHOLE) -> list[Any]:
    return [MinValueValidator(least), MaxValueValidator(most)]


def seconds_from(least: float, most: float = bounds.LONGEST_S) -> list[Any]:
    return [check_finite, MinValueValidator(least), MaxValueValidator(most)]


def check_headers(headers: object) -> None:
    if not isinstance(headers, dict):
        raise ValidationError(_("Headers are a JSON object of names and values."))
    for name, value in headers.items():
        if not _is_header(str(name), value):
            raise ValidationError(_("'%(name)s' is not a valid header.") % {"name": name})
        if name.lower() in RESERVED_HEADERS:
            raise ValidationError(_("'%(name)s' is set by the gateway itself.") % {"name": name})


def with_stored(headers: dict[str, str], stored: object) -> dict[str, str]:
    """For forms and bodies: `headers` with what is stored where they have no more than what was shown of it."""
    found, unknown = unveiled(headers, stored)
    if unknown:
        raise ValidationError(
            _("No value is stored for %(names)s: give it one.") % {"names": ", ".join(unknown[:MOST_NAMED])}
        )
    return found


def _is_header(name: str, value: object) -> bool:
    if len(name) > bounds.LONGEST_HEADER_NAME or not HEADER_NAME.fullmatch(name):
        return False
    return value == "" or is_line(value, at_most=bounds.LONGEST_HEADER)


def check_options(kind: str, options: object, *, of_model: bool = False) -> None:
    """Not a validator of the column, which does not know the kind, and which rows of before would not pass."""
    if not isinstance(options, dict) or kind not in REGISTRY:
        return
    wrong = []
    for fault in faults(options_of(kind, of_model=of_model), options):
        if fault.is_known:
            text = _("The option '%(name)s' has a value that it cannot have; expected %(expected)s")
        else:
            text = _("There is no option '%(name)s' of this kind; expected %(expected)s")
        expected = _(fault.expected) if fault.is_known else fault.expected
        wrong.append(text % {"name": fault.name, "expected": expected})
    if wrong:
        raise ValidationError(wrong[:MOST_NAMED])


def check_tags(tags: object) -> None:
    check_lines(tags)
    if not are_words(tags):
        raise ValidationError(_("Tags are a JSON list of words, each once."))
