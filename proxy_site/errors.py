"""How an error outside `/v1` looks: a page to people, and to programs `{"error": {"message", "type", "param", "code"}}`.

Whatever made the answer (ninja, Django REST framework, Django itself, a broken view), the middleware looks at it last.
It also gives every answer its `x-request-id`.
"""

import logging
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from django.core.exceptions import DisallowedHost, RequestDataTooBig
from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.http.response import Http404
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.security import SecurityMiddleware
from django.shortcuts import render
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.errors import AccessDenied
from monitoring.logs import current_request_id
from monitoring.refusals import OperationRefused, WorkerBusy
from routing.endpoints.exchange import request_id_of
from routing.endpoints.places import BASE_URL, MODELS, OPERATIONS
from routing.errors import error_body

logger = logging.getLogger("llm_proxy.proxy_site.errors")

API = frozenset(
    {
        "api", "health", "livez", "readyz", "metrics", "providers", "status", "check", "discover", "cache",
        "circuit-breakers", "usage", "routes", "requests", "openapi.json", "v1",
    }
)  # fmt: skip
"""First path segments below which an error is never HTML, whatever the client accepts."""

WORDS = {
    400: ("The request cannot be understood.", "invalid_request_error", None),
    401: ("Send an API key as 'Authorization: Bearer …', or sign in.", "authentication_error", "invalid_api_key"),
    403: ("This is not allowed.", "permission_error", "permission_denied"),
    404: ("There is no endpoint {method} {path}.", "invalid_request_error", "not_found"),
    405: ("{method} is not allowed here; use {allow}.", "invalid_request_error", "method_not_allowed"),
    406: ("Only JSON is served here.", "invalid_request_error", "not_acceptable"),
    409: ("Something else still refers to this, or it exists already.", "invalid_request_error", "conflict"),
    412: ("This has been changed since you read it.", "invalid_request_error", "precondition_failed"),
    413: ("The request body is too large.", "invalid_request_error", "request_too_large"),
    415: ("Send application/json.", "invalid_request_error", "unsupported_media_type"),
    429: ("Too many requests.", "rate_limit_error", "rate_limit_exceeded"),
    502: ("The provider failed.", "upstream_error", "upstream_error"),
    503: ("The database does not answer.", "server_error", "database_unavailable"),
}
INTERNAL = ("The gateway failed to process this request.", "server_error", "internal_error")
ELSEWHERE = f"There is nothing at this address. {BASE_URL}"
OF_CLIENTS = tuple(f"/{name}" for name in (*OPERATIONS, MODELS))
DOES_NOT_ANSWER = (InterfaceError, OperationalError)
OTHER_HOST = "This host name is not answered: PROXY_API_ALLOWED_HOSTS does not name it."


class Problem(NamedTuple):
    """What a page says."""

    heading: str | Promise
    text: str | Promise
    advice: str | Promise


PAGES = {
    400: Problem(
        _("Bad request"),
        _("The server could not make sense of this request."),
        _("Go back and try again. If a link brought you here, it is damaged."),
    ),
    403: Problem(
        _("Not allowed"),
        _("You are signed in, but this page is not for your account."),
        _("Ask an administrator for access, or sign in with another account."),
    ),
    404: Problem(
        _("Page not found"),
        _("There is no page at this address."),
        _("Check the address, or start from the dashboard."),
    ),
    409: Problem(
        _("This was not saved"),
        _("It exists already, or what it refers to is gone: somebody else was quicker."),
        _("Go back, load the page again and look at what is there now."),
    ),
    500: Problem(
        _("Something went wrong here"),
        _("The server met an error of its own. It has been written to the log; running calls are not affected."),
        _("Try again. If it happens again, look at the log for the time of this page."),
    ),
    503: Problem(
        _("The gateway is busy"),
        _("It was too busy with calls to answer this page within five seconds. Running calls are not affected."),
        "",
    ),
}
DATABASE_AWAY = Problem(
    _("The database does not answer"),
    _("Pages and changes need it. Calls of applications go on as long as what is known of keys and budgets lasts."),
    _("Try again in a moment; what you had typed is still there when you go back."),
)
FORM_EXPIRED = Problem(
    _("The form has expired"),
    _("The page was open for too long, or cookies are blocked, so the form could not be trusted."),
    _("Go back, load the page again and send the form once more."),
)


def error_object(message: str, kind: str, code: str | None, param: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def error_response(request: HttpRequest, status: int, *, allow: str = "", message: str = "") -> JsonResponse:
    """The standard words for `status`, unless `message` says more."""
    words, kind, code = WORDS.get(status, INTERNAL if status >= 500 else WORDS[400])
    text = message or words.format(method=request.method, path=request.path[:200], allow=allow or "another method")
    response = JsonResponse(error_object(text, kind, code), status=status)
    if allow:
        response["Allow"] = allow
    return response


def denied_response(error: AccessDenied) -> JsonResponse:
    response = JsonResponse(error_body(error), status=error.status)
    for name, value in error.headers:
        response[name.decode("latin-1")] = value.decode("latin-1")
    return response


def refused_response(error: OperationRefused) -> JsonResponse:
    response = JsonResponse(error_body(error), status=error.status)
    if isinstance(error, WorkerBusy):
        response["Retry-After"] = str(error.retry_after_s)
    return response


def wants_page(request: HttpRequest) -> bool:
    """Whether an error may be HTML: outside the APIs, and only for who asks for HTML, as browsers do."""
    first = request.path.lstrip("/").split("/", 1)[0]
    return first not in API and "text/html" in request.headers.get("Accept", "")


# ---------------------------------------------------------------------------------------- what Django asks for an answer


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _answer(request, 400, message=OTHER_HOST if isinstance(exception, DisallowedHost) else "")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, 403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, 404, message=ELSEWHERE if request.path.endswith(OF_CLIENTS) else "")


