"""Composition of the operations API: the routers of three apps, who may call them, and how their errors look."""

from functools import partial
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from ninja import NinjaAPI, Router
from ninja.errors import AuthenticationError, HttpError, ValidationError

from accounts import usage_api
from accounts.callers import ADMIN, READ
from accounts.errors import AccessDenied
from monitoring import operations_api
from monitoring.refusals import OperationRefused
from proxy_site.api_errors import denied_response, error_object, error_response
from proxy_site.key_authentication import KeyOrSession
from routing import decisions_api


def build_api() -> NinjaAPI:
    """Its own documentation pages are off: `/docs` shows one document for everything."""
    api = NinjaAPI(title="LLM Proxy API", docs_url=None, openapi_url=None, urls_namespace="operations")
    reader = KeyOrSession(READ)
    for router in (
        operations_api.build_router(reader=reader, admin=partial(KeyOrSession, ADMIN)),
        usage_api.build_router(reader=reader),
        decisions_api.build_router(reader=reader),
    ):
        _answer_heads(router)
        api.add_router("", router)
    api.add_exception_handler(AccessDenied, _denied)
    api.add_exception_handler(OperationRefused, _refused)
    api.add_exception_handler(ValidationError, _invalid)
    api.add_exception_handler(AuthenticationError, lambda request, error: error_response(request, 401))
    api.add_exception_handler(HttpError, _http_error)
    api.add_exception_handler(Http404, lambda request, error: error_response(request, 404))
    return api


def _answer_heads(router: Router) -> None:
    """HEAD where there is GET (RFC 9110, 9.1): load balancers ask so. The server leaves the body out; the document tells of
    GET alone."""
    for view in router.path_operations.values():
        for operation in tuple(view.operations):
            if operation.methods == ["GET"]:
                head = operation.clone()
                head.methods, head.include_in_schema = ["HEAD"], False
                view.operations.append(head)


def _denied(request: HttpRequest, error: Any) -> HttpResponse:
    return denied_response(error)


def _refused(request: HttpRequest, error: Any) -> HttpResponse:
    return JsonResponse(error.body(), status=error.status)


def _invalid(request: HttpRequest, error: Any) -> HttpResponse:
    """A parameter of a wrong form: 400, as OpenAI answers, not 422."""
    first = error.errors[0]
    place = [str(part) for part in first["loc"] if part not in ("query", "body", "path", "payload")]
    name = ".".join(place[1:] if len(place) > 1 else place)
    body = error_object(f"'{name}': {first['msg']}.", "invalid_request_error", "invalid_value", name or None)
    return JsonResponse(body, status=400)


def _http_error(request: HttpRequest, error: Any) -> HttpResponse:
    return error_response(request, error.status_code, message=str(error))


operations = build_api()
