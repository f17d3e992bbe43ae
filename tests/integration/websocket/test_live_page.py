"""`/ws/dashboard/` and what it shows, against a real server."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from tests.integration.websocket.conftest import Door, create, ends

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def frames(socket: aiohttp.ClientWebSocketResponse, wanted: int) -> list[dict[str, Any]]:
    return [json.loads((await socket.receive(timeout=5)).data) for _ in range(wanted)]


async def test_the_live_page_is_for_staff_from_our_own_pages(door: Door) -> None:
    own, strange = {"origin": door.server.url}, {"origin": "http://elsewhere.example"}
    path = "/ws/dashboard/"
    assert await door.status(path, headers={"authorization": f"Bearer {door.server.key}"}) == 401
    await door.log_in("staff")
    assert await door.status(path, headers=own) == 101
    assert await door.status(path, headers=strange) == 403
    assert await door.status("/ws/nowhere") == 404


async def test_requests_reach_every_open_page_as_one_frame_a_second(door: Door) -> None:
    await door.log_in("staff")
    own = {"origin": door.server.url}
    async with door.socket("/ws/dashboard/", headers=own) as one, door.socket("/ws/dashboard/", headers=own) as other:
        (first,), others = await asyncio.gather(frames(one, 1), frames(other, 1))
        assert first["type"] == "snapshot"
        assert [provider["name"] for provider in first["providers"]] == ["only"]
        async with door.with_key() as socket:
            for number in range(30):
                await socket.send_json(create(f"g{number}", "fine"))
            await ends(socket, of=30)
        # The other page may have come a second earlier or later.
        seen, again = await asyncio.gather(frames(one, 3), frames(other, 4))

    assert [frame["n"] for frame in seen] == list(range(first["n"] + 1, first["n"] + 4))
    figures = {frame["n"]: frame["figures"] for frame in (*others, *again)}
    assert [frame["figures"] for frame in seen] == [figures.get(frame["n"]) for frame in seen]
    assert round(seen[-1]["figures"][0] * min(seen[-1]["n"], 60)) == 30
    assert max(len(frame.get("recent", [])) for frame in seen) <= 10
    card = {key: value for frame in seen for key, value in frame.get("providers", {}).get("1", {}).items()}
    assert card["rps"] > 0
    assert card["state"] == "healthy"


async def test_a_page_whose_person_signed_out_is_shown_nothing_more(door: Door) -> None:
    await door.log_in("staff")
    async with door.socket("/ws/dashboard/", headers={"origin": door.server.url}) as socket:
        await frames(socket, 1)
        await door.log_out()
        async with asyncio.timeout(15):
            async for message in socket:
                assert message.type is aiohttp.WSMsgType.TEXT
        assert socket.close_code == 4401


async def test_a_page_that_slept_is_told_everything_when_it_asks(door: Door) -> None:
    await door.log_in("staff")
    async with door.socket("/ws/dashboard/", headers={"origin": door.server.url}) as socket:
        await frames(socket, 1)
        await socket.send_str('{"type":"snapshot"}')
        assert "snapshot" in [frame["type"] for frame in await frames(socket, 2)]