def server_error(request: HttpRequest) -> HttpResponse:
    return _database_away(request) if _does_not_answer(sys.exc_info()[1]) else _answer(request, 500)


def _does_not_answer(error: BaseException | None) -> bool:
    """SQLite speaks of a table that is missing in the same way: there a migration is, and the traceback tells of which."""
    return isinstance(error, DOES_NOT_ANSWER) and not str(error).startswith("no such ")


def _database_away(request: HttpRequest) -> HttpResponse:
    return _answer(request, 503, page=DATABASE_AWAY)


def busy(request: HttpRequest, retry_after_s: int) -> HttpResponse:
    """The page for a worker that did not answer, which leads to the same address again."""
    answer = _answer(request, 503)
    answer["Retry-After"] = str(retry_after_s)
    answer["Cache-Control"] = "no-store"
    return answer


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return _answer(request, 403, page=FORM_EXPIRED)


def _answer(request: HttpRequest, status: int, *, page: Problem | None = None, message: str = "") -> HttpResponse:
    if not wants_page(request):
        return error_response(request, status, message=message)
    context = {"number": status, **(page or PAGES[status])._asdict()}
    # Without the request a page needs neither session nor database, one of which may be what failed.
    without = status == 500 or page is DATABASE_AWAY
    return render(None if without else request, "problem.html", context, status=status)


# ------------------------------------------------------------------------------------------------------- the middleware


class ApiErrorsMiddleware:
    """The outermost one of ours: nothing behind it can answer an API's client in HTML."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response
        # Django's own stand behind this one and see nothing of what is refused here.
        self._refuse: Callable[[HttpRequest], Any] = SecurityMiddleware(XFrameOptionsMiddleware(bad_request))

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request.request_id = request_id_of(request.headers.get("X-Request-Id", "").encode())  # type: ignore[attr-defined]
        token = current_request_id.set(request.request_id)  # type: ignore[attr-defined]
        try:
            answer = self._refuse if _has_nul(request) else self._get_response
            response: HttpResponseBase = answer(request)
        finally:
            current_request_id.reset(token)
        if response.status_code >= 400 and not _is_json(response) and not wants_page(request) and not _is_drf(response):
            response = _in_json(request, response)
        response["X-Request-Id"] = request.request_id  # type: ignore[attr-defined]
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """What views let through. Pages keep Django's own handling."""
        if isinstance(exception, AccessDenied):
            return denied_response(exception)
        if isinstance(exception, DatabaseError):
            return _database_failed(request, exception)
        if isinstance(exception, OverflowError) and "SQLite" in str(exception):
            return bad_request(request)
        if isinstance(exception, WorkerBusy):
            return busy(request, exception.retry_after_s) if wants_page(request) else refused_response(exception)
        if wants_page(request) or isinstance(exception, Http404):
            return None
        if isinstance(exception, RequestDataTooBig):
            return error_response(request, 413)
        return None


def _database_failed(request: HttpRequest, error: DatabaseError) -> HttpResponse | None:
    if isinstance(error, DataError):
        # The database does answer: something in the request is no value that it can hold.
        return bad_request(request)
    if isinstance(error, IntegrityError):
        # The database does answer: others have changed what this was checked against.
        logger.warning("a request does not fit what is stored by now: %s", type(error).__name__)
        return _answer(request, 409)
    if wants_page(request) and not _does_not_answer(error):
        return None
    logger.error("the database failed a request: %s", type(error).__name__)
    return _database_away(request)


def _has_nul(request: HttpRequest) -> bool:
    """No address means anything with a NUL in it, and PostgreSQL takes it for no text at all."""
    return "\x00" in request.path or "%00" in request.META.get("QUERY_STRING", "")


def _is_json(response: HttpResponseBase) -> bool:
    return response.headers.get("Content-Type", "").startswith("application/json")


def _in_json(request: HttpRequest, page: HttpResponseBase) -> HttpResponse:
    """With what `page` told beside its content: not to sniff, to come by TLS, when to come again."""
    response = error_response(request, page.status_code, allow=page.headers.get("Allow", ""))
    for name, value in page.headers.items():
        if not name.lower().startswith("content-"):
            response.headers.setdefault(name, value)
    response.cookies = page.cookies
    return response


def _is_drf(response: HttpResponseBase) -> bool:
    """The browsable API's page for staff, with the JSON error inside."""
    return getattr(response, "accepted_media_type", None) == "text/html"
