"""The door of `/v1/responses`: what it asks of the gateway, and what it makes of the gateway's answer."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.header_lines import HeaderLines
from providers.dialects.served_responses import ServedStream, name_of_field
from providers.dialects.served_responses.request import CHECKS, MOVED
from providers.errors import ClientFault, ServerFailed
from providers.types import Operation
from routing.active_calls import KEEP_ALIVE
from routing.endpoints.fronts import FrontSink
from routing.endpoints.responses import read_response_request
from routing.errors import ClientFacing, InvalidRequest
from tests.unit.providers.served_frames import DONE, begun, chunk, kinds, read

STOP = chunk(finish="stop")


class Client:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.started = False
        self.replies: list[tuple[int, Any]] = []
        self.failures: list[ClientFacing] = []
        self.written: list[bytes] = []
        self.ended = False
        self.pushes = True
        self.is_slow = False

    @property
    def push(self) -> Callable[[bytes], bool] | None:
        return self._push if self.pushes else None

    def _push(self, frames: bytes) -> bool:
        assert frames
        if self.is_slow:
            return False
        self.written.append(frames)
        return True

    async def reply(self, status: int, body: bytes, headers: HeaderLines = b"") -> None:
        self.replies.append((status, orjson.loads(body)))

    async def start(self, headers: HeaderLines) -> None:
        self.started = True

    async def write(self, frames: bytes) -> None:
        assert frames
        self.written.append(frames)

    async def finish(self, frames: bytes = b"") -> None:
        self.written.append(frames)
        self.ended = True

    async def fail(self, error: ClientFacing, headers: HeaderLines = b"") -> None:
        self.failures.append(error)


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def sink(client: Client) -> FrontSink:
    answer = ServedStream(begun(), logprobs=False)
    return FrontSink(client, answer, name_of_field=name_of_field, request_id="req_1")  # type: ignore[arg-type]


def asked(**body: Any) -> bytes:
    return orjson.dumps({"model": "m", "input": "x", **body})


def test_a_request_is_a_chat_of_the_size_that_it_came_in() -> None:
    body = asked(stream=True, input=[{"role": "user", "content": [{"type": "input_image", "image_url": "https://a"}]}])
    request, _ = read_response_request(body, "req_1")
    assert (request.operation, request.model, request.stream, request.include_usage) == (
        Operation.CHAT,
        "m",
        True,
        True,
    )
    assert (request.size_bytes, request.has_media) == (len(body), True)


async def test_every_response_has_an_id_of_its_own() -> None:
    answer = orjson.dumps({"choices": [{"message": {"content": "Hi"}}]})
    ids = set()
    for _ in range(2):
        client = Client()
        _, front = read_response_request(asked(), "req_1")
        await front(client).reply(200, answer)  # type: ignore[arg-type]
        ids.add(client.replies[0][1]["id"])
    assert len(ids) == 2


def test_what_the_gateway_itself_refuses_has_the_clients_name() -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_response_request(asked(temperature=9), "req_1")
    assert caught.value.param == "temperature"


async def test_a_whole_answer_becomes_a_response(client: Client, sink: FrontSink) -> None:
    answer = {"model": "m-1", "choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}
    await sink.reply(200, orjson.dumps(answer), b"")
    ((status, response),) = client.replies
    assert (status, response["object"], response["output"][0]["content"][0]["text"]) == (200, "response", "Hi")


async def test_an_answer_that_is_none_is_a_failure(client: Client, sink: FrontSink) -> None:
    await sink.reply(200, b'{"choices": []}', b"")
    assert [error.status for error in client.failures] == [502]
    assert not client.replies


async def test_other_answers_pass(client: Client, sink: FrontSink) -> None:
    await sink.reply(429, b'{"error": {}}', b"")
    assert client.replies == [(429, {"error": {}})]


async def test_a_stream_is_translated_on_its_way(client: Client, sink: FrontSink) -> None:
    await sink.start(b"")
    await sink.write(b": waiting\n\n")
    for frame in (chunk({"content": "Hi"}), chunk(finish="stop")[:20], chunk(finish="stop")[20:]):
        await sink.write(frame)
    await sink.finish(DONE)
    assert client.written[0] == b": waiting\n\n"
    events = read(b"".join(client.written))
    assert (kinds(events)[0], kinds(events)[-1], client.ended) == ("created", "completed", True)


async def test_a_stream_that_ends_without_its_mark_is_whole_when_it_has_finished(
    client: Client, sink: FrontSink
) -> None:
    await sink.start(b"")
    await sink.write(chunk({"content": "Hi"}))
    await sink.finish(chunk(finish="stop"))
    assert kinds(read(b"".join(client.written)))[-1] == "completed"


async def test_a_failure_before_the_stream_is_an_error_with_the_clients_name(client: Client, sink: FrontSink) -> None:
    await sink.fail(ClientFault("Too much.", param="max_completion_tokens", code="c"), b"")
    (error,) = client.failures
    assert (error.status, error.message, error.param, error.code) == (400, "Too much.", "max_output_tokens", "c")


async def test_the_words_of_a_failure_name_the_field_as_the_client_does(client: Client, sink: FrontSink) -> None:
    await sink.fail(ClientFault("'response_format' goes not with tools.", param="response_format"), b"")
    (error,) = client.failures
    assert (error.message, error.param) == ("'text.format' goes not with tools.", "text.format")


async def test_a_failure_within_the_stream_ends_it_with_an_event(client: Client, sink: FrontSink) -> None:
    await sink.start(b"")
    await sink.write(chunk({"content": "Hi"}))
    await sink.fail(ServerFailed("It broke."), b"")
    assert kinds(read(b"".join(client.written)))[-2:] == ["error", "failed"]
    assert client.ended
    assert not client.failures


async def test_frames_are_pushed_where_the_client_can_take_them(client: Client, sink: FrontSink) -> None:
    await sink.start(b"")
    assert sink.push is not None
    for frame in (chunk({"content": "Hi"}), chunk(finish="stop")[:20], chunk(finish="stop")[20:]):
        assert sink.push(frame)
    await sink.finish(DONE)
    whole = b"".join(client.written)
    assert whole == b"".join(map(ServedStream(begun(), logprobs=False).feed, [chunk({"content": "Hi"}), STOP, DONE]))


async def test_a_client_that_pushes_nothing_has_nothing_pushed(client: Client, sink: FrontSink) -> None:
    client.pushes = False
    assert sink.push is None


@pytest.mark.parametrize("then", ["write", "finish", "fail"])
async def test_what_a_slow_client_did_not_take_is_told_once(client: Client, sink: FrontSink, then: str) -> None:
    await sink.start(b"")
    assert sink.push is not None
    assert sink.push(chunk({"content": "a"}))
    client.is_slow = True
    untaken = chunk({"content": "b"})
    assert not sink.push(untaken)
    client.is_slow = False
    await sink.write(KEEP_ALIVE)
    if then == "write":
        await sink.write(untaken)
        assert sink.push(chunk({"content": "c"}))
    if then == "fail":
        await sink.fail(ServerFailed("It broke."), b"")
    else:
        await sink.finish(STOP + DONE)
    deltas = [event["delta"] for event in read(b"".join(client.written)) if "delta" in event]
    assert deltas == (["a", "b", "c"] if then == "write" else ["a", "b"])


values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 40) | st.floats(allow_nan=False) | st.sampled_from(
        ["", "x", "auto", "none", "required", "text", "json_schema", "message", "function", "custom", "web_search",
         "reasoning", "function_call", "function_call_output", "input_text", "input_image", "llmp1.x", "allowed_tools"]
    ),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["type", "role", "content", "name", "call_id", "output", "arguments", "text", "format", "schema", "tools",
             "mode", "effort", "encrypted_content", "summary", "image_url", "user_location", "parameters"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=8,
)  # fmt: skip
NAMES = [*CHECKS, *MOVED, "input", "tools", "tool_choice", "background", "prompt", "n"]


@settings(max_examples=60, deadline=None)
@given(body=st.dictionaries(st.sampled_from(NAMES), values, max_size=4))
def test_whatever_is_sent_is_taken_or_refused_by_name(body: dict[str, Any]) -> None:
    refusals: list[InvalidRequest] = []
    try:
        request, _ = read_response_request(asked(**body), "req_1")
    except InvalidRequest as error:
        refusals.append(error)
    else:
        orjson.dumps(request.body)
    assert all(error.message and error.param for error in refusals)
