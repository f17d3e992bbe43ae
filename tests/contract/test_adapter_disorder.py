"""Whatever an upstream sends, an adapter neither crashes nor makes a broken answer look whole."""

import contextlib
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from providers.adapters.base import Adapter, ClientStream
from providers.dialects.sse import DONE
from providers.errors import (
    UpstreamError,
)
from tests.contract.asking import asked, deployed, values
from tests.contract.exchanges import EXCHANGES


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    order=st.lists(st.integers(0, 30), max_size=25),
    junk=st.sampled_from(
        [b"", b": ping\n\n", b"event: x\n\n", b'data: {"type":"new.kind","x":[1]}\n\n', b"data: {}\n\n"]
    ),
    step=st.integers(1, 200),
)
def test_survives_events_lost_repeated_and_out_of_order(
    adapter: Adapter, order: list[int], junk: bytes, step: int
) -> None:
    events = EXCHANGES[adapter.kind].events
    body = b"".join(events[number % len(events)] + junk for number in order)
    whole = run(adapter, [body])
    assert whole == run(adapter, [body[at : at + step] for at in range(0, len(body), step)])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 5000), size=st.integers(0, 30), noise=st.binary(max_size=8))
def test_survives_damaged_bytes(adapter: Adapter, at: int, size: int, noise: bytes) -> None:
    body = EXCHANGES[adapter.kind].stream
    at %= len(body)
    run(adapter, [body[:at] + noise + body[at + size :]])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.recursive(
        st.none() | st.integers() | st.text(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "choices",
                        "message",
                        "content",
                        "error",
                        "usage",
                        "output",
                        "type",
                        "id",
                        "delta",
                        "tool_calls",
                        "text",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=8,
    )
)
def test_survives_answers_of_any_shape(adapter: Adapter, body: Any) -> None:
    raw = json.dumps(body).encode()
    with contextlib.suppress(UpstreamError):
        adapter.read_answer(asked(), deployed(adapter), {}, raw)
    assert adapter.read_error(400, {}, raw, provider=adapter.kind).message
    run(adapter, [b"data: " + raw + b"\n\n"])


def run(adapter: Adapter, pieces: list[bytes]) -> tuple[Any, ...]:
    stream: ClientStream = adapter.open_stream(asked(stream=True, include_usage=True), deployed(adapter))
    sent = b"".join(stream.feed(piece) for piece in pieces if piece) + stream.close()
    assert stream.ended != (stream.failure is not None)
    assert sent.endswith(DONE) == stream.ended
    assert stream.feed(b"data: {}\n\n") == stream.close() == b""
    values(sent)
    return sent, stream.started, type(stream.failure), stream.usage, stream.finish_reason, stream.delivered_text()
