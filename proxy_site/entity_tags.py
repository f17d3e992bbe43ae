"""`ETag` and `If-Match` of the rows under `/api/`: who changes a row as it was read is told when it is that no more.

A tag stands for what an answer tells of a row, so that it fits exactly what the client has read. Without `If-Match` a row is
changed whatever it has become.
"""

import json
from typing import Any

from django.db import transaction
from django.http import Http404
from django.utils.crypto import salted_hmac
from rest_framework.exceptions import APIException
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response

from rows.locks import locked

WITHOUT_PEOPLE = frozenset({"updated_at", "last_used_at", "last_worked_at", "spent_nano_usd", "spent_tokens"})
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
    # Values that are veiled in it: nothing can be guessed from the tag.
    untold = getattr(getattr(told, "serializer", None), "untold", None)
    text = json.dumps(content if untold is None else [content, untold()], default=str, sort_keys=True)
    return f'"{salted_hmac("proxy_site.entity_tags", text).hexdigest()}"'


class Tagged:
    """For a view of rows, in front of its own class."""

    _wanted: str | None = None
    """What stood in `If-Match`, where the request changes the row itself. Asked of the request that came: REST framework
    makes another of `OPTIONS`, to see what may be put."""

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        if request.method not in SAFE_METHODS and not getattr(self, "runs_only", False):
            self._wanted = request.headers.get("If-Match")
        if self._wanted is None:
            return super().dispatch(request, *args, **kwargs)  # type: ignore[misc]
        # From the comparison to the change the row stays locked.
        with transaction.atomic():
            return super().dispatch(request, *args, **kwargs)  # type: ignore[misc]

    def get_object(self) -> Any:
        row = super().get_object()  # type: ignore[misc]
        if self._wanted is not None:
            row = locked(type(row)).filter(pk=row.pk).first()
            if row is None:
                raise Http404
            # A proxy that compresses answers marks their tags as weak.
            wanted = {each.strip().removeprefix("W/") for each in self._wanted.split(",")}
            if not wanted & {"*", tag_of(self.serializer_class(row).data)}:  # type: ignore[attr-defined]
                raise Stale
        return row

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        answer: Response = super().finalize_response(request, response, *args, **kwargs)  # type: ignore[misc]
        told = answer.status_code < 300 and request.method != "OPTIONS" and answer.data
        if told and getattr(self, "action", "retrieve") in OF_ONE_ROW:
            answer["ETag"] = tag_of(answer.data)
        return answer
