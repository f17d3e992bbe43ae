"""Composition of the operations API: the routers of three apps, who may call them, and how their errors look."""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from ninja import NinjaAPI, Router
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.operation import Operation

from accounts import usage_api
from accounts.callers import ADMIN, READ
from accounts.errors import AccessDenied
from monitoring import operations_api
from monitoring.refusals import OperationRefused
from proxy_site.errors import denied_response, error_object, error_response, refused_response
from proxy_site.key_authentication import KeyOrSession
from routing import decisions_api
from rows import names


def build_api() -> NinjaAPI:
    """Its own documentation pages are off: `/docs` shows one document for everything."""
    api = NinjaAPI(title="LLM Proxy API", docs_url=None, openapi_url=None, urls_namespace="operations")
    reader = KeyOrSession(READ)
    for router in (
        operations_api.build_router(reader=reader, admin=partial(KeyOrSession, ADMIN)),
        usage_api.build_router(reader=reader),
        decisions_api.build_router(reader=reader),
    ):
        _refuse_others(router)
        _answer_heads(router)
        api.add_router("", router)
    api.add_exception_handler(AccessDenied, _denied)
    api.add_exception_handler(OperationRefused, _refused)
    api.add_exception_handler(ValidationError, _invalid)
    api.add_exception_handler(AuthenticationError, lambda request, error: error_response(request, 401))
    api.add_exception_handler(HttpError, _http_error)
    api.add_exception_handler(Http404, lambda request, error: error_response(request, 404))
    return api


def _refuse_others(router: Router) -> None:
    """A parameter that there is not, or a body: what was meant by `providr` or `{"provider": …}` would else be left out in
    silence, and all providers checked. What is public takes anything, as load balancers add to addresses what they like."""
    for view in router.path_operations.values():
        for operation in view.operations:
            if operation.auth_param is not None:
                operation.view_func = _with_own_parameters(operation)


def _with_own_parameters(operation: Operation) -> Callable[..., Any]:
    own, answer = _query_names(operation), operation.view_func

    @wraps(answer)
    def answer_own(request: HttpRequest, **values: Any) -> Any:
        for name, advice in names.unknown("parameter", request.GET, own).items():
            raise OperationRefused(advice, param=name)
        if _says_something(request):
            raise OperationRefused("This takes no body: what is meant stands in the address, as ?name=value.")
        return answer(request, **values)

    return answer_own


def _says_something(request: HttpRequest) -> bool:
    if request.content_type == "multipart/form-data":  # never without a last line
        return bool(request.POST or request.FILES)
    return request.body.strip() not in (b"", b"{}")


def _query_names(operation: Operation) -> tuple[str, ...]:
    return tuple(
        name
        for model in operation.models
        if model.__ninja_param_source__ == "query"
        for name in model.__ninja_flatten_map__
    )


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
    return refused_response(error)


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
