"""No secret leaves: canaries are planted everywhere, every error path is forced, and all that comes out is searched."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from tests.e2e.gateway_process import GatewayProcess
from tests.security.canaries import ADMIN_PASSWORD, ENVIRONMENT_SECRETS, OF_ANSWERS, PROMPT, WRONG_KEY, Watch, middles
from tests.security.conftest import MODELS

MESSAGES = [{"role": "user", "content": f"{PROMPT} and more"}]
METRICS_TOKEN = ENVIRONMENT_SECRETS["PROXY_API_METRICS_TOKEN"]
READ_PATHS = (
    "/health", "/readyz", "/metrics", "/providers", "/status", "/status/usual", "/status/plain", "/usage",
    "/usage?group_by=key", "/routes/explain?model=usual-good", "/openapi.json", "/v1/models", "/api/",
)  # fmt: skip
COMMANDS = (
    ["dump_config", "--format", "json"],
    ["dump_config", "--format", "yaml"],
    ["explain_route", "usual-good", "--json"],
    ["usage_report", "--by", "key", "--format", "csv"],
    ["check_providers"],
    ["validate_env"],
)


@pytest.fixture
def watch(watched: GatewayProcess) -> Watch:
    return Watch(middles(watched.key))


@pytest.fixture(scope="module")
def client(watched: GatewayProcess) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {watched.key}"}
    with httpx.Client(base_url=watched.url, headers=headers, timeout=30) as client:
        yield client


def tell(watch: Watch, place: str, answer: httpx.Response) -> None:
    head = json.dumps(list(answer.headers.multi_items())).encode()
    watch.look(place, head + answer.content, ignoring=OF_ANSWERS)


def test_errors_of_providers_tell_no_secret(watched: GatewayProcess, watch: Watch, client: httpx.Client) -> None:
    statuses = set()
    for name in ("usual", "plain"):
        for model in MODELS:
            for stream in (False, True):
                body = {"model": f"{name}-{model}", "messages": MESSAGES, "stream": stream}
                answer = client.post("/v1/chat/completions", json=body)
                statuses.add(answer.status_code)
                tell(watch, f"answer of {name}-{model}", answer)
                # A rejected credential rests; the next behaviour is to meet it again.
                client.post("/circuit-breakers/reset")
    assert {200, 400} < statuses, "the behaviours were not reached"
    assert watch.seen == {}


def test_a_wrong_request_is_not_repeated_anywhere(watched: GatewayProcess, watch: Watch, client: httpx.Client) -> None:
    posts: tuple[tuple[str, Any, dict[str, str]], ...] = (
        ("/v1/chat/completions", b'{"model": "usual-good", "messages": "' + PROMPT.encode(), {}),
        ("/v1/chat/completions", json.dumps({"model": PROMPT, "messages": MESSAGES}), {}),
        ("/v1/chat/completions", json.dumps({"model": "usual-good", "messages": [{"role": PROMPT}]}), {}),
        ("/v1/chat/completions", json.dumps({"model": "usual-good", PROMPT: 1, "messages": MESSAGES}), {}),
        ("/v1/completions", json.dumps({"model": "usual-good", "prompt": PROMPT, "n": "x"}), {}),
        ("/v1/responses", json.dumps({"model": "usual-good", "input": [{"type": PROMPT}]}), {}),
        ("/v1/responses", json.dumps({"model": "usual-good", "input": PROMPT, "tools": [{"type": PROMPT}]}), {}),
        ("/v1/embeddings", json.dumps({"model": "usual-good", "input": {PROMPT: PROMPT}}), {}),
        ("/v1/chat/completions", json.dumps({"messages": MESSAGES}), {"Content-Type": "text/plain"}),
        ("/v1/chat/completions", b"[" * 5000 + PROMPT.encode(), {}),
        ("/v1/chat/completions", b'{"a": "' + PROMPT.encode() * 600_000, {}),
        (f"/v1/{PROMPT}", "{}", {}),
        ("/api/providers/", json.dumps({"name": PROMPT, "secret": PROMPT}), {}),
        ("/check?provider=" + PROMPT, "", {}),
    )
    for path, content, headers in posts:
        try:
            answer = client.post(path, content=content, headers={"Content-Type": "application/json", **headers})
        except httpx.TransportError:
            continue  # the server may hang up on a body that it will not read
        assert answer.status_code >= 400, path
        tell(watch, path, answer)
    for headers in (
        {"Authorization": f"Bearer {WRONG_KEY}"},
        {"X-API-Key": WRONG_KEY},
        {"Authorization": f"Basic {WRONG_KEY}"},
        {"Cookie": f"sessionid={WRONG_KEY}"},
    ):
        for path in ("/v1/models", "/providers", "/metrics", "/api/providers/", "/requests/x", "/admin/"):
            bare = httpx.get(watched.url + path, headers=headers)
            assert bare.status_code in (302, 401), path
            tell(watch, f"{path} with a wrong key", bare)
    for path in ("/v1/models", "/providers"):
        tell(watch, f"{path} with a key in its query", httpx.get(f"{watched.url}{path}?api_key={watched.key}"))
    assert watch.seen == {}


def test_websockets_tell_no_secret(watched: GatewayProcess, watch: Watch) -> None:
    url = watched.url.replace("http", "ws", 1) + "/ws/v1/chat/completions"

    async def talk() -> None:
        protocols = [websockets.Subprotocol("llm-proxy"), websockets.Subprotocol(f"key.{watched.key}")]
        async with websockets.connect(url, subprotocols=protocols) as socket:
            watch.look("handshake", str(socket.response.headers).encode() + str(socket.subprotocol).encode())
            asked = [f"{name}-{model}" for name in ("usual", "plain") for model in MODELS]
            for number, model in enumerate(asked):
                request = {"model": model, "messages": MESSAGES}
                await socket.send(json.dumps({"type": "create", "id": str(number), "request": request}))
                while True:
                    frame = await asyncio.wait_for(socket.recv(decode=False), 20)
                    watch.look(f"frame of {model}", frame, ignoring=OF_ANSWERS)
                    if json.loads(frame)["type"] in ("done", "error"):
                        break
            await socket.send("{not json " + PROMPT)
            watch.look("frame of a broken frame", await asyncio.wait_for(socket.recv(decode=False), 20))
        for protocol in (f"key.{WRONG_KEY}", f"key.{watched.key}x"):
            with pytest.raises(websockets.InvalidStatus) as caught:
                await websockets.connect(url, subprotocols=[websockets.Subprotocol(protocol)])
            watch.look(
                "refused handshake", str(caught.value.response).encode() + bytes(caught.value.response.body or b"")
            )

    asyncio.run(talk())
    assert watch.seen == {}


def test_reading_shows_no_secret(watched: GatewayProcess, watch: Watch, client: httpx.Client) -> None:
    asked = client.post("/v1/chat/completions", json={"model": "plain-status-500", "messages": MESSAGES})
    for path in (*READ_PATHS, f"/requests/{asked.headers['x-request-id']}"):
        answer = client.get(path)
        assert answer.status_code == 200, path
        watch.look(path, answer.content)
    for path in client.get("/api/").json().values():
        listed = client.get(path)
        assert listed.status_code == 200, path
        watch.look(path, listed.content)
        for row in listed.json().get("results", []):
            if "id" in row:
                watch.look(path, client.get(f"{path}{row['id']}/").content)
    for provider in client.get("/api/providers/").json()["results"]:
        for action in ("test", "models"):
            sent = client.request("POST" if action == "test" else "GET", f"/api/providers/{provider['id']}/{action}/")
            watch.look(f"{action} of {provider['name']}", sent.content)
    for path in ("/check", "/discover", "/cache/clear", "/circuit-breakers/reset"):
        watch.look(path, client.post(path).content)
    scraped = httpx.get(f"{watched.url}/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"})
    assert scraped.status_code == 200
    watch.look("/metrics", scraped.content)
    assert watch.seen == {}


def test_pages_show_no_secret(watched: GatewayProcess, watch: Watch) -> None:
    with httpx.Client(base_url=watched.url, timeout=30, follow_redirects=True) as browser:
        login = browser.get("/admin/login/")
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', login.text)
        assert token
        form = {"csrfmiddlewaretoken": token[1], "username": "auditor"}
        refused = browser.post("/admin/login/", data={**form, "password": ADMIN_PASSWORD + "x"})
        watch.look("refused login", refused.content)
        entered = browser.post("/admin/login/", data={**form, "password": ADMIN_PASSWORD})
        assert "auditor" in entered.text
        pages = crawl(browser, ["/admin/", "/dashboard/", "/playground/", "/docs"], watch)
    assert len(pages) > 30, pages
    assert watch.seen == {}


def crawl(browser: httpx.Client, first: list[str], watch: Watch, limit: int = 60) -> set[str]:
    """Every page that links lead to, without leaving the site and without pressing anything."""
    waiting, done = list(first), set()
    while waiting and len(done) < limit:
        path = waiting.pop(0)
        if path in done or "logout" in path:
            continue
        done.add(path)
        page = browser.get(path)
        assert page.status_code < 500, (path, page.text[:2000])
        watch.look(path, page.content)
        found = re.findall(r'href="(/(?:admin|dashboard|playground)/[^"#]*)"', page.text)
        waiting += [link.replace("&amp;", "&") for link in dict.fromkeys(found) if "?" not in link]
    return done


ALL_COMMANDS = f"""
import django; django.setup()
from django.core.management import CommandError, call_command
for command in {COMMANDS!r}:
    print("COMMAND", *command)
    try:
        call_command(*command)
    except (CommandError, SystemExit) as error:
        print(error)
