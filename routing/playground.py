"""`/playground/`: a model tried in the browser before any code is written, over the WebSocket door of the gateway."""

import time
from contextlib import suppress
from typing import Any

from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from monitoring import live
from monitoring.refusals import WorkerBusy
from monitoring.views.pages import staff_only
from providers.conformance import is_special
from providers.models import Deployment
from routing.models import ModelAlias
from routing.socket_access import TRY
from routing.table_loader import current_revision

FOLLOWED_WITHIN_S = 2.0
LARGEST_MESSAGE = 8 * 1024 * 1024
"""What the WebSocket takes at once (`proxy_site.server`): more than that cuts it, and with it what else runs on it."""


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    _wait_for_this_worker()
    models = choices()
    context = {"models": models, "words": _words(), "largest_message": LARGEST_MESSAGE}
    return render(request, "playground/playground.html", context)


playground = staff_only(permission_required(TRY, raise_exception=True)(page))


def _wait_for_this_worker() -> None:
    """Whoever has just added a model would be told that there is none of that name, if it were offered before it is known."""
    state, wanted, deadline = live.current(), current_revision(), time.monotonic() + FOLLOWED_WITHIN_S
    # A worker that is too busy to say what it knows has kept the page waiting for long enough.
    with suppress(WorkerBusy):
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
        "ready": _("Ready"),
        "waiting": _("Waiting for the first token …"),
        "streaming": _("Streaming …"),
        "done": _("Done"),
        "cut": _("Cut off: as many output tokens as it may have"),
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
        "speed": _("{n} tokens/s"),
        "you": _("You"),
        "answer": _("Answer"),
        "result_of": _("Result of {name}"),
        "result_example": _('What the tool found, such as {"celsius": 21}'),
        "tools_called": _("The model asks for this. Give it the results and it goes on."),
        "send_results": _("Send the results"),
        "results_first": _(
            "The model waits for the results of its tools: give each of them, or begin a new conversation."
        ),
        "tools_json": _("This is not JSON: {reason}"),
        "tools_shape": _('A list of tools is needed, each with "type" and "function": {"name", "parameters"}.'),
        "image": _("image"),
        "remove_image": _("Remove {name}"),
        "image_kind": _("{name} is no image that models read: PNG, JPEG, GIF and WebP are."),
        "image_size": _("{name} has {size} MiB; an image may have {limit}."),
        "image_broken": _("{name} cannot be read as an image."),
        "image_address": _(
            "An image's address begins with https:// or http://, or is a data URL of a PNG, JPEG, GIF or WebP."
        ),
        "too_large": _(
            "This is more than the 8 MiB that the gateway takes at once: take images away, or begin a new conversation."
        ),
    }
