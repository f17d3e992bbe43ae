"""The live page's arithmetic and its frames: windows, merging of workers, cards, and what is sent to readers."""

import asyncio
import random
from typing import Any

import orjson
import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from monitoring import live, live_feed
from monitoring.finished_call import FinishedAttempt, FinishedCall
from monitoring.live import Conditions, ProviderNow
from monitoring.live_facts import LiveFacts, ProviderFacts, cell
from monitoring.live_feed import LiveFeed
from monitoring.live_page import changes
from monitoring.live_sharing import SecondReader, WorkerSecond
from monitoring.live_window import WINDOW_S, LiveWindow, class_of, milliseconds, quantile_ms
from monitoring.traffic import Traffic
from monitoring.upstream_state import UpstreamStates
from tests.unit.monitoring.calls import told
from tests.unit.monitoring.clock import Clock


def call(at: float, *, provider: str = "one", status: int = 200, failed: str = "", first: float = 0.2) -> FinishedCall:
    attempts = (FinishedAttempt(failed, f"{failed}/m", "connect"),) if failed else ()
    return FinishedCall(
        request_id=f"req_{at}",
        endpoint="chat/completions",
        status=status,
        ended_at=at,
        duration_s=1.0,
        provider=provider,
        model="m",
        input_tokens=10,
        output_tokens=20,
        cost_nano_usd=1000,
        first_token_s=first,
        attempts=(*attempts, FinishedAttempt(provider, f"{provider}/m", "success")),
    )


def test_the_window_is_the_sum_of_its_last_minute_whatever_came_before() -> None:
    draw = random.Random(7)
    window, seconds = LiveWindow(), [[draw.randrange(5), draw.randrange(3)] for _ in range(200)]
    for at, (one, other) in enumerate(seconds):
        rows = {name: [count, 0, 10 * count, 20 * count, 5 * count, 0.2 * count, count]
                for name, count in (("one", one), ("other", other)) if count}  # fmt: skip
        window.add(rows, {class_of(0.2): one + other}, {"one": 1} if at % 2 else None)
        window.close(at)
        last = seconds[max(0, at - WINDOW_S + 1) : at + 1]
        total = sum(map(sum, last))
        assert window.figures().requests_per_s == round(total / len(last), 2)
    by_provider = window.by_provider()
    assert by_provider["one"].requests_per_s == round(sum(one for one, _ in seconds[-60:]) / 60, 2)
    requests = sum(one for one, _ in seconds[-60:])
    assert by_provider["one"].error_percent == round(100 * 30 / (requests + 30), 1)
    assert window.cost_nano_usd == 5 * sum(map(sum, seconds))


def test_providers_without_calls_in_the_last_minute_are_forgotten() -> None:
    window = LiveWindow()
    window.add({"gone": [1, 0, 1, 1, 0, 0.1, 1]}, {class_of(0.1): 1}, {"gone": 2})
    for at in range(WINDOW_S + 1):
        window.close(at)
    assert window.by_provider() == {}
    assert window.figures().p50_ms is None


@pytest.mark.parametrize("seconds", [0.001, 0.02, 0.4, 3.0, 61.0])
def test_a_class_of_times_is_at_most_five_percent_off(seconds: float) -> None:
    assert milliseconds(class_of(seconds)) == pytest.approx(1000 * seconds, rel=0.05, abs=0.6)


def test_quantiles_are_those_of_all_workers_together() -> None:
    fast, slow = {class_of(0.1): 90}, {class_of(2.0): 10}
    window = LiveWindow()
    window.add({}, fast)
    window.add({}, slow)
    window.close(1)
    figures = window.figures()
    assert (figures.p50_ms, figures.p95_ms) == (milliseconds(class_of(0.1)), milliseconds(class_of(2.0)))
    assert quantile_ms({}, 0.5) is None


