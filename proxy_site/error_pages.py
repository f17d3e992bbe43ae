"""What an address outside `/v1` answers when it cannot: a page for people, the error object of the API for programs."""

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template import TemplateDoesNotExist

from routing.endpoints.request_head import OPERATIONS

_ERRORS = {
    400: ("invalid_request_error", None, "The server could not make sense of this request."),
    403: ("permission_error", "permission_denied", "This is not allowed."),
    404: ("invalid_request_error", "not_found", "There is nothing at this address."),
    500: ("server_error", "internal_error", "The server met an error of its own; its log says more."),
}
_NEEDS_VERSION = tuple(f"/{name}" for name in (*OPERATIONS, "models"))
_WITHOUT_VERSION = "There is nothing at this address: the API is under /v1, so a client's base_url ends with /v1."
_OTHER_HOST = "This host name is not answered: PROXY_API_ALLOWED_HOSTS does not name it."


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _answer(request, 400, message=_OTHER_HOST if isinstance(exception, DisallowedHost) else "")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, 403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, 404)


def server_error(request: HttpRequest) -> HttpResponse:
    return _answer(request, 500)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return _answer(request, 403, template="403_csrf.html")


def _answer(request: HttpRequest, status: int, *, template: str = "", message: str = "") -> HttpResponse:
    """Browsers name text/html in Accept; curl and the SDKs do not."""
    if "text/html" not in request.headers.get("accept", ""):
        kind, code, words = _ERRORS[status]
        if status == 404 and request.path.endswith(_NEEDS_VERSION):
            words = _WITHOUT_VERSION
        error = {"message": message or words, "type": kind, "param": None, "code": code}
        return JsonResponse({"error": error}, status=status)
    # Without the request a 500's page needs neither session nor database, one of which may be what failed.
    try:
        return render(None if status == 500 else request, template or f"{status}.html", status=status)
    except TemplateDoesNotExist:
        return HttpResponse(_ERRORS[status][2], status=status, content_type="text/plain")
