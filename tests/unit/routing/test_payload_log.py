"""What waits to be stored is bounded by what it really holds."""

from types import SimpleNamespace
from typing import Any

import pytest

from routing import payload_log
from routing.payload_log import Payload, PayloadLog


class Sink:
    async def reply(self, status: int, body: bytes, headers: bytes = b"") -> None:
        """The client has it."""


async def test_a_request_that_was_shortened_counts_as_long_as_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payload_log, "WAITING_BYTES", 12_000)
    stored: list[Payload] = []
    log = PayloadLog(write=stored.extend, interval_s=3600)
    for _ in range(5):
        call: Any = SimpleNamespace(
            request=SimpleNamespace(body={"messages": "x" * 4000}, size_bytes=4000), sink=Sink()
        )
        log.listen(call)
        call.request = SimpleNamespace(body={"messages": "short"}, size_bytes=0)
        await call.sink.reply(200, b"{}")
    await log.aclose()
    assert (len(stored), log.dropped) == (2, 3)
