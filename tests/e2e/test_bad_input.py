"""Whatever a client sends, it gets OpenAI's error shape with a request id, and the server goes on serving."""

import contextlib
import gzip
import json
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from providers.demo import create_app
from tests.e2e.gateway_process import GatewayProcess, fresh_copy
from tests.unit.routing.test_wrong_types import BODIES, places, with_other
from tests.upstreams.faults import fault_upstream_in_thread
from tests.upstreams.servers import run_asgi

GOOD = {"model": "demo-small", "messages": [{"role": "user", "content": "hi"}]}
CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def server(migrated_data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with run_asgi(create_app()) as demo_url, fault_upstream_in_thread() as lenient:
        process = GatewayProcess(fresh_copy(migrated_data_dir, tmp_path_factory.mktemp("bad") / "data"))
        first = {"name": "first", "base_url": f"{demo_url}/v1", "models": ["demo-small"]}
        anything = {"name": "second", "base_url": f"{lenient.url}/v1", "models": ["anything"]}
        process.seed({"providers": [first, anything]}).start()
        yield process
        process.end()


def assert_is_an_error(answer: tuple[int, dict[str, str], bytes], status: int) -> dict:
    found, headers, body = answer
    assert found == status, body
    assert headers["content-type"] == "application/json"
    assert headers["x-request-id"]
    error = json.loads(body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    return error


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"{", None),
        (b"not json", None),
        (b"[]", None),
        (b'"text"', None),
        (b"\xff\xfe", None),
        (b'{"model":"demo-small","messages":[{"role":"user","content":NaN}]}', None),
        (b'{"model":"demo-small","model":"other","messages":[{"role":"user","content":"x"}]}', None),
        (b'{"model":"demo-small","messages":' + b"[" * 200 + b"]" * 200 + b"}", None),
        (b'{"model":"demo-small","messages":[{"role":"user","content":"x"}],"temperature":Infinity}', None),
        (b'{"model":"demo-small","messages":[{"role":"user","content":"x"}],"temperature":1e999}', None),
        (b'{"model":"demo-small","messages":[{"role":"user","content":"x"}]} {}', None),
        (b'{"model":"demo-small","messages":[{"role":"user","content":"\xed\xa0\x80"}]}', None),
        (b"nu" + b"[" * 2_000_000, None),
        ({"messages": GOOD["messages"]}, "model"),
        ({**GOOD, "model": 7}, "model"),
        ({**GOOD, "model": "m" * 300}, "model"),
        ({**GOOD, "messages": []}, "messages"),
        ({**GOOD, "messages": "hi"}, "messages"),
        ({**GOOD, "messages": [1]}, "messages[0]"),
        ({**GOOD, "messages": [{"role": "king", "content": "x"}]}, "messages[0]"),
        ({**GOOD, "messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({**GOOD, "stream": "yes"}, "stream"),
        ({**GOOD, "stream_options": {"include_usage": True}}, "stream_options"),
        ({**GOOD, "temperature": "hot"}, "temperature"),
        ({**GOOD, "temperature": 3}, "temperature"),
        ({**GOOD, "max_tokens": 1.5}, "max_tokens"),
        ({**GOOD, "n": 0}, "n"),
        ({**GOOD, "tools": {}}, "tools"),
    ],
)
def test_a_wrong_body_is_refused_naming_the_field(server: GatewayProcess, body: object, param: str | None) -> None:
    error = assert_is_an_error(server.post(CHAT, body), 400)
    assert error["param"] == param


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The body is empty; a JSON object is expected."),
        (b"[]", "The body must be a JSON object."),
        (b'{"a":1,"a":2}', "The body has the key 'a' twice in one object."),
        (b"{", "The body is not valid JSON: "),
    ],
)
def test_what_is_wrong_with_the_json_is_said_once(server: GatewayProcess, body: bytes, message: str) -> None:
    error = assert_is_an_error(server.post(CHAT, body), 400)
    assert error["message"].startswith(message)
    assert error["message"].count("JSON") <= 1


def test_a_body_over_the_limit_is_too_large(server: GatewayProcess) -> None:
    error = assert_is_an_error(server.post(CHAT, b" " * (8 * 1024 * 1024 + 1)), 413)
    assert error["code"] == "request_too_large"


