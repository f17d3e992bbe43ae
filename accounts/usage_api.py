"""`GET /usage`: what a key or its team used; an `admin` key and staff see everybody."""

from datetime import UTC, datetime
from typing import Any, Literal

from django.http import HttpRequest, JsonResponse
from ninja import Query, Router, Schema
from ninja.errors import HttpError
from ninja.security.base import AuthBase
from pydantic import ConfigDict, Field, field_validator

from accounts.callers import Caller
from accounts.usage_reports import GroupBy, period, usage_report


class UsageQuery(Schema):
    group_by: GroupBy = Field(
        "team", description="`tag`: of keys, as they are now; what a key with several tags used is at each of them."
    )
    start: datetime | None = Field(None, alias="from", description="A date or time; default: 30 days before the end.")
    end: datetime | None = Field(None, alias="to", description="Up to but without; default: now.")
    scope: Literal["key", "team"] | None = Field(None, description="For keys of a team: the team's usage or their own.")

    @field_validator("start", "end", mode="after")
    @classmethod
    def _in_utc(cls, value: datetime | None) -> datetime | None:
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


class UsageAmounts(Schema):
    requests: int
    errors: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_usd: float
    unpriced: int = Field(description="Requests whose price was unknown; their cost is not in cost_usd.")
    searches: int = Field(description="Searches of the web that providers ran and told of.")


class UsageGroup(UsageAmounts):
    """The group's own id stands under the name that was grouped by: `key`, `team`, `tag`, `model`, `provider` or `day`."""

    model_config = ConfigDict(extra="allow")
    name: str


class Usage(Schema):
    group_by: GroupBy
    start: datetime = Field(alias="from")
    end: datetime = Field(alias="to")
    data: list[UsageGroup]
    total: UsageAmounts


def build_router(*, reader: AuthBase) -> Router:
    router = Router(tags=["usage"])

    @router.get("/usage", response=Usage, auth=reader, by_alias=True, summary="Requests, tokens and cost by group")
    def usage(request: HttpRequest, query: Query[UsageQuery]) -> Any:
        try:
            start, end = period(query.start, query.end)
        except ValueError:
            raise HttpError(400, "'from' must be before 'to', which is now unless it is given.") from None
        owner = _owner(request.auth, query.scope)  # type: ignore[attr-defined]
        # As it is: a schema would drop the group's id, whose name depends on what was grouped by.
        return JsonResponse(usage_report(group_by=query.group_by, start=start, end=end, **owner).as_json())

    return router


def _owner(caller: Caller, scope: str | None) -> dict[str, int | None]:
    """Whose usage the caller sees: everybody's, the team's, or the key's own."""
    if caller.is_admin and scope is None:
        return {}
    if caller.team_id is not None and scope != "key":
        return {"team_id": caller.team_id}
    return {"key_id": caller.key_id} if caller.key_id is not None else {}
