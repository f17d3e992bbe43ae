"""`GET /routes/explain` and `GET /requests/{id}`: why a request would go, or went, where it did."""

from typing import Any

from django.http import HttpRequest, JsonResponse
from ninja import Router, Schema
from ninja.security.base import AuthBase
from pydantic import ConfigDict

from accounts.callers import Caller
from accounts.models import UsageRecord
from monitoring import live
from monitoring.refusals import NotFound, OperationRefused, WorkerStarting
from monitoring.views.decision_drawing import booked_attempt
from routing.models import RouteDecisionRecord


class Candidate(Schema):
    model_config = ConfigDict(extra="allow")
    deployment: str
    provider: str
    excluded: str | None
    score: float | None
    terms: dict[str, Any]


class AttemptMade(Schema):
    model_config = ConfigDict(extra="allow")
    provider: str
    outcome: str
    status: int | None
    duration: float
    time_to_first_token: float | None


class Decision(Schema):
    """`order` are deployments, first to last. A decision read from the ledger knows the attempts only."""

    model_config = ConfigDict(extra="allow")
    request_id: str | None
    model: str
    revision: int
    strategy: str | None
    candidates: list[Candidate]
    order: list[str]
    attempts: list[AttemptMade]


class UnknownModel(OperationRefused):
    status = 404
    code = "model_not_found"


def build_router(*, reader: AuthBase) -> Router:
    router = Router(tags=["routing"])

    @router.get("/routes/explain", response=Decision, auth=reader, summary="Where a request for a model would go now")
    def explain(request: HttpRequest, model: str) -> Any:
        state = live.current()
        if state is None:
            raise WorkerStarting("This worker has not started yet.")
        found = state.explain(model)
        if found is None:
            raise UnknownModel(f"There is no model or alias named '{model[:200]}'.", param="model")
        return JsonResponse(found)

    @router.get("/requests/{request_id}", response=Decision, auth=reader, summary="Where a request went, and why")
    def one_request(request: HttpRequest, request_id: str) -> Any:
        caller: Caller = request.auth  # type: ignore[attr-defined]
        found = _remembered(request_id, caller) or _kept(request_id, caller) or _booked(request_id, caller)
        if found is None:
            raise NotFound(f"No request '{request_id[:128]}' is known.", param="request_id")
        return JsonResponse(found)

    return router


def _remembered(request_id: str, caller: Caller) -> dict[str, Any] | None:
    """From this worker's memory. Requests of other tenants do not exist for a key without `admin`."""
    state = live.current()
    if state is None:
        return None
    return state.decision(request_id, None if caller.is_admin else caller.tenant)


def _kept(request_id: str, caller: Caller) -> dict[str, Any] | None:
    """From the database: failures, a sample, and decisions that were read before."""
    rows = RouteDecisionRecord.objects.filter(request_id=request_id)
    if not caller.is_admin:
        rows = rows.filter(tenant=caller.tenant)
    newest = rows.order_by("-decided_at").first()
    return None if newest is None else {**newest.decision, "source": "kept"}


def _booked(request_id: str, caller: Caller) -> dict[str, Any] | None:
    """From the ledger, for requests of other workers and of earlier days: the attempts without the plan."""
    rows = UsageRecord.objects.filter(request_id=request_id)
    if not caller.is_admin:
        own = {"team_id": caller.team_id} if caller.team_id is not None else {"key_id": caller.key_id}
        rows = rows.filter(**own)
    newest = rows.order_by("-id").first()
    if newest is None:
        return None
    attempts = list(UsageRecord.objects.filter(call_id=newest.call_id).order_by("attempt"))
    return {
        "request_id": request_id,
        "model": newest.model,
        "revision": newest.revision,
        "strategy": None,
        "candidates": [],
        "order": [],
        "attempts": [booked_attempt(row) for row in attempts if row.attempt],
        "source": "ledger",
    }