def test_a_second_of_a_worker_survives_its_message_and_is_read_once() -> None:
    traffic = Traffic()
    reader = SecondReader(traffic, "w1")
    reader.read(now=100.0, running={})
    traffic.observe(*told(call(100.2, failed="broken")))
    traffic.observe(*told(call(100.4, status=503)))
    second = reader.read(now=101.1, running={"one": 3})

    assert second.rows["one"][:2] == [2, 1]
    assert second.failed == {"broken": 1}
    assert second.diverted == [("broken", "one")]
    again = WorkerSecond.from_message(orjson.loads(orjson.dumps(second.message())))
    assert (again.rows, again.failed, again.first_tokens, again.running) == (
        second.rows, second.failed, second.first_tokens, {"one": 3},
    )  # fmt: skip
    assert reader.read(now=102.1, running={}).rows == {}


def test_only_what_changed_is_sent() -> None:
    before = {1: {"rps": 1.0, "state": "healthy"}, 2: {"rps": 0.0, "state": "healthy"}}
    after = {1: {"rps": 1.5, "state": "healthy"}, 2: {"rps": 0.0, "state": "healthy"}, 3: {"rps": 2.0}}
    assert changes(before, after) == {1: {"rps": 1.5}, 3: {"rps": 2.0}}


@pytest.mark.parametrize(("counts", "letter"), [((0, 0, 0), "-"), ((9, 0, 0), "u"), ((9, 1, 0), "s"), ((9, 0, 5), "d")])
def test_cells_tell_up_slow_and_down_apart(counts: tuple[int, int, int], letter: str) -> None:
    assert cell(*counts) == letter