"""


def test_commands_print_no_secret(watched: GatewayProcess, watch: Watch) -> None:
    printed = watch.look("commands", watched.run("-c", ALL_COMMANDS).encode())
    assert printed.count(b"COMMAND") == len(COMMANDS)
    assert b"usual-good" in printed
    assert watch.seen == {}


LOSE_TABLES = """
import django
django.setup()
from django.db import connection
with connection.cursor() as cursor:
    for table in ("accounts_team", "providers_credential", "django_session"):
        cursor.execute(f"ALTER TABLE {table} RENAME TO {table}_gone")
"""


@pytest.fixture(scope="module")
def failures_inside(watched: GatewayProcess, client: httpx.Client) -> dict[str, httpx.Response]:
    """The last that is asked of the server: tables vanish under it."""
    watched.run("-c", LOSE_TABLES)
    headers = {"Cookie": "sessionid=0123456789abcdefghijklmnopqrstuv", "Accept": "text/html"}
    reading = ("/api/teams/", "/api/credentials/", "/api/providers/", "/admin/", "/dashboard/", "/providers")
    answers = {path: client.get(path, headers=headers) for path in reading}
    answers["a team"] = client.post("/api/teams/", json={"name": PROMPT})
    answers["a call"] = client.post("/v1/chat/completions", json={"model": "usual-good", "messages": MESSAGES})
    return answers


def test_failures_inside_tell_no_secret(failures_inside: dict[str, httpx.Response], watch: Watch) -> None:
    for place, answer in failures_inside.items():
        tell(watch, place, answer)
        assert "Traceback" not in answer.text
    assert watch.seen == {}


@pytest.mark.usefixtures("failures_inside")
def test_files_keep_no_secret(watched: GatewayProcess, watch: Watch) -> None:
    """Logs at DEBUG, tracebacks, journal and database, byte by byte, after the server has ended."""
    watched.stop()
    files = watch.look_at_files(watched.data_dir)
    log = watched.log.read_text()
    assert '"level":"DEBUG"' in log
    assert "Traceback" in log, "no failure inside was provoked"
    assert any(path.suffix == ".sqlite3" for path in files) or "DATABASE_URL" in watched.env
    assert watch.seen == {}


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(f'{{"message": "Bearer {WRONG_KEY}"}}')
    watch = Watch(middles("llmp-0123456789abcdef-" + "k" * 43))
    watch.look_at_files(tmp_path)
    assert list(watch.seen) == ["wrong key"]