def test_who_asks_before_it_sends_too_much_is_told_no_at_once(server: GatewayProcess) -> None:
    """As curl does with more than a megabyte."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as client:
        head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {server.key}\r\nexpect: 100-continue"
        client.sendall(f"{head}\r\ncontent-length: 9000000\r\n\r\n".encode())
        assert client.makefile("rb").readline().startswith(b"HTTP/1.1 413 ")


def test_a_body_that_grows_over_the_limit_is_too_large_as_well(server: GatewayProcess) -> None:
    """Chunked: its size is not known beforehand."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as raw:
        head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {server.key}\r\ntransfer-encoding: chunked"
        raw.sendall(head.encode() + b"\r\ncontent-type: application/json\r\n\r\n")
        # The gateway stops reading, so the end cannot be sent.
        raw.settimeout(0.5)
        chunk = b"%x\r\n" % (1 << 20) + b" " * (1 << 20) + b"\r\n"
        with contextlib.suppress(OSError):
            for _ in range(9):
                raw.sendall(chunk)
        raw.settimeout(20)
        answer = raw.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"request_too_large" in answer


def test_a_compressed_body_is_refused_by_the_name_of_its_coding(server: GatewayProcess) -> None:
    packed = gzip.compress(json.dumps(GOOD).encode())
    error = assert_is_an_error(server.post(CHAT, packed, {"content-encoding": "gzip"}), 415)
    assert "'gzip'" in error["message"]


def test_an_unknown_model_is_not_found(server: GatewayProcess) -> None:
    for path, body in ((CHAT, GOOD), ("/v1/embeddings", {"input": "x"}), ("/v1/completions", {"prompt": "x"})):
        error = assert_is_an_error(server.post(path, {**body, "model": "nobody/knows"}), 404)
        assert (error["code"], error["param"]) == ("model_not_found", "model")


def test_no_wrong_type_anywhere_in_a_request_is_a_mistake_of_ours(server: GatewayProcess) -> None:
    """Over the wire; `tests/unit/routing/test_wrong_types.py` does the same for every field and provider."""
    _, body = BODIES["the common"]
    statuses: Counter[int] = Counter()
    for path in places(body):
        for other in (True, 1e300, "", [], {}, [None]):
            wrong = with_other({**body, "model": "anything"}, path, other)
            status, headers, answer = server.post(CHAT, wrong)
            statuses[status] += 1
            assert status in (200, 400, 404), (path, other, status, answer)
            assert headers["content-type"] == "application/json"
            assert status == 200 or set(json.loads(answer)["error"]) == {"message", "type", "param", "code"}
    assert statuses[400] > 50
    assert "Traceback" not in server.log.read_text()


MAKE_KEYS = """
import json
from datetime import timedelta
from django.utils import timezone
from accounts.models import ApiKey
from accounts.provisioning import KeyOrder, create_key, revoke_key

made = {name: create_key(KeyOrder(name=name)) for name in ("good", "revoked", "expired", "read only")}
revoke_key(made["revoked"].key.pk)
ApiKey.objects.filter(name="expired").update(expires_at=timezone.now() - timedelta(seconds=1))
ApiKey.objects.filter(name="read only").update(scopes=["read"])
print(json.dumps({name: issued.token for name, issued in made.items()}))
"""


def test_a_key_that_is_no_longer_good_is_refused(server: GatewayProcess) -> None:
    made = json.loads(server.shell(MAKE_KEYS))
    for name, status, code in (
        ("revoked", 401, "invalid_api_key"),
        ("expired", 401, "invalid_api_key"),
        ("read only", 403, "permission_denied"),
    ):
        error = assert_is_an_error(server.post(CHAT, GOOD, {"authorization": f"Bearer {made[name]}"}), status)
        assert error["code"] == code
    assert server.post(CHAT, GOOD, {"authorization": f"Bearer {made['good']}"})[0] == 200


@pytest.mark.parametrize("key", ["", "nonsense", "llmp-0000000000000000-" + "A" * 43, "Bearer", "ключ"])
def test_a_missing_or_garbled_key_is_unauthorized(server: GatewayProcess, key: str) -> None:
    header = {"authorization": f"Bearer {key}".encode().decode("latin-1")}
    answer = server.post(CHAT, GOOD, header)
    assert assert_is_an_error(answer, 401)["code"] == "invalid_api_key"
    assert answer[1]["www-authenticate"] == "Bearer"


def test_a_request_without_a_key_is_told_so(server: GatewayProcess) -> None:
    """Also one that has it in the header of another service, such as Google's."""
    for headers in (
        {"authorization": ""},
        {"authorization": "Basic abc"},
        {"authorization": "", "x-goog-api-key": server.key},
    ):
        error = assert_is_an_error(server.post(CHAT, GOOD, headers), 401)
        assert "no API key" in error["message"]
        assert "Authorization: Bearer" in error["message"]


