"""A stream cut anywhere ends with an error event: never in silence, never as if it were complete, and nothing of what
came before is lost or repeated. A deadline holds against an upstream that trickles."""

from collections.abc import Iterator

import openai
import pytest

from tests.e2e.calling import Caller, Got, at_once, percentile, report
from tests.e2e.gateway_process import GatewayProcess
from tests.upstreams.behaviours import Behaviour, Fault, expected_text, stream_events, token
from tests.upstreams.faults import FaultUpstream, Script, fault_upstream_in_thread

TOKENS = 6
CUT_MODEL = "cut"
EVENTS = stream_events(Behaviour(tokens=TOKENS), CUT_MODEL, include_usage=True)
SIZE = sum(map(len, EVENTS))
FIRST_TOKEN_ENDS = sum(map(len, EVENTS[:2]))
FINISH_ENDS = sum(map(len, EVENTS[: TOKENS + 2]))
DEADLINE_S = 0.8


@pytest.fixture(scope="module")
def upstream() -> Iterator[FaultUpstream]:
    with fault_upstream_in_thread() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def server(upstream: FaultUpstream, module_gateway: GatewayProcess) -> GatewayProcess:
    slow = [
        {"model": "trickled", "upstream_model": "fault:trickle?interval_s=0.02&tokens=100"},
        {"model": "trickled headers", "upstream_model": "fault:trickle_headers?interval_s=0.05"},
        {"model": "hanging", "upstream_model": "fault:hang_before_headers"},
        {"model": "hanging mid-stream", "upstream_model": "fault:hang_mid_stream"},
    ]
    never_out = {"circuit_breaker_threshold": 1_000_000, "circuit_breaker_timeout_s": 0.001}
    only = {"name": "only", "base_url": f"{upstream.url}/v1", "models": [CUT_MODEL, *slow], **never_out}
    return module_gateway.seed({"providers": [only]}).start()


def tokens_before(offset: int) -> str:
    """The text of the token events that are complete in the first `offset` bytes."""
    text, seen = "", len(EVENTS[0])
    for number in range(TOKENS):
        seen += len(EVENTS[1 + number])
        if seen <= offset:
            text += token(number)
    return text


def judge(got: Got, offset: int, cut_with: str) -> str | None:
    """What is wrong with the answer to a stream cut at this offset, if anything. An HTTP message that ends in order
    after the finish is complete, whatever else is missing; one that breaks off is not."""
    if cut_with == "clean" and offset >= FINISH_ENDS:
        return None if got.is_clean(expected_text(TOKENS)) else f"{offset}: a finished stream was not delivered: {got}"
    if offset < FIRST_TOKEN_ENDS:
        fine = got.status == 502 and got.errors and not got.text
    else:
        fine = got.status == 200 and len(got.errors) == 1 and got.text == tokens_before(offset)
    return None if fine and not got.done and not got.broken else f"{offset}: {got}"


async def cut_at(server: GatewayProcess, upstream: FaultUpstream, offsets: list[int], cut_with: str) -> list[str]:
    wrong: list[str] = []
    async with Caller(server) as caller:
        for offset in offsets:
            # Asked twice where nothing was sent yet: a lone candidate is tried again, and must be cut again.
            cut = Behaviour(fault=Fault.CUT, tokens=TOKENS, cut_at=offset, cut_with=cut_with)
            upstream.script = Script(default=cut)
            fault = judge(await caller.ask(CUT_MODEL), offset, cut_with)
            if fault is not None:
                wrong.append(fault)
    return wrong


@pytest.mark.parametrize("cut_with", ["eof", "rst", "clean"])
async def test_a_cut_stream_ends_with_an_error_event(
    server: GatewayProcess, upstream: FaultUpstream, cut_with: str
) -> None:
    edges = sorted({sum(map(len, EVENTS[:count])) for count in range(1, len(EVENTS))})
    offsets = sorted({offset + shift for offset in edges for shift in (-1, 0, 1)})
    offsets = [*[offset for offset in offsets if offset >= FIRST_TOKEN_ENDS][::3], FIRST_TOKEN_ENDS, SIZE - 1]
    assert not await cut_at(server, upstream, offsets, cut_with)


@pytest.mark.slow
@pytest.mark.parametrize("cut_with", ["eof", "rst", "clean"])
async def test_a_stream_cut_at_any_byte_ends_with_an_error_event(
    server: GatewayProcess, upstream: FaultUpstream, cut_with: str
) -> None:
    wrong = await cut_at(server, upstream, list(range(SIZE)), cut_with)
    report(f"stream cut ({cut_with}) at each of {SIZE} offsets: {len(wrong)} wrong")
    assert not wrong


@pytest.mark.parametrize("model", ["trickled", "trickled headers", "hanging", "hanging mid-stream"])
async def test_the_deadline_holds_against_an_upstream_that_never_ends(server: GatewayProcess, model: str) -> None:
    async with Caller(server) as caller:
        # So that all connections are there: making one on a busy machine is no overrun.
        await overruns(caller, model, 3)
        found = await overruns(caller, model, 3)
    assert max(found) <= 0.25, found


@pytest.mark.slow
async def test_the_deadline_is_overrun_by_little_a_hundred_times(server: GatewayProcess) -> None:
    async with Caller(server) as caller:
        for model in ("trickled", "trickled headers", "hanging", "hanging mid-stream"):
            found = await overruns(caller, model, 100)
            report(f"deadline overrun, {model}: p99 {percentile(found, 0.99) * 1000:.0f} ms of 100 calls, 10 at once")
            assert max(found) <= 0.25


async def overruns(caller: Caller, model: str, calls: int) -> list[float]:
    headers = {"x-llm-proxy-timeout": str(DEADLINE_S)}
    found = await at_once(
        10,
        [lambda number=number: caller.ask(model, stream=number % 3 != 1, headers=headers) for number in range(calls)],
    )
    for got in found:
        assert got.errors[0]["code"] == "upstream_timeout", got
        assert not got.done
        assert got.status in (200, 504)
    return [got.duration_s - DEADLINE_S for got in found]


def test_the_official_client_raises_where_a_stream_broke_off_and_has_the_requests_id(
    server: GatewayProcess, upstream: FaultUpstream
) -> None:
    cut = Behaviour(fault=Fault.CUT, tokens=TOKENS, cut_at=SIZE - 200, cut_with="eof")
    upstream.script = Script(default=cut)
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.key, max_retries=0) as client:
        stream = client.chat.completions.create(
            model=CUT_MODEL, messages=[{"role": "user", "content": "x"}], stream=True
        )
        with pytest.raises(openai.APIError) as caught:
            list(stream)
    assert (type(caught.value), caught.value.type, caught.value.code) == (
        openai.APIError,
        "upstream_error",
        "stream_truncated",
    )
    assert isinstance(caught.value.body, dict)
    assert set(caught.value.body) == {"message", "type", "param", "code", "request_id"}
    assert caught.value.body["request_id"] == stream.response.headers["x-request-id"]
