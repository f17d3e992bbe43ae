"""Figures and states as the pages write them: with units, and with a word beside every colour."""

import math
from datetime import UTC, datetime

from django import template
from django.utils import timezone
from django.utils.translation import gettext as _

from monitoring.views import words
from rows.figures import rounded

register = template.Library()
NOTHING = "–"
CLASSES = {"healthy": "ok", "degraded": "warn", "unhealthy": "bad"}


@register.filter
def seconds(value: float | str | None) -> str:
    """Nothing was measured: None, or a template's empty string."""
    if value is None or isinstance(value, str):
        return NOTHING
    if value < 1:
        return f"{rounded(value * 1000, 0 if value >= 0.01 else 1)} ms"
    return f"{rounded(value, 2 if value < 10 else 1)} s"


@register.filter
def milliseconds(value: float | None) -> str:
    return NOTHING if value is None else seconds(value / 1000)


@register.filter
def usd(value: float | None) -> str:
    """US dollars with as many digits as it takes to see something."""
    if value is None:
        return NOTHING
    if value == 0:
        return "$0"
    size = abs(value)
    small = min(1 - math.floor(math.log10(size)), 9)
    digits = small if size < 0.01 else 4 if size < 1 else 2
    return f"{'-' if value < 0 else ''}${rounded(size, digits, grouping=True)}"


@register.filter
def grouped(value: int | None) -> str:
    return NOTHING if value is None else rounded(value, 0, grouping=True)


@register.filter
def share(value: float | None) -> str:
    return NOTHING if value is None else f"{rounded(100 * value, 0)} %"


@register.filter
def percent(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{rounded(value, 0 if value in (0, 100) else 2)} %"


@register.filter
def moment(epoch_s: float) -> datetime:
    return datetime.fromtimestamp(epoch_s, UTC).astimezone(timezone.get_current_timezone())


@register.filter
def state_class(state: str) -> str:
    return CLASSES.get(state, "idle")


@register.filter
def state_word(state: str) -> str:
    states = words.states()
    return states.get(state, states["unknown"])


@register.filter
def breaker_word(state: str | None) -> str:
    return words.breakers().get(state or "", NOTHING)


@register.filter
def in_words(cause: str) -> str:
    return words.in_words(cause)


@register.filter
def evidence_word(evidence: str) -> str:
    return {
        "traffic": _("real calls"),
        "models": _("model list"),
        "completion": _("a completion"),
        "reachable": _("reachable"),
    }.get(evidence, NOTHING)


@register.filter
def term(value: float | int | None) -> str:
    """A term of a score: three significant digits."""
    if value is None:
        return NOTHING
    return str(value) if isinstance(value, int) else f"{value:.3g}"


@register.filter
def followed(step: str | None) -> str:
    """What the gateway did after an attempt."""
    return {
        "same": _("the same one again"),
        "next": _("the next candidate"),
        "hedge": _("the next candidate beside it"),
        "condense": _("shortened, then again"),
        "stop": _("given up"),
    }.get(step or "", NOTHING)


@register.filter
def term_name(name: str) -> str:
    """The terms of the strategies' scores, in words."""
    return {
        "latency": _("latency"),
        "price": _("price"),
        "expected_cost_usd": _("expected cost, $"),
        "input_usd_per_mtok": _("input, $ a million"),
        "output_usd_per_mtok": _("output, $ a million"),
        "outstanding": _("running"),
        "time_to_first_token": _("first token, s"),
        "drawn": _("drawn"),
        "turn": _("turn"),
        "share": _("share"),
        "errors": _("errors"),
        "load": _("load"),
        "priority": _("priority"),
        "weight": _("weight"),
    }.get(name, name.replace("_", " "))
