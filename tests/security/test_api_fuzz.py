"""Every operation of `/openapi.json` with values that no client sends: whatever comes, no answer is a 5xx of ours.

The document says what a parameter is; hypothesis takes that, its borders, and things it is not. Examples are few and
derandomized, so that the run is short and always the same.
"""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.e2e.gateway_process import GatewayProcess

EXAMPLES = 8
METHODS = ("get", "post", "put", "patch", "delete")
PASSED_ON = {502, 503, 504}
"""What an upstream's failure, or its absence, looks like: the one provider here listens nowhere."""

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
JUNK = st.sampled_from(
    [
        "",
        "\x00",
        "%00",
        "../..",
        "'; DROP TABLE x; --",
        "9" * 40,
        "-1",
        "1e999",
        "NaN",
        "null",
        "é\u202e",
        "{{7*7}}",
        "*" * 300,
        "true",
    ]
)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT | JUNK,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def server(module_gateway: GatewayProcess) -> GatewayProcess:
    nowhere = {"name": "nowhere", "base_url": "http://127.0.0.1:9/v1"}
    return module_gateway.seed({"providers": [nowhere]}).start("--no-beat")


@pytest.fixture(scope="module")
def client(server: GatewayProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {server.key}"}, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def document(client: httpx.Client) -> dict[str, Any]:
    return dict(client.get("/openapi.json").json())


def values(schema: Any, document: dict[str, Any], depth: int = 0) -> st.SearchStrategy[Any]:
    """Mostly what the schema asks for, sometimes what it does not."""
    return st.one_of(proper(schema, document, depth), proper(schema, document, depth), ANY)


def proper(schema: Any, document: dict[str, Any], depth: int) -> st.SearchStrategy[Any]:
    if not isinstance(schema, dict) or depth > 4:
        return ANY
    if "$ref" in schema:
        return proper(document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]], document, depth + 1)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    for several in ("anyOf", "oneOf", "allOf"):
        if schema.get(several):
            return st.one_of([proper(each, document, depth + 1) for each in schema[several]])
    return of_type(schema, document, depth)


def of_type(schema: dict[str, Any], document: dict[str, Any], depth: int) -> st.SearchStrategy[Any]:
    kind = schema.get("type")
    if isinstance(kind, list):
        return st.one_of([of_type({**schema, "type": each}, document, depth) for each in kind])
    if kind == "object":
        fields = {name: values(each, document, depth + 1) for name, each in schema.get("properties", {}).items()}
        return st.fixed_dictionaries({}, optional=fields)
    if kind == "array":
        return st.lists(values(schema.get("items"), document, depth + 1), max_size=3)
    simple = {
        "integer": st.integers() | st.integers(-3, 100),
        "number": st.floats(allow_nan=False, allow_infinity=False),
        "boolean": st.booleans(),
        "string": TEXT | JUNK,
        "null": st.none(),
    }
    return simple.get(str(kind), ANY)


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, {**operation, "parameters": [*each.get("parameters", []), *operation.get("parameters", [])]})
        for path, each in sorted(document["paths"].items())
        for method, operation in each.items()
        if method in METHODS
    ]


def body_of(operation: dict[str, Any], document: dict[str, Any]) -> st.SearchStrategy[Any]:
    contents = operation.get("requestBody", {}).get("content", {})
    schema = contents.get("application/json", {}).get("schema")
    return st.none() if schema is None else values(schema, document)


def test_no_operation_breaks(client: httpx.Client, document: dict[str, Any]) -> None:
    found = operations(document)
    assert len(found) > 60
    broken: dict[str, str] = {}
    for method, path, operation in found:
        attack(client, document, method, path, operation, broken)
    assert broken == {}


def attack(
    client: httpx.Client,
    document: dict[str, Any],
    method: str,
    path: str,
    operation: dict[str, Any],
    broken: dict[str, str],
) -> None:
    queries = {
        each["name"]: values(each.get("schema"), document)
        for each in operation["parameters"]
        if each.get("in") == "query"
    }
    places = [part[1:-1] for part in path.split("/") if part.startswith("{")]

    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(
        query=st.fixed_dictionaries({}, optional=queries),
        body=body_of(operation, document),
        parts=st.fixed_dictionaries({name: st.sampled_from(["1", "999"]) | JUNK.filter(bool) for name in places}),
    )
    def once(query: dict[str, Any], body: Any, parts: dict[str, str]) -> None:
        target = path
        for name, value in parts.items():
            target = target.replace(f"{{{name}}}", quote(value, safe=""))
        content = None if body is None else json.dumps(body).encode()
        given_query = {
            name: value if isinstance(value, str | int | float) else json.dumps(value) for name, value in query.items()
        }
        answer = client.request(
            method, target, params=given_query, content=content, headers={"Content-Type": "application/json"}
        )
        if answer.status_code >= 500 and not (answer.status_code in PASSED_ON and is_an_error(answer)):
            broken[f"{method} {path}"] = f"{answer.status_code} for {target} {given_query} {content!r:.300}"

    once()


def is_an_error(answer: httpx.Response) -> bool:
    return set(answer.json()["error"]) == {"message", "type", "param", "code"}
