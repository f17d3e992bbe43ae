"""What a browser may load, run and send from a page of ours: a Content-Security-Policy with every answer that is HTML.

Should somebody's words get into a page as markup (a provider's message, a model's name), they are still no script there.
"""

from collections.abc import Callable
from http import HTTPStatus

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponseBase

Policy = dict[str, str]

STRICT: Policy = {
    "default-src": "'self'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    # WebSockets of the same origin are in it.
    "connect-src": "'self'",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
SECTIONS: dict[str, Policy] = {
    # Alpine.js makes functions of the attributes in unfold's templates; unfold and htmx put style elements into a page.
    "admin": {"script-src": "'self' 'unsafe-eval'", "style-src": "'self' 'unsafe-inline'"},
    # Django REST framework's pages for staff place a few buttons with style attributes.
    "api": {"style-src-attr": "'unsafe-inline'"},
    # The icons in Swagger UI's style sheet.
    "docs": {"img-src": "'self' data:"},
}
"""By an address's first segment, what libraries cannot do without there."""
DEBUG_PAGE: Policy = {"script-src": "'self' 'unsafe-inline'", "style-src": "'self' 'unsafe-inline'"}
"""Django's own page about an error, which has everything inside."""
DEBUG_STATUSES = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.INTERNAL_SERVER_ERROR})


def header(policy: Policy) -> str:
    return "; ".join(f"{directive} {sources}" for directive, sources in (STRICT | policy).items())


class ContentPolicyMiddleware:
    """Outside of all that makes pages, so that pages about errors have it, too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        if settings.CONTENT_SECURITY_POLICY == "off":
            raise MiddlewareNotUsed
        self._get_response = get_response
        report_only = settings.CONTENT_SECURITY_POLICY == "report-only"
        self._name = "Content-Security-Policy-Report-Only" if report_only else "Content-Security-Policy"
        self._sections = {section: header(policy) for section, policy in SECTIONS.items()}
        self._others = header({})

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._get_response(request)
        if response.headers.get("Content-Type", "").startswith("text/html"):
            response.headers[self._name] = self._policy(request, response.status_code)
        return response

    def _policy(self, request: HttpRequest, status: int) -> str:
        if settings.DEBUG and status in DEBUG_STATUSES:
            return header(DEBUG_PAGE)
        section = request.path_info.lstrip("/").split("/", 1)[0]
        return self._sections.get(section, self._others)
