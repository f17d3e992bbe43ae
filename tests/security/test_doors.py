"""The doors of a running server: closed unless opened on purpose, to slow and oversized senders too, and to other tenants."""

import json
import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from proxy_site.websockets import websocket_application
from routing.endpoints.places import OPERATIONS
from tests.e2e.gateway_process import GatewayProcess
from tests.integration.api.test_access import ALL

CHAT = "/v1/chat/completions"
BODY = {"model": "good", "messages": [{"role": "user", "content": "hi"}], "temperature": 0}
OPEN = {"/health", "/livez", "/readyz", "/openapi.json", "/docs", "/admin/login/", "/admin/jsi18n/"}
"""All that answers 2xx to a stranger, beside static files."""
WEBSOCKETS = ("/ws/v1/chat/completions", "/ws/v1/chat/completions/", "/ws/dashboard/")
HEADERS_DEADLINE_S = 10.0


@pytest.fixture(scope="module")
def server(indiscreet: str, module_gateway: GatewayProcess) -> GatewayProcess:
    provider = {"name": "only", "base_url": f"{indiscreet}/v1", "models": ["good", "redirect"]}
    caching = {"response_cache": {"enabled": True, "ttl": 60}}
    return module_gateway.seed({"providers": [provider], "settings": caching}).start()


@pytest.fixture
def stranger(server: GatewayProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=20) as client:
        yield client


def paths() -> list[str]:
    """Every route of the site and of the data plane."""
    data_plane = [f"/v1/{name}" for name in OPERATIONS] + ["/v1/models", "/v1/models/good", "/v1/", "/v1/anything"]
    data_plane += [f"/openai/deployments/good/{name}" for name in OPERATIONS] + ["/openai/models", "/openai/anything"]
    data_plane += [f"/{name}" for name in OPERATIONS] + ["/models", "/models/good"]
    return ["/" + re.sub(r"<\w+>", "1", route) for route in ALL] + data_plane


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_stranger_finds_every_door_closed_but_the_public_ones(stranger: httpx.Client, method: str) -> None:
    opened = {}
    for path in paths():
        answer = stranger.request(method, path, json={} if method == "POST" else None)
        assert answer.status_code < 500, path
        if answer.is_success and path not in OPEN:
            opened[path] = answer.status_code
    assert opened == {}


