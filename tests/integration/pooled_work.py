"""Does each kind of work that asks SQL from a thread, twice, in threads that end; prints how each went, as JSON."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from decimal import Decimal

import django

django.setup()

from django.db import DatabaseError, connection  # noqa: E402
from django.utils import timezone  # noqa: E402

from accounts.sql_door import SqlDoor  # noqa: E402
from monitoring.event_recorder import write_rows  # noqa: E402
from monitoring.health_refresher import poll_news  # noqa: E402
from monitoring.live_facts import read_facts  # noqa: E402
from monitoring.models import BreakerEvent  # noqa: E402
from monitoring.probe_spend import SpendCap  # noqa: E402
from providers.specs import DeploymentSpec, Prices, ProviderSpec  # noqa: E402
from providers.transport import Endpoint  # noqa: E402
from routing.decision_keeping import DecisionKeeper  # noqa: E402
from routing.payload_log import PayloadLog  # noqa: E402
from routing.table_loader import poll_revision, poll_table  # noqa: E402

ENDPOINT = Endpoint(scheme="http", host="p.test", port=80)
PROVIDER = ProviderSpec(id=1, name="p", kind="openai", endpoint=ENDPOINT, base_path="")
PRICED = DeploymentSpec(id=1, provider=PROVIDER, model="m", upstream_model="m", prices=Prices(input=1, output=1))


def ask(_batch: object = None) -> int:
    return BreakerEvent.objects.count()


def ask_and_fail() -> None:
    ask()
    raise ValueError


async def flush(kept: DecisionKeeper | PayloadLog) -> None:
    kept._waiting.append(None)
    await kept.aclose()
    if kept.dropped:
        raise DatabaseError("dropped")


async def knock(job: Callable[[], object] = ask) -> None:
    door = SqlDoor(name="test")
    with contextlib.closing(door), contextlib.suppress(ValueError):
        await door.run(job, timeout_s=None)


WORK: dict[str, Callable[[], Awaitable[object]]] = {
    "revision": lambda: asyncio.to_thread(poll_revision),
    "table": lambda: asyncio.to_thread(poll_table),
    "live facts": lambda: asyncio.to_thread(read_facts),
    "health": lambda: asyncio.to_thread(poll_news, None, None),
    "breaker events": lambda: asyncio.to_thread(
        write_rows, [BreakerEvent(at=timezone.now(), provider_id=1, kind="breaker", after="open")]
    ),
    "paid probe": lambda: SpendCap(usd_per_day=Decimal(1)).reserve(PRICED),
    "decisions": lambda: flush(DecisionKeeper(write=ask)),
    "prompts": lambda: flush(PayloadLog(write=ask)),
    "accounts": knock,
    "accounts, failing": lambda: knock(ask_and_fail),
}


async def done(work: Callable[[], Awaitable[object]]) -> None:
    await work()


def main() -> None:
    ended = {}
    for name, work in WORK.items():
        try:
            for _ in range(2):
                asyncio.run(done(work))
            ended[name] = "gives it back"
        except Exception as error:
            ended[name] = repr(error)
            connection.close_pool()
    print(json.dumps(ended))


if __name__ == "__main__":
    main()
