"""A real gateway with a scripted upstream, and a WebSocket client that reads by hand."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from yarl import URL

from tests.e2e.gateway_process import GatewayProcess, fresh_copy
from tests.upstreams.faults import FaultUpstream

MODELS = {
    "fine": "fault:none?tokens=5",
    "slow": "fault:none?tokens=400&interval_s=0.02",
    "flood": "fault:none?tokens=60000",
    "silent": "fault:hang_after_headers",
}


# One server and one upstream for a module: starting takes longer than any of its tests.
@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def upstream() -> AsyncIterator[FaultUpstream]:
    async with FaultUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def server(
    migrated_data_dir: Path, tmp_path_factory: pytest.TempPathFactory, upstream: FaultUpstream
) -> Iterator[GatewayProcess]:
    process = GatewayProcess(fresh_copy(migrated_data_dir, tmp_path_factory.mktemp("websocket") / "data"))
    models = [{"model": name, "upstream_model": upstream_model} for name, upstream_model in MODELS.items()]
    process.seed({"providers": [{"name": "only", "base_url": f"{upstream.url}/v1", "models": models}]})
    process.shell(MAKE_PEOPLE)
    process.start()
    yield process
    process.kill()


MAKE_PEOPLE = """
from django.contrib.auth.models import Permission, User
for name in ("staff", "trier"):
    User.objects.create_user(name, password="correct-horse-battery", is_staff=True)
User.objects.get(username="trier").user_permissions.add(Permission.objects.get(codename="view_provider"))
"""


class Door:
    """Both ends of a test: an HTTP session with cookies, and sockets opened through it."""

    def __init__(self, server: GatewayProcess, session: aiohttp.ClientSession) -> None:
        self.server = server
        self.session = session

    def socket(self, path: str = "/ws/v1/chat/completions", **options: Any) -> Any:
        return self.session.ws_connect(self.server.url + path, **options)

    def with_key(self) -> Any:
        return self.socket(headers={"authorization": f"Bearer {self.server.key}"})

    async def status(self, path: str = "/ws/v1/chat/completions", **options: Any) -> int:
        try:
            async with self.socket(path, **options):
                return 101
        except aiohttp.WSServerHandshakeError as refused:
            return refused.status

    async def log_in(self, name: str) -> None:
        page = f"{self.server.url}/admin/login/"
        async with self.session.get(page) as answer:
            await answer.read()
        token = self.session.cookie_jar.filter_cookies(answer.url)["csrftoken"].value
        form = {"username": name, "password": "correct-horse-battery", "csrfmiddlewaretoken": token, "next": "/livez"}
        async with self.session.post(page, data=form, headers={"referer": page}) as answer:
            await answer.read()

    async def log_out(self) -> None:
        page = f"{self.server.url}/admin/logout/"
        token = self.session.cookie_jar.filter_cookies(URL(self.server.url))["csrftoken"].value
        headers = {"referer": page, "x-csrftoken": token}
        async with self.session.post(page, headers=headers) as answer:
            assert answer.status == 200


@pytest_asyncio.fixture(loop_scope="module")
async def door(server: GatewayProcess) -> AsyncIterator[Door]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield Door(server, session)


def create(generation_id: str, model: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "create",
        "id": generation_id,
        "request": {"model": model, "messages": [{"role": "user", "content": "hi"}], "user": generation_id, **more},
    }


async def ends(socket: aiohttp.ClientWebSocketResponse, *, of: int = 1) -> tuple[dict[str, Any], dict[str, str]]:
    """Reads until `of` generations have ended: their last messages, and the text of each."""
    last: dict[str, Any] = {}
    texts: dict[str, str] = {}
    while len(last) < of:
        message = json.loads((await socket.receive(timeout=20)).data)
        if message["type"] == "chunk":
            for choice in message["chunk"]["choices"]:
                text = choice["delta"].get("content") or ""
                texts[message["id"]] = texts.get(message["id"], "") + text
        elif message["type"] in ("done", "error"):
            last[message["id"]] = message
    return last, texts
