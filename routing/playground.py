"""`/playground/`: a model tried in the browser before any code is written, over the WebSocket door of the gateway."""

import time
from typing import Any

from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from monitoring import live
from monitoring.views.pages import staff_only
from providers.conformance import is_special
from providers.models import Deployment
from routing.models import ModelAlias
from routing.socket_access import TRY
from routing.table_loader import current_revision

FOLLOWED_WITHIN_S = 2.0


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    _wait_for_this_worker()
    models = choices()
    return render(request, "playground/playground.html", {"models": models, "words": _words()})


playground = staff_only(permission_required(TRY, raise_exception=True)(page))


def _wait_for_this_worker() -> None:
    """Whoever has just added a model would be told that there is none of that name, if it were offered before it is known."""
    state, wanted, deadline = live.current(), current_revision(), time.monotonic() + FOLLOWED_WITHIN_S
    while state is not None and state.conditions().revision < wanted and time.monotonic() < deadline:
        time.sleep(0.05)


def choices() -> dict[str, list[dict[str, Any]]]:
    """What can be asked for: aliases first, then models with the providers that serve them. What does not chat, going by its
    name, comes last: the page asks the first one, and what a model can do is often not known."""
    rows = Deployment.objects.filter(enabled=True, provider__enabled=True).select_related("provider")
    served: dict[str, list[str]] = {}
    for row in rows.order_by("model", "provider__priority", "provider__name"):
        if "embeddings" not in row.capabilities or len(row.capabilities) > 1:
            served.setdefault(row.model, []).append(row.provider.name)
    return {
        "aliases": [
            {"name": alias.name, "targets": list(alias.targets)}
            for alias in sorted(ModelAlias.objects.filter(enabled=True), key=lambda alias: _no_chat(alias.targets))
        ],
        "models": [
            {"name": name, "providers": providers, "each": [f"{provider}/{name}" for provider in providers]}
            for name, providers in sorted(served.items(), key=lambda entry: is_special(entry[0]))
        ],
    }


def _no_chat(targets: list[str]) -> bool:
    return bool(targets) and all(is_special(target) for target in targets)


def _words() -> dict[str, str]:
    return {
        "run": _("Run"),
        "stop": _("Stop"),
        "waiting": _("Waiting for the first token …"),
        "streaming": _("Streaming …"),
        "done": _("Done"),
        "stopped": _("Stopped"),
        "failed": _("Failed"),
        "signed_out": _("Your session has ended: log in again."),
        "lost": _("The connection to the gateway was lost."),
        "empty": _("Write a message first."),
        "tokens": _("{input} in · {output} out"),
        "first": _("first token {ms} ms"),
        "total": _("{time} in all"),
        "free": _("no price"),
        "attempts": _("after {n} attempts"),
        "why": _("Why this one?"),
        "thinking": _("Reasoning"),
        "speed": _("{n} tokens/s"),
    }
