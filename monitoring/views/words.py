"""The sentences that pages put together in the browser, in the reader's language. `{name}` is filled in there."""

import re

from django.utils.translation import gettext as _
from django.utils.translation import pgettext


def causes() -> dict[str, str]:
    """For people: the words of plans, breakers, credentials and failed attempts."""
    return {
        "held_open": _("held open by an operator"),
        "no_credential": _("no usable API key"),
        "credential_rejected": _("the provider refused its API key, which rests for five minutes"),
        "credential_out_of_quota": _("its API key is out of quota and rests for five minutes"),
        "credential_cooling": _("resting for some seconds: it said it was overloaded or at its limit"),
        "saturated": _("as many calls as it may have"),
        "breaker_open": _("circuit breaker open"),
        "unhealthy": _("health checks fail"),
        "degraded": _("slow, or failing now and then"),
        "context_window": _("the request does not fit its context window"),
        "tags": _("lacks a tag the request asks for"),
        "missing_capability": _("cannot do what the request needs"),
        "connect": _("cannot connect"),
        "timeout": _("did not answer in time"),
        "error": _("server error"),
        "server_error": _("server error"),
        "overloaded": _("overloaded"),
        "bad_answer": _("unreadable answer"),
        "truncated": _("stream cut off"),
        "credential": _("API key refused"),
        "quota": _("out of quota"),
        "rate_limit": _("rate limit reached"),
        "too_large_for_rate": _("larger than its limit per minute"),
        "model_not_found": _("does not have the model"),
        "context_overflow": _("the request does not fit its context window"),
        "content_filter": _("refused by a content filter"),
        "client_error": _("the request was refused as wrong"),
        "unsupported": _("cannot do what the request needs"),
        "client_gone": _("the client left"),
        "cancelled": _("cancelled"),
        "success": pgettext("attempt", "answered"),
        "running": _("still running"),
    }


def states() -> dict[str, str]:
    return {
        "healthy": pgettext("provider", "healthy"),
        "degraded": pgettext("provider", "degraded"),
        "unhealthy": pgettext("provider", "unavailable"),
        "unknown": pgettext("provider", "not checked yet"),
        "empty": pgettext("provider", "serves no model"),
    }


def breakers() -> dict[str, str]:
    return {
        "closed": pgettext("breaker", "closed"),
        "half_open": pgettext("breaker", "half-open"),
        "open": pgettext("breaker", "open"),
    }


def sentences() -> list[tuple[str, str]]:
    """What breakers and checks say with figures in it: a pattern for Python and JavaScript, and its groups in words."""
    return [
        (r"^(\d+) failures in a row: (.+)$", _("{0} failures in a row: {1}")),
        (r"^(\d+) of (\d+) calls failed within (\S+) s: (.+)$", _("{0} of {1} calls failed within {2} s: {3}")),
        (r"^the trial failed: (.+)$", _("the trial failed: {0}")),
        (r"^another worker: (.+)$", _("another worker: {0}")),
        (r"^(\S+) cannot be reached: (.+)$", _("{0} cannot be reached: {1}")),
        (r"^All connection attempts failed$", _("connection refused or no route")),
        (r"^a trial was answered$", _("a trial was answered")),
        (r"^a call was answered while open$", _("a call was answered while open")),
        (r"^held open by an operator$", _("held open by an operator")),
        (r"^forced closed by an operator$", _("forced closed by an operator")),
        (r"^reset by an operator$", _("reset by an operator")),
    ]


def in_words(text: str) -> str:
    """A code, or a sentence of the gateway's own, in the reader's language; anything else as it came."""
    known = causes()
    if text in known:
        return known[text]
    for pattern, sentence in sentences():
        if found := re.match(pattern, text):
            return sentence.format(*map(in_words, found.groups()))
    return text


def dashboard() -> dict[str, object]:
    return {
        "causes": causes(),
        "all_well": _("All well: {healthy} of {total} providers healthy"),
        "not_all": _("{healthy} of {total} providers healthy"),
        "none_healthy": _("No provider can answer"),
        "late": _("The gateway is slow to answer; the figures follow"),
        "none_serving": _("No provider serves a model yet"),
        "no_providers": _("No provider yet"),
        "unchecked": _("{count} not checked yet"),
        "line": _("{rps} requests/s · {errors} % errors · first token {first} · {cost} today"),
        "errors_high": _("{errors} % of requests fail"),
        "stale_config": _("the configuration cannot be read; the last one stays in force"),
        "states": states(),
        "sentences": sentences(),
        "breakers": breakers(),
        "held": _("breaker held open"),
        "open_until": _("breaker open until {time}"),
        "breaker_is": _("breaker {state}"),
        "since": _("since {time}"),
        "instead": _("{count} went to {name} instead"),
        "active": _("{count} active"),
        "checked": _("checked {ago}"),
        "never_checked": _("not checked yet"),
        "ago_s": _("{n} s ago"),
        "ago_min": _("{n} min ago"),
        "ago_h": _("{n} h ago"),
        "ago_d": _("{n} d ago"),
        "more": _("+{n} more"),
        "no_models": _("No models yet: adopt some in the admin"),
        "check": _("Check now"),
        "reset": _("Reset breaker"),
        "checking": _("Checking …"),
        "failed": _("That did not work: {reason}"),
        "unreachable": _("the gateway cannot be reached"),
        "first_token": _("First token"),
        "failed_attempts": _("Failed attempts"),
        "uptime_title": _("Uptime: 24 h {day} · 7 d {week} · 30 d {month}"),
        "cells": _("Last 24 hours, one cell an hour"),
        "priority": _("priority {n}"),
        "live": _("live"),
        "polling": _("polling"),
        "updated": _("updated {ago}"),
        "stale": _("Stale since {time}: the connection to the gateway is gone; trying again."),
        "stale_polling": _("No live connection since {time}; the figures are asked for every few seconds."),
        "now": _("now"),
        "no_incidents": _("No incidents in the last 7 days."),
        "no_requests": _("No requests yet. Send one with the playground or the curl line of the README."),
        "nothing_matches": _("Nothing matches the filter."),
        "pause": _("Pause"),
        "resume": _("Resume"),
        "tokens": _("tokens"),
        "mean": _("mean"),
        "last_minute": _("last minute"),
        "today": _("today"),
        "refused": _("refused"),
        "demo": _("demo"),
    }
