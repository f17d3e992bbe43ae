"""ONE OpenAPI document of everything over HTTP: `/v1` (written by hand), the operations API (ninja) and the management
API (drf-spectacular). `/openapi.json` serves it, `/docs` shows it with assets of our own: no other host is asked."""

import json
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import include, path
from django.views.decorators.http import require_safe
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator

from proxy_site import openapi_v1
from proxy_site.control_plane import operations as operations_api
from proxy_site.management_api import build_urls


class KeyAuthenticationScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How drf-spectacular names our keys."""

    target_class = "proxy_site.key_authentication.KeyAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


ERROR = "Error"
WRITING = ("post", "put", "patch", "delete")
OF_ONE_ROW = ("/{id}/", "/settings/", "/rotate/", "/revoke/")
IF_MATCH = {
    "in": "header",
    "name": "If-Match",
    "schema": {"type": "string"},
    "description": "The `ETag` of the row as it was read: nothing is changed when it is no longer that.",
}
WRITE_ERROR_STATUSES = {
    "409": "It exists already, something else refers to it, or the configuration file manages it.",
    "413": "The body is larger than 2.5 MiB.",
    "415": "The body is not sent as `application/json`.",
}
ERROR_STATUSES = {
    "400": "The request cannot be understood.",
    "401": "No key, or a wrong one.",
    "403": "The key lacks the scope, or may not be used from this address; or a person lacks the permission.",
    "404": "There is nothing of this name.",
    "503": "The database does not answer, or the worker is starting.",
}
DESCRIPTION = """\
An OpenAI-compatible gateway to every language-model provider.

`/v1` is OpenAI's own API: point any OpenAI client here. Clients made for Azure OpenAI find it under `/openai`, too.
The operations API tells how the gateway and its providers are; the management API configures it.
Send a key as `Authorization: Bearer KEY` or `X-API-Key: KEY`.
Errors are always `{"error": {"message", "type", "param", "code"}}`.
"""


def build_document() -> dict[str, Any]:
    operations = _operating()
    management = _management()
    paths: dict[str, Any] = dict(openapi_v1.PATHS)
    for part in (operations["paths"], _metrics_path(), management["paths"]):
        for name, methods in part.items():
            paths.setdefault(name, {}).update(methods)
    schemas: dict[str, Any] = dict(openapi_v1.SCHEMAS)
    for part in (operations, management):
        for name, schema in part.get("components", {}).get("schemas", {}).items():
            if schemas.setdefault(name, schema) != schema:
                raise ValueError(f"two different schemas are named {name}")
    for methods in paths.values():
        for operation in _operations(methods).values():
            _can_fail(operation, ERROR_STATUSES)
    return {
        "openapi": "3.1.0",
        "info": {"title": "LLM Proxy API", "version": settings.VERSION, "description": DESCRIPTION},
        "servers": [{"url": "/"}],
        "tags": [
            {"name": "completions", "description": "OpenAI's API. Scope `completions`."},
            {"name": "operations", "description": "Health and what operators do. Scopes `read` and `admin`."},
            {"name": "usage", "description": "Tokens and cost. Scope `read`."},
            {"name": "routing", "description": "Why a request goes where it goes. Scope `read`."},
            {"name": "management", "description": "Configuration. Scope `admin`, or staff with the permission."},
        ],
        "security": [{"bearer": []}, {"key_header": []}],
        "paths": dict(sorted(paths.items(), key=lambda item: (not item[0].startswith("/v1"), item[0]))),
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key_header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "session": {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME},
            },
        },
    }


def _operating() -> dict[str, Any]:
    document = _plain(operations_api.get_openapi_schema(path_prefix=""))
    for methods in document["paths"].values():
        for operation in _operations(methods).values():
            # What names no authentication needs none, and would else need what the whole document names.
            if operation.pop("security", None) is None:
                operation["security"] = [{}, {"bearer": []}, {"key_header": []}]
    return document


def _management() -> dict[str, Any]:
    patterns = [path("api/", include(build_urls()))]
    generator: Any = SchemaGenerator  # the library is not typed
    document = _plain(generator(patterns=patterns).get_schema(request=None, public=True))
    for place, methods in document["paths"].items():
        for method, operation in _operations(methods).items():
            if method in WRITING and place.endswith(OF_ONE_ROW):
                operation.setdefault("parameters", []).append(IF_MATCH)
                _can_fail(operation, {"412": "`If-Match` was sent, and somebody else has changed the row."})
            operation["tags"] = ["management"]
            operation["security"] = [{"bearer": []}, {"key_header": []}, {"session": []}]
            if method in WRITING:
                _can_fail(operation, WRITE_ERROR_STATUSES)
    for name in ("test", "models", "adopt-models"):
        for operation in document["paths"][f"/api/providers/{{id}}/{name}/"].values():
            _can_fail(operation, {"502": "The provider failed."})
    _close_bodies(document)
    _tell_of_null(document)
    return document


def _close_bodies(document: dict[str, Any]) -> None:
    """A field that there is not is refused (`OwnFieldsOnly`)."""
    for methods in document["paths"].values():
        for operation in _operations(methods).values():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                name = content["schema"]["$ref"].rpartition("/")[2]
                document["components"]["schemas"][name]["additionalProperties"] = False


def _tell_of_null(part: Any) -> None:
    """REST framework's pages have the word of OpenAPI 3.0 for what may be null, which 3.1 does not know."""
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        _tell_of_null(inner)
    if isinstance(part, dict) and part.get("nullable") is True and isinstance(part.get("type"), str):
        del part["nullable"]
        part["type"] = [part["type"], "null"]


def _metrics_path() -> dict[str, Any]:
    text = {"description": "Prometheus text.", "content": {"text/plain": {"schema": {"type": "string"}}}}
    return {"/metrics": {"get": {"tags": ["operations"], "summary": "Prometheus metrics", "responses": {"200": text}}}}


def _can_fail(operation: dict[str, Any], statuses: dict[str, str]) -> None:
    """Every failure has the same shape."""
    shape = {"application/json": {"schema": {"$ref": f"#/components/schemas/{ERROR}"}}}
    for status, description in statuses.items():
        operation["responses"].setdefault(status, {"description": description, "content": shape})


def _operations(methods: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: value for name, value in methods.items() if name in ("get", *WRITING)}


def _plain(document: Any) -> dict[str, Any]:
    """Plain JSON values with text keys, free of lazy strings and the libraries' own classes."""
    found: dict[str, Any] = json.loads(json.dumps(document, default=str))
    return found


@lru_cache(maxsize=1)
def document_bytes() -> bytes:
    """Built when first asked for: it takes half a second, and most workers never are."""
    return json.dumps(build_document(), ensure_ascii=False).encode()


@require_safe
def openapi_json(request: HttpRequest) -> HttpResponse:
    return HttpResponse(document_bytes(), content_type="application/json")


@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    return render(request, "docs.html")
