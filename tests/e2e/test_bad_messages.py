"""Whatever a client of Anthropic's sends, it gets an error in its own shape, and the server goes on serving."""

import json
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from providers.demo import create_app
from tests.e2e.gateway_process import GatewayProcess, fresh_copy
from tests.e2e.messages import COUNT, MESSAGES, error_of, said
from tests.unit.routing.test_wrong_types import places, with_other
from tests.unit.routing.test_wrong_types_of_messages import EVERYTHING, PLAIN
from tests.upstreams.servers import run_asgi

ORIGIN = "https://app.example"


@pytest.fixture(scope="module")
def server(migrated_data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with ExitStack() as stack:
        process = GatewayProcess(fresh_copy(migrated_data_dir, tmp_path_factory.mktemp("bad") / "data"))
        providers = []
        for kind in ("openai", "anthropic"):
            url = stack.enter_context(run_asgi(create_app(dialect=kind))) + "/v1"
            models = [{"model": f"by-{kind}", "upstream_model": "demo-small"}]
            providers.append({"name": kind, "kind": kind, "base_url": url, "models": models})
        process.seed({"providers": providers, "settings": {"cors_origins": [ORIGIN]}}).start()
        yield process
        process.stop()


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"{", None),
        (b"[]", None),
        (b"\xff\xfe", None),
        (json.dumps(PLAIN).encode()[:-1] + b',"top_k":NaN}', None),
        (json.dumps(PLAIN).encode()[:-1] + b',"model":"other"}', None),
        (json.dumps(PLAIN).encode()[:-1] + b',"system":' + b"[" * 200 + b"]" * 200 + b"}", None),
        (json.dumps(PLAIN).encode()[:-1] + b',"system":"\xed\xa0\x80"}', None),
        (json.dumps(PLAIN).encode()[:-1] + b',"top_k":' + b"9" * 400 + b"}", None),
        ({**PLAIN, "max_tokens": 10**30}, "max_tokens"),
        ({**PLAIN, "model": None}, "model"),
        ({**PLAIN, "messages": None}, "messages"),
    ],
)
def test_a_wrong_body_is_refused_in_anthropics_shape(server: GatewayProcess, body: object, param: str | None) -> None:
    for path in (MESSAGES, COUNT):
        error = error_of(server.post(path, body), 400)
        assert (error["type"], error["param"]) == ("invalid_request_error", param)


def test_a_lone_surrogate_is_refused_or_answered(server: GatewayProcess) -> None:
    for model in ("by-openai", "by-anthropic"):
        body = json.dumps(said("PLACE", model)).replace("PLACE", r"\ud83d").encode()
        assert server.post(MESSAGES, body)[0] in (200, 400)


def test_a_body_over_the_limit_is_too_large(server: GatewayProcess) -> None:
    for path in (MESSAGES, COUNT):
        error = error_of(server.post(path, b" " * (8 * 1024 * 1024 + 1)), 413)
        assert (error["type"], error["code"]) == ("request_too_large", "request_too_large")
    large = said("x" * (8 * 1024 * 1024 - 500), "by-anthropic")
    assert server.post(COUNT, large)[0] == 200


def test_no_wrong_type_anywhere_is_a_mistake_of_ours(server: GatewayProcess) -> None:
    """Over the wire; `tests/unit/routing/test_wrong_types_of_messages.py` does the same for every field and provider."""
    statuses: Counter[int] = Counter()
    for number, path in enumerate(places(EVERYTHING)):
        for other in (True, -1, 1e300, "", [], {}, [None])[number % 2 :: 2]:
            wrong = with_other({**EVERYTHING, "model": "by-anthropic", "stream": number % 3 == 0}, path, other)
            answer = server.post(MESSAGES, wrong)
            statuses[answer[0]] += 1
            if answer[0] != 200:
                assert answer[0] in (400, 404), (path, other, answer)
                error_of(answer, answer[0])
    assert statuses[400] > 50
    assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize("path", [MESSAGES, COUNT])
def test_who_may_not_is_told_so_in_anthropics_shape(server: GatewayProcess, path: str) -> None:
    for headers in (
        {"authorization": ""},
        {"authorization": "Bearer wrong"},
        {"authorization": "", "x-api-key": "wrong"},
    ):
        error = error_of(server.post(path, said("x"), headers), 401)
        assert (error["type"], error["code"]) == ("authentication_error", "invalid_api_key")
    reader = server.manage("create_api_key", f"reads {path}", "--scope", "read").split()[0]
    bound = server.manage("create_api_key", f"bound {path}", "--model", "by-openai").split()[0]
    error = error_of(server.post(path, said("x"), {"authorization": f"Bearer {reader}"}), 403)
    assert error["type"] == "permission_error"
    error = error_of(server.post(path, said("x"), {"authorization": f"Bearer {bound}"}), 404)
    assert (error["type"], error["code"], error["param"]) == ("not_found_error", "model_not_found", "model")
    assert error_of(server.get(path), 405)["code"] == "method_not_allowed"
    for headers in ({"content-type": "text/plain"}, {"content-encoding": "gzip"}):
        assert error_of(server.post(path, said("x"), headers), 415)["code"] == "unsupported_media_type"


def exchange(server: GatewayProcess, head: str, body: bytes = b"") -> tuple[str, bytes]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(f"{head}\r\nhost: x\r\nconnection: close\r\n\r\n".encode() + body)
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    told, _, rest = answer.partition(b"\r\n\r\n")
    return told.decode("latin-1"), rest


def test_the_answer_to_a_head_request_has_no_body(server: GatewayProcess) -> None:
    for path in (MESSAGES, COUNT):
        head, body = exchange(server, f"HEAD {path} HTTP/1.1\r\nauthorization: Bearer {server.key}")
        assert head.startswith("HTTP/1.1 405 ")
        assert "allow: POST" in head
        assert body == b""


def test_a_browsers_page_may_use_anthropics_client(server: GatewayProcess) -> None:
    asked = "anthropic-dangerous-direct-browser-access,anthropic-version,content-type,x-api-key,x-stainless-lang"
    asking = f"origin: {ORIGIN}\r\naccess-control-request-method: POST\r\naccess-control-request-headers: {asked}"
    head, _ = exchange(server, f"OPTIONS {MESSAGES} HTTP/1.1\r\n{asking}")
    assert head.startswith("HTTP/1.1 204 ")
    (allowed,) = [line for line in head.split("\r\n") if line.startswith("access-control-allow-headers: ")]
    assert set(asked.split(",")) <= set(allowed.partition(": ")[2].split(", "))
    status, headers, _ = server.post(
        MESSAGES, said("x", "by-openai"), {"authorization": "", "x-api-key": server.key, "origin": ORIGIN}
    )
    assert status == 200
    assert "request-id" in headers["access-control-expose-headers"].split(", ")
