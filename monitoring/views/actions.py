"""What an operator does from a page: check now, reset, hold and release. POST with a CSRF token; answers in JSON. Pages show
the buttons to those only who may press them."""

import logging

from django.db import DatabaseError
from django.http import HttpRequest, JsonResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from monitoring import live
from monitoring.checks import check_now
from monitoring.models import OperatorRequest
from monitoring.operator_requests import OPERATE, request_for
from monitoring.refusals import WorkerBusy
from monitoring.views.pages import staff_only
from providers.models import Provider

logger = logging.getLogger("llm_proxy.monitoring.actions")
ACTIONS = ("check", "reset", "hold", "release")


@staff_only
@require_POST
def act(request: HttpRequest, provider_id: int, action: str) -> JsonResponse:
    if not request.user.has_perm(OPERATE):
        needed = _("this needs the permission “{permission}”").format(permission=OPERATE)
        return JsonResponse({"ok": False, "message": needed}, status=403)
    found = get_object_or_404(Provider, pk=provider_id)
    logger.info("%s asked for %s of %s", request.user.get_username(), action, found.name)
    try:
        return JsonResponse(_check(found) if action == "check" else _operate(found, action))
    except DatabaseError:
        return JsonResponse({"ok": False, "message": _("the database does not answer")}, status=503)
    except WorkerBusy:
        return JsonResponse({"ok": False, "message": _("the gateway is too busy to answer; try again")}, status=503)


def _check(found: Provider) -> dict[str, object]:
    verdicts = [each for each in check_now([found.name]) if each.key.deployment_id is None]
    if not verdicts:
        return {"ok": False, "message": _("it is switched off, so nothing was checked")}
    result = verdicts[0].result
    milliseconds = round((result.response_time_s or 0) * 1000)
    message = _("answered in {ms} ms").format(ms=milliseconds) if result.passed else result.message or result.reason
    return {"ok": result.passed, "status": verdicts[0].after, "message": message}


def _operate(found: Provider, action: str) -> dict[str, object]:
    ids = tuple(found.deployments.values_list("pk", flat=True))
    state = live.current()
    if action == "hold":
        request_for(ids, OperatorRequest.Action.HOLD_OPEN)
        return {"ok": True, "message": _("held open: no calls go there until it is released")}
    if state is not None:
        state.reset_breakers(ids)
    else:
        request_for(ids, OperatorRequest.Action.RESET)
    return {"ok": True, "message": _("breaker closed")}