def test_an_unauthorized_body_is_not_read(server: GatewayProcess) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as raw:
        raw.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 300000000\r\n\r\n" + b"x" * 1000)
        answer = raw.recv(65536)
        assert answer.startswith(b"HTTP/1.1 401")
        assert b"connection: close" in answer


@pytest.mark.parametrize(
    ("request_line", "headers", "status"),
    [
        (f"POST {CHAT}", "authorization: Bearer wrong", 401),
        (f"POST {CHAT}", "content-type: text/plain", 415),
        (f"PUT {CHAT}", "accept: */*", 405),
        ("POST /v1/images/generations", "accept: */*", 404),
    ],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_who_sends_all_before_it_reads_sees_why_it_is_refused(
    server: GatewayProcess, request_line: str, headers: str, status: int, chunked: bool
) -> None:
    """As nginx and HAProxy do, and every client whose network is slower than the answer."""
    body = b"x" * 8_000_000
    framing = "transfer-encoding: chunked" if chunked else f"content-length: {len(body)}"
    key = "" if "authorization" in headers else f"authorization: Bearer {server.key}\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(f"{request_line} HTTP/1.1\r\nhost: x\r\n{key}{headers}\r\n{framing}\r\n\r\n".encode())
        assert client.recv(1, socket.MSG_PEEK), "the answer waits for the body"
        client.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if chunked else body)
        assert client.makefile("rb").readline().startswith(b"HTTP/1.1 %d " % status)


def test_a_page_of_an_origin_that_is_not_listed_is_told_which_setting_lists_them(server: GatewayProcess) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        asking = "origin: https://app.example\r\naccess-control-request-method: POST\r\n"
        client.sendall(f"OPTIONS {CHAT} HTTP/1.1\r\nhost: x\r\n{asking}\r\n".encode())
        head, _, body = client.recv(65536).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 403 ")
    message = json.loads(body)["error"]["message"]
    assert "'https://app.example'" in message
    assert "'cors_origins'" in message


def test_a_wrong_method_and_a_wrong_path_are_json_errors(server: GatewayProcess) -> None:
    for answer, allowed in ((server.get(CHAT), "POST"), (server.post("/v1/models", {}), "GET, HEAD")):
        assert_is_an_error(answer, 405)
        assert answer[1]["allow"] == allowed
    error = assert_is_an_error(server.post("/v1/images/generations", {"model": "m", "prompt": "x"}), 404)
    assert "POST /v1/images/generations" in error["message"]
    assert "chat/completions, completions, embeddings, responses, messages and models" in error["message"]


def test_the_answer_to_a_head_request_has_no_body_that_the_next_answer_would_follow(server: GatewayProcess) -> None:
    headers = f"host: x\r\nauthorization: Bearer {server.key}\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        for path, status in (
            ("/v1/models", 200),
            ("/v1/models/demo-small", 200),
            ("/v1/models/none", 404),
            (CHAT, 405),
        ):
            client.sendall(f"HEAD {path} HTTP/1.1\r\n{headers}\r\n".encode())
            head = client.recv(65536)
            assert head.startswith(b"HTTP/1.1 %d " % status)
            assert head.endswith(b"\r\n\r\n")
        client.sendall(f"GET /v1/models HTTP/1.1\r\n{headers}connection: close\r\n\r\n".encode())
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_a_wrong_content_type_is_refused(server: GatewayProcess) -> None:
    assert_is_an_error(server.post(CHAT, GOOD, {"content-type": "text/plain"}), 415)


def test_paths_are_forgiving_about_slashes_and_a_repeated_version(server: GatewayProcess) -> None:
    for path in ("/v1/chat/completions/", "/v1/v1/chat/completions", "/v1//chat/completions"):
        assert server.post(path, GOOD)[0] == 200


def test_a_half_sent_body_harms_nobody(server: GatewayProcess) -> None:
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as raw:
            head = (
                f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {server.key}\r\ncontent-length: 1000\r\n\r\n"
            )
            raw.sendall(head.encode() + b'{"model":')
    assert server.post(CHAT, GOOD)[0] == 200


def test_garbage_instead_of_http_is_answered_with_json(server: GatewayProcess) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as raw:
        raw.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n")
        answer = raw.recv(65536)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"application/json" in answer


def test_a_clients_own_request_id_is_kept_when_well_formed(server: GatewayProcess) -> None:
    assert server.post(CHAT, GOOD, {"x-request-id": "mine-1"})[1]["x-request-id"] == "mine-1"
    assert server.post(CHAT, GOOD, {"x-request-id": "no spaces!"})[1]["x-request-id"].startswith("req_")