class Worker:
    """A worker's live state with two healthy providers."""

    def providers(self) -> tuple[ProviderNow, ...]:
        return tuple(
            ProviderNow(
                id=number, name=name, kind="openai", demo=False, health="healthy", models=("m",), deployments=()
            )
            for number, name in ((1, "one"), (2, "two"))
        )

    def conditions(self) -> Conditions:
        return Conditions(revision=1, stale=False, draining=False, sql_down_s=0, redis_up=True, journal_backlog=0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def traffic() -> Traffic:
    return Traffic()


@pytest.fixture
def feed(clock: Clock, traffic: Traffic):  # type: ignore[no-untyped-def]
    live.install(Worker())  # type: ignore[arg-type]
    facts = LiveFacts(providers={1: ProviderFacts(priority=1), 2: ProviderFacts(priority=2)}, cost_today_nano_usd=500)
    yield LiveFeed(traffic, UpstreamStates(clock, lambda: 0.5), name="w1", clock=clock, facts=lambda: facts)
    live.install(None)


async def second(feed: LiveFeed, clock: Clock) -> None:
    clock.now += 1
    await feed.tick()


async def test_frames_applied_to_a_snapshot_give_the_next_snapshot(
    feed: LiveFeed, clock: Clock, traffic: Traffic
) -> None:
    feed.subscribe(lambda: None)
    page = orjson.loads(await feed.snapshot())
    cards = {card["id"]: card for card in page["providers"]}
    for step in range(8):
        traffic.observe(
            *told(call(clock.now + 0.5, provider="one" if step % 3 else "two", failed="two" if step % 2 else ""))
        )
        await second(feed, clock)
        frame = orjson.loads(feed.frame(feed.number) or b"")
        for key, changed in frame.get("providers", {}).items():
            cards[int(key)].update(changed)
    whole = orjson.loads(await feed.snapshot())
    for card in whole["providers"]:
        shown = {key: value for key, value in cards[card["id"]].items() if key != "spark"}
        assert shown == {key: value for key, value in card.items() if key != "spark"}
    assert whole["cost"] == 500 + 8 * 1000


async def test_readers_that_come_at_the_same_moment_all_see_the_providers(feed: LiveFeed) -> None:
    feed.subscribe(lambda: None)
    snapshots = await asyncio.gather(feed.snapshot(), feed.snapshot())
    assert [[card["name"] for card in orjson.loads(each)["providers"]] for each in snapshots] == [["one", "two"]] * 2


async def test_a_provider_without_models_has_a_card_until_a_worker_knows_it(clock: Clock, traffic: Traffic) -> None:
    def bare(number: int, name: str) -> ProviderNow:
        return ProviderNow(id=number, name=name, kind="openai", demo=False, health="unknown", models=(), deployments=())

    facts = LiveFacts(without_models=(bare(2, "two"), bare(3, "three")))
    live.install(Worker())  # type: ignore[arg-type]
    feed = LiveFeed(traffic, UpstreamStates(clock, lambda: 0.5), name="w1", clock=clock, facts=lambda: facts)
    cards = orjson.loads(await feed.snapshot())["providers"]
    live.install(None)
    assert [card["name"] for card in cards] == ["one", "two", "three"]
    assert (cards[2]["state"], cards[2]["models"]) == ("empty", [])


async def test_nothing_is_computed_while_nobody_looks_but_figures_go_on(
    feed: LiveFeed, clock: Clock, traffic: Traffic
) -> None:
    traffic.observe(*told(call(clock.now + 0.5)))
    await second(feed, clock)
    assert feed.frame(feed.number) is None
    assert orjson.loads(await feed.snapshot())["figures"][0] == 1


async def test_a_reader_that_missed_a_second_is_sent_to_the_snapshot(feed: LiveFeed, clock: Clock) -> None:
    woken = []
    leave = feed.subscribe(lambda: woken.append(feed.number))
    await feed.snapshot()
    await second(feed, clock)
    await second(feed, clock)
    assert feed.frame(1) is None
    assert feed.frame(2) is not None
    leave()
    await second(feed, clock)
    assert woken == [1, 2]


class RefusingLayer:
    """A channel layer whose server is away, until it is back: it raises what its own library raises."""

    def __init__(self) -> None:
        self.away = True
        self.hangs = False
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def _ask(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.away:
            raise RedisConnectionError("nobody is there")

    async def new_channel(self) -> str:
        await self._ask()
        return "mine"

    async def group_add(self, group: str, channel: str) -> None:
        await self._ask()

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        await self._ask()
        await self.messages.put(message)

    async def receive(self, channel: str) -> dict[str, Any]:
        return await self.messages.get()


@pytest.mark.parametrize("hangs", [False, True])
async def test_a_worker_shows_its_own_seconds_while_the_channel_layer_is_away(
    traffic: Traffic, clock: Clock, monkeypatch: pytest.MonkeyPatch, hangs: bool
) -> None:
    monkeypatch.setattr(live_feed, "TELLING_S", 0.01)
    layer = RefusingLayer()
    layer.hangs = hangs
    feed = LiveFeed(traffic, UpstreamStates(clock, lambda: 0.5), name="w1", layer=layer, clock=clock, facts=LiveFacts)
    await second(feed, clock)
    traffic.observe(*told(call(clock.now)))
    await second(feed, clock)
    assert feed.number == 2
    assert feed.window.figures().requests_per_s > 0


async def test_other_workers_are_heard_once_the_channel_layer_is_back(
    traffic: Traffic, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_feed, "LISTEN_AGAIN_S", 0.0)
    layer = RefusingLayer()
    feed = LiveFeed(traffic, UpstreamStates(clock, lambda: 0.5), name="w1", layer=layer, clock=clock, facts=LiveFacts)
    await feed.open()
    try:
        await asyncio.sleep(0.01)
        layer.away = False
        row = [1, 0, 1, 1, 0, 0.1, 1]
        await layer.group_send("", WorkerSecond(worker="w2", at=999, rows={"one": row}).message())
        await asyncio.sleep(0.01)
        await second(feed, clock)
    finally:
        await feed.aclose()
    assert "one" in feed.window.by_provider()


async def test_others_are_told_while_something_happens_here_and_once_more_when_nothing_runs(
    traffic: Traffic, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = RefusingLayer()
    layer.away = False
    feed = LiveFeed(traffic, UpstreamStates(clock, lambda: 0.5), name="w1", layer=layer, clock=clock, facts=LiveFacts)
    feed._take(WorkerSecond(worker="w2", at=999, running={"one": 1}))
    await second(feed, clock)
    assert layer.messages.empty(), "two that had only heard of each other would go on telling for ever"
    for running in ({"one": 1}, {"one": 1}, {}, {}, {}):
        monkeypatch.setattr(feed, "_running", lambda running=running: running)
        await second(feed, clock)
    told = [layer.messages.get_nowait()["running"] for _ in range(layer.messages.qsize())]
    assert told == [{"one": 1}, {"one": 1}, {}]