@pytest.mark.parametrize(
    "spelling",
    [
        "/V1/models",
        "//v1/models",
        "/v1//models",
        "/./v1/models",
        "/v1/../metrics",
        "/x/../v1/models",
        "/%76%31/models",
        "/metrics/",
        "/metrics%2f",
        "/admin/../metrics",
        "/api/providers",
        "/;/metrics",
    ],
)
def test_another_spelling_of_a_path_opens_nothing(server: GatewayProcess, spelling: str) -> None:
    """Sent as it stands: clients would tidy it up."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sender:
        sender.sendall(f"GET {spelling} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        status = int(sender.makefile("rb").readline().split()[1])
    assert status in (301, 302, 308, 400, 401, 404)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-User": "admin"},
        {"X-Original-URL": "/livez"},
        {"X-Rewrite-URL": "/livez"},
        {"Host": "localhost"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-HTTP-Method-Override": "GET"},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer null"},
        {"Api-Key": "null"},
        {"Cookie": "sessionid=x"},
    ],
)
def test_a_header_opens_nothing(stranger: httpx.Client, headers: dict[str, str]) -> None:
    for path in ("/v1/models", "/openai/models", "/metrics", "/providers", "/api/providers/"):
        assert stranger.get(path, headers=headers).status_code == 401, path


def handshake(server: GatewayProcess, path: str, **headers: str) -> int:
    try:
        with connect(server.url.replace("http", "ws", 1) + path, additional_headers=headers, open_timeout=10):
            return 101
    except InvalidStatus as error:
        return error.response.status_code


def test_every_websocket_asks_who_is_there_before_it_opens(server: GatewayProcess) -> None:
    assert {path: handshake(server, path) for path in WEBSOCKETS} == dict.fromkeys(WEBSOCKETS, 401)
    key = {"Authorization": f"Bearer {server.key}"}
    assert handshake(server, "/ws/v1/chat/completions", **key) == 101
    assert handshake(server, "/ws/dashboard/", **key) == 401, "a key is no session"
    assert handshake(server, "/ws/v1/chat/completions", **key, Origin="https://evil.example") == 403
    assert handshake(server, "/ws/dashboard/", Origin="https://evil.example") == 403
    for path in ("/ws/", "/ws/v1/embeddings", "/v1/chat/completions", "/admin/"):
        assert handshake(server, path, **key) == 404, path


def test_the_list_of_websockets_is_whole() -> None:
    class NoWorker:
        gateway = None

    application = websocket_application(NoWorker())  # type: ignore[arg-type]
    while not hasattr(application, "routes"):
        application = application.inner
    # All others are refused.
    found = {f"/{route.pattern}" for route in application.routes} - {"/<path:rest>", "/"}
    assert found == set(WEBSOCKETS)


# ------------------------------------------------------------------------------------------------ slow and oversized


def closed_after(sender: socket.socket, within_s: float) -> float | None:
    """Seconds until the server hangs up, None if it does not."""
    began = time.monotonic()
    sender.settimeout(within_s)
    try:
        while sender.recv(65536):
            pass
    except TimeoutError:
        return None
    except ConnectionError:
        pass
    return time.monotonic() - began


def test_headers_that_do_not_come_are_waited_for_ten_seconds(server: GatewayProcess) -> None:
    def kept_open(sent: bytes) -> float | None:
        with socket.create_connection(("127.0.0.1", server.port)) as sender:
            sender.sendall(sent)
            return closed_after(sender, HEADERS_DEADLINE_S + 5)

    with ThreadPoolExecutor() as both:
        for took in both.map(kept_open, [b"", b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-Slow: "]):
            assert took is not None
            assert HEADERS_DEADLINE_S - 1 < took < HEADERS_DEADLINE_S + 4


@pytest.mark.parametrize("path", [CHAT, "/api/providers/", "/check", "/admin/login/", "/nowhere"])
def test_a_strangers_body_is_not_read(server: GatewayProcess, path: str) -> None:
    """300 MB are announced; the answer, or the hanging up, comes before they could all have been taken."""
    sent = 0
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sender:
        sender.sendall(
            f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 300000000\r\n\r\n".encode()
        )
        try:
            while sent < 300_000_000:
                sent += sender.send(b"x" * 65536)
        except OSError:
            pass
    assert sent < 30_000_000, f"{sent} bytes were taken from nobody in particular"


def test_headers_have_a_size_limit(server: GatewayProcess) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sender:
        try:
            sender.sendall(b"GET /v1/models HTTP/1.1\r\nHost: x\r\n" + b"X-Long: " + b"x" * 4_000_000 + b"\r\n\r\n")
            line = sender.makefile("rb").readline()
        except OSError:
            line = b""
    assert line == b"" or int(line.split()[1]) in (400, 401, 413, 431)


# ---------------------------------------------------------------------------------------------- addresses, other tenants


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://[fd00:ec2::254]/",
        "http://2852039166/",
        "http://0xa9fea9fe/",
        "http://[::ffff:169.254.169.254]/",
        "http://0.0.0.0/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/",
        "http://user:secret@up.example/",
        "http://up.example/?key=1",
    ],
)
def test_an_address_that_no_provider_may_have_is_refused(server: GatewayProcess, url: str) -> None:
    status, _, body = server.post("/api/providers/", {"name": f"evil{len(url)}", "base_url": url})
    assert status == 400, body


def test_a_caller_cannot_choose_the_address_or_the_headers_of_the_upstream(server: GatewayProcess) -> None:
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(0.5)
        url = f"http://127.0.0.1:{trap.getsockname()[1]}/v1"
        fields = {
            "base_url": url,
            "api_base": url,
            "api_key": "x",
            "extra_headers": {"x": "y"},
            "provider": {"base_url": url},
        }
        for name, value in fields.items():
            server.post(CHAT, {**BODY, name: value})
        server.post(
            CHAT, BODY, {"x-llm-proxy-base-url": url, "x-portkey-custom-host": url, "x-forwarded-host": url[7:-3]}
        )
        with pytest.raises(TimeoutError):
            trap.accept()


def test_redirects_of_an_upstream_are_not_followed(server: GatewayProcess) -> None:
    assert server.post(CHAT, {**BODY, "model": "redirect"})[0] == 502


def make_key(server: GatewayProcess, name: str, *scopes: str) -> str:
    status, _, body = server.post("/api/api-keys/", {"name": name, "scopes": list(scopes)})
    assert status == 201, body
    return str(json.loads(body)["key"])


def test_one_tenant_sees_nothing_of_another(server: GatewayProcess) -> None:
    mine, theirs = (make_key(server, name, "completions", "read") for name in ("mine", "theirs"))

    def ask(key: str, **headers: str) -> httpx.Response:
        deadline = time.monotonic() + 5
        while True:
            answer = httpx.post(
                server.url + CHAT, json=BODY, headers={"Authorization": f"Bearer {key}", **headers}, timeout=20
            )
            # A new key is known within two seconds.
            if answer.status_code != 401 or time.monotonic() > deadline:
                assert answer.status_code == 200, answer.text
                return answer
            time.sleep(0.1)

    def read(key: str, path: str) -> httpx.Response:
        return httpx.get(server.url + path, headers={"Authorization": f"Bearer {key}"}, timeout=20)

    first, again, others = ask(mine), ask(mine), ask(theirs)
    caches = [answer.headers["x-llm-proxy-cache"] for answer in (first, again, others)]
    assert caches == ["miss", "hit", "miss"], "the response cache is the tenant's own"
    request_id = first.headers["x-request-id"]
    assert read(mine, f"/requests/{request_id}").status_code == 200
    assert read(theirs, f"/requests/{request_id}").status_code == 404
    for path in ("/api/api-keys/", "/api/teams/", "/api/history/", "/api/credentials/"):
        assert read(mine, path).status_code == 403, path
    deadline = time.monotonic() + 10
    while (usage := read(mine, "/usage?group_by=key").json()["data"]) == [] and time.monotonic() < deadline:
        time.sleep(0.2)
    assert {row["name"] for row in usage} == {"mine"}
    assert {row["name"] for row in read(theirs, "/usage?group_by=key").json()["data"]} <= {"theirs"}
    replay = {"Idempotency-Key": "the-same-for-both"}
    ask(mine, **replay)
    assert "x-llm-proxy-replayed" not in ask(theirs, **replay).headers
