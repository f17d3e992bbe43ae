"""Which application answers, by path and role."""

import json
from typing import Any

import pytest

from proxy_site.http_router import HttpRouter
from proxy_site.roles import Role


class Recorder:
    def __init__(self, name: str) -> None:
        self.name = name

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "here", "name": self.name})


async def asked(role: Role, path: str) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    router = HttpRouter(data_plane=Recorder("data plane"), django=Recorder("django"), role=role)
    await router({"type": "http", "path": path, "headers": [(b"x-request-id", b"mine")]}, None, send)
    return sent


DATA, DJANGO, NOBODY = "data plane", "django", None
PLACES = [
    # path, all, gateway, admin
    ("/v1", DATA, DATA, NOBODY),
    ("/v1/chat/completions", DATA, DATA, NOBODY),
    ("/v1x", DJANGO, NOBODY, DJANGO),
    ("//v1/models", DATA, DATA, NOBODY),
    ("/chat/completions", DATA, DATA, NOBODY),
    ("/models", DATA, DATA, NOBODY),
    ("/openai/deployments/gpt/chat/completions", DATA, DATA, NOBODY),
    ("/openai/anything", DATA, DATA, NOBODY),
    ("/deployments/gpt/embeddings", DATA, DATA, NOBODY),
    ("/openai.json", DJANGO, NOBODY, DJANGO),
    ("/modelsx", DJANGO, NOBODY, DJANGO),
    ("/api/v1/models", DJANGO, NOBODY, DJANGO),
    ("//", DJANGO, NOBODY, DJANGO),
    ("/", DJANGO, NOBODY, DJANGO),
    ("/admin/login/", DJANGO, NOBODY, DJANGO),
    ("/api/providers/", DJANGO, NOBODY, DJANGO),
    ("/openapi.json", DJANGO, NOBODY, DJANGO),
    ("/static/css/site.css", DJANGO, NOBODY, DJANGO),
    ("/health", DJANGO, DJANGO, DJANGO),
    ("/health/", DJANGO, NOBODY, DJANGO),
    ("/livez", DJANGO, DJANGO, DJANGO),
    ("/readyz", DJANGO, DJANGO, DJANGO),
    ("/metrics", DJANGO, DJANGO, DJANGO),
    ("/providers", DJANGO, NOBODY, DJANGO),
]


@pytest.mark.parametrize(("path", "everything", "gateway", "admin"), PLACES)
async def test_a_path_goes_where_its_role_sends_it(
    path: str, everything: str, gateway: str | None, admin: str | None
) -> None:
    for role, wanted in ((Role.ALL, everything), (Role.GATEWAY, gateway), (Role.ADMIN, admin)):
        sent = await asked(role, path)
        if wanted is not None:
            assert sent == [{"type": "here", "name": wanted}], role
        else:
            assert sent[0]["status"] == 404, role
            assert (b"x-request-id", b"mine") in sent[0]["headers"]
            assert set(json.loads(sent[1]["body"])["error"]) == {"message", "type", "param", "code"}
