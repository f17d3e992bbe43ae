"""`ETag` and `If-Match` of the rows under `/api/`: who changes a row as it was read is told when it is that no more.

A tag stands for what an answer tells of a row, so that it fits exactly what the client has read. Without `If-Match` a row is
changed whatever it has become.
"""

import json
from typing import Any

from django.db import transaction
from django.utils.crypto import salted_hmac
from rest_framework.exceptions import APIException
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.row_locks import locked

WITHOUT_PEOPLE = frozenset({"updated_at", "last_used_at", "last_worked_at"})
"""Fields that change while nobody changes anything."""
ONCE = frozenset({"key"})
"""In the answer that makes it only."""
OF_ONE_ROW = ("retrieve", "create", "update", "partial_update", "rotate", "revoke")


class Stale(APIException):
    status_code = 412
    default_detail = (
        "This is no longer what the ETag in 'If-Match' stands for: somebody else has changed it. "
        "Read it again, and decide anew."
    )
    default_code = "precondition_failed"


def tag_of(told: dict[str, Any]) -> str:
    content = {name: value for name, value in told.items() if name not in WITHOUT_PEOPLE | ONCE}
    text = json.dumps(content, default=str, sort_keys=True)
    return f'"{salted_hmac("proxy_site.entity_tags", text).hexdigest()}"'


class Tagged:
    """For a view of rows, in front of its own class."""

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        if not self._conditional(request):
            return super().dispatch(request, *args, **kwargs)  # type: ignore[misc]
        # From the comparison to the change the row stays locked.
        with transaction.atomic():
            return super().dispatch(request, *args, **kwargs)  # type: ignore[misc]

    def get_object(self) -> Any:
        row = super().get_object()  # type: ignore[misc]
        request = self.request  # type: ignore[attr-defined]
        if self._conditional(request):
            row = locked(type(row)).filter(pk=row.pk).first() or row
            # A proxy that compresses makes tags weak (nginx).
            wanted = {each.strip().removeprefix("W/") for each in request.headers["If-Match"].split(",")}
            if not wanted & {"*", tag_of(self.serializer_class(row).data)}:  # type: ignore[attr-defined]
                raise Stale
        return row

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        answer: Response = super().finalize_response(request, response, *args, **kwargs)  # type: ignore[misc]
        if answer.status_code < 300 and getattr(self, "action", "retrieve") in OF_ONE_ROW and answer.data:
            answer["ETag"] = tag_of(answer.data)
        return answer

    def _conditional(self, request: Any) -> bool:
        """What leaves the row itself as it is asks for no state of it."""
        changes = request.method not in SAFE_METHODS and not getattr(self, "runs_only", False)
        return changes and "If-Match" in request.headers
