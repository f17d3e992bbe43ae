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
ERROR_STATUSES = {
    "400": "The request cannot be understood.",
    "401": "No key, or a wrong one.",
    "403": "The key lacks the scope, or may not be used from this address; or a person lacks the permission.",
    "404": "There is nothing of this name.",
    "503": "The database does not answer, or the worker is starting.",
}
DESCRIPTION = """\
An OpenAI-compatible gateway to every language-model provider.

`/v1` is OpenAI's own API: point any OpenAI client here. The operations API tells how the gateway and its providers are;
the management API configures it. Send a key as `Authorization: Bearer KEY` or `X-API-Key: KEY`.
Errors are always `{"error": {"message", "type", "param", "code"}}`.
"""


def build_document() -> dict[str, Any]:
    operations = _plain(operations_api.get_openapi_schema(path_prefix=""))
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
        _finish(methods)
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


def _management() -> dict[str, Any]:
    patterns = [path("api/", include(build_urls()))]
    generator: Any = SchemaGenerator  # the library is not typed
    document = _plain(generator(patterns=patterns).get_schema(request=None, public=True))
    for methods in document["paths"].values():
        for operation in _operations(methods):
            operation["tags"] = ["management"]
            operation["security"] = [{"bearer": []}, {"key_header": []}, {"session": []}]
    return document


def _metrics_path() -> dict[str, Any]:
    text = {"description": "Prometheus text.", "content": {"text/plain": {"schema": {"type": "string"}}}}
    return {"/metrics": {"get": {"tags": ["operations"], "summary": "Prometheus metrics", "responses": {"200": text}}}}


def _finish(methods: dict[str, Any]) -> None:
    """Every operation can fail in the same shape; public ones say that they need no key."""
    shape = {"application/json": {"schema": {"$ref": f"#/components/schemas/{ERROR}"}}}
    for operation in _operations(methods):
        if operation.get("security") in (None, [{"KeyOrSession": []}]):
            operation.pop("security", None)
        for status, description in ERROR_STATUSES.items():
            operation["responses"].setdefault(status, {"description": description, "content": shape})


def _operations(methods: dict[str, Any]) -> list[dict[str, Any]]:
    return [value for name, value in methods.items() if name in ("get", "post", "put", "patch", "delete", "head")]


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
