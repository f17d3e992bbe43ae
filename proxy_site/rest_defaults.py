"""How every Django REST framework view of ours behaves; `settings.REST_FRAMEWORK` names these.

Default deny: an `admin` key, or staff with the permission that the admin asks for the same. Rows that the configuration
file manages can be read, not written. Errors have OpenAI's shape. The browsable pages are for staff; everybody else gets
JSON whatever they accept.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.exceptions import NON_FIELD_ERRORS, RequestDataTooBig
from django.db import DatabaseError, DataError, IntegrityError
from django.db.models import CASCADE, Model, ProtectedError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.renderers import BaseRenderer, BrowsableAPIRenderer, HTMLFormRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.callers import Caller, permission_missing
from accounts.errors import AccessDenied
from proxy_site.errors import INTERNAL, WORDS, error_object
from proxy_site.key_authentication import may_administer
from routing.errors import error_body
from rows.file_rows import in_file

if TYPE_CHECKING:
    # REST framework's views import these classes: the settings name them.
    from rest_framework.views import APIView


SUPERUSER = "superuser"
"""No permission has this name, so that superusers alone have it: for what nobody has decided yet."""
OF_THE_WHOLE = ("non_field_errors", NON_FIELD_ERRORS)
"""What REST framework and Django call what no field alone is to blame for."""
MOST_NAMED = 5
VERBS = {"POST": "add", "PUT": "change", "PATCH": "change", "DELETE": "delete"}


class Administrators(BasePermission):
    """A key with the scope `admin` may do everything; a person what their permissions say, as in the admin. An action
    that writes in a way of its own names the permission in `needs`."""

    message = "This needs a key with the scope 'admin', or a staff account."

    def has_permission(self, request: Request, view: "APIView") -> bool:
        if not may_administer(request):
            return False
        return getattr(view, "_ignore_model_permissions", False) or self._may(request, _needed(request, view))

    def _may(self, request: Request, permission: str) -> bool:
        """Who may change something may see it, too."""
        enough = (permission, permission.replace(".view_", ".change_"))
        if isinstance(request.auth, Caller) or any(request.user.has_perm(each) for each in enough):
            return True
        self.message = permission_missing(permission)
        return False

    def has_object_permission(self, request: Request, view: "APIView", obj: Any) -> bool:
        if request.method == "DELETE" and not all(self._may(request, each) for each in _deleted_with(obj)):
            return False
        managed = "file" in (getattr(obj, "source", ""), getattr(obj, "managed_by", ""))
        # A file names the variable of a credential; the models that were added beside its own are nobody's but theirs.
        managed = managed or (hasattr(obj, "environment_variable") and in_file(obj))
        if managed and request.method not in SAFE_METHODS and not getattr(view, "runs_only", False):
            raise ManagedByFile
        return True


def _needed(request: Request, view: "APIView") -> str:
    own: str = getattr(view, "needs", "")
    if own and request.method not in SAFE_METHODS:
        return own
    queryset = getattr(view, "queryset", None)
    return SUPERUSER if queryset is None else _permission(VERBS.get(request.method or "", "view"), queryset.model)


def _permission(verb: str, model: type[Model]) -> str:
    return f"{model._meta.app_label}.{verb}_{model._meta.model_name}"


def _deleted_with(row: Model) -> Iterator[str]:
    """A provider's credentials go with it: where rows have pages of their own, the admin wants the right for each kind."""
    for relation in row._meta.related_objects:
        model = relation.related_model
        shown = relation.on_delete is CASCADE and admin.site.is_registered(model)
        if shown and model._default_manager.filter(**{relation.field.name: row}).exists():
            yield _permission("delete", model)


class ManagedByFile(exceptions.APIException):
    status_code = 409
    default_detail = "The configuration file manages this: change it there and load it again."
    default_code = "managed_by_file"


class PlainNumbers(HTMLFormRenderer):
    """A browser leaves a number input empty whose value has a comma, as templates write it in Portuguese."""

    def render_field(self, field: Any, parent_style: Mapping[str, Any]) -> str:
        if isinstance(field.value, float):
            field.value = str(field.value)
        return str(super().render_field(field, parent_style))


class StaffPages(BrowsableAPIRenderer):
    form_renderer_class = PlainNumbers


class Negotiation(DefaultContentNegotiation):
    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        staff = getattr(request._request, "user", None)
        accepts_html = "text/html" in request.headers.get("Accept", "")
        if not accepts_html or staff is None or not getattr(staff, "is_staff", False):
            first = next(iter(renderers))
            return first, first.media_type or "application/json"
        return super().select_renderer(request, renderers, format_suffix)  # type: ignore[no-any-return]


def openai_errors(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler. None: not ours, Django answers and the error middleware puts it into shape."""
    if isinstance(error, AccessDenied):
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in error.headers}
        return Response(error_body(error), status=error.status, headers=headers)
    known = _as_api_exception(error)
    if known is None:
        return None
    complaints = list(_complaints(known.detail))
    param = next((place for place, _ in complaints if place), None)
    message = " ".join(text if place in ("", param) else f"{place}: {text}" for place, text in complaints[:8])
    _, kind, code = WORDS.get(known.status_code, INTERNAL if known.status_code >= 500 else WORDS[400])
    if isinstance(known, ManagedByFile):
        code = known.default_code
    body = error_object(message, kind, code, param)
    headers = {}
    if wait := getattr(known, "wait", None):
        headers["Retry-After"] = str(int(wait))
    if challenge := getattr(known, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    return Response(body, status=known.status_code, headers=headers)


def _as_api_exception(error: Exception) -> exceptions.APIException | None:
    if isinstance(error, exceptions.APIException):
        return error
    if isinstance(error, Http404):
        return exceptions.NotFound("There is nothing of this id.")
    if isinstance(error, ProtectedError):
        return _standard(409, _still_there(error))
    if isinstance(error, IntegrityError):
        return _standard(409)
    if isinstance(error, RequestDataTooBig):
        return _standard(413)
    if isinstance(error, DataError):
        return exceptions.ParseError("A value is none that the database can hold.")
    if isinstance(error, DatabaseError):
        return _standard(503)
    return None


def _still_there(error: ProtectedError) -> str:
    rows = sorted(f"{row._meta.verbose_name_raw} {row}" for row in error.protected_objects)
    more = ", …" if len(rows) > MOST_NAMED else ""
    return f"It is not deleted while others belong to it: {', '.join(rows[:MOST_NAMED])}{more}."


def _standard(status: int, message: str = "") -> exceptions.APIException:
    error = exceptions.APIException(message or WORDS[status][0])
    error.status_code = status
    return error


def _complaints(detail: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """(field, what is wrong with it), nested fields with dots; the field is empty for the whole."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            below = "" if name in OF_THE_WHOLE else str(name)
            yield from _complaints(inner, f"{place}.{below}" if place and below else below or place)
    elif isinstance(detail, list):
        for inner in detail:
            yield from _complaints(inner, place)
    else:
        yield place, str(detail)
