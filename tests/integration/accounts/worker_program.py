"""A worker as a process of its own: `python -m tests.integration.accounts.worker_program MODE …`.

calls DATA_DIR REDIS_URL PREFIX TOKEN COUNT    makes COUNT calls at once, prints what became of them as JSON
load DATA_DIR TOKEN UPSTREAM_FILE         makes calls until it is killed; writes each one that was sent to the file
replay DATA_DIR                           starts, replays what dead workers left, ends
hold DATA_DIR TOKEN                       holds a call in its budget and never ends
sweep DATA_DIR GRACE_S                    runs until nobody holds a lease, prints the state
"""

import asyncio
import json
import os
import random
import sys
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.integration.accounts.small_settings")

django.setup()

from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db.models import Sum  # noqa: E402

from accounts.admission import Accounts  # noqa: E402
from accounts.background import replay_orphans  # noqa: E402
from accounts.errors import InsufficientQuota, RateLimitExceeded  # noqa: E402
from accounts.models import (  # noqa: E402
    BudgetLease,
    BudgetPeriod,
    Limit,
    UsageDaily,
    UsageHourly,
    UsageRecord,
)
from accounts.provisioning import KeyOrder, create_key  # noqa: E402
from accounts.records import AccountsSettings  # noqa: E402
from tests.unit.accounts.builders import intent, record  # noqa: E402

ESTIMATE = 1_000


async def opened(data_dir: str, redis_url: str | None = None, prefix: str = "") -> Accounts:
    accounts = Accounts(pepper=settings.KEY_PEPPER, data_dir=Path(data_dir), redis_url=redis_url, redis_prefix=prefix)
    await accounts.open()
    accounts.configure(AccountsSettings(sql_timeout_s=30.0, redis_timeout_s=5.0, workers=4))
    return accounts


async def calls(data_dir: str, redis_url: str, prefix: str, token: str, count: str) -> None:
    accounts = await opened(data_dir, redis_url, prefix)
    outcome = {"admitted": 0, "spent": 0, "over_budget": 0, "limited": 0}

    async def call(number: int) -> None:
        principal = await accounts.authenticate(token, None)
        try:
            admission = await accounts.admit(principal, request_id=f"req_{number}", tokens=10)
        except RateLimitExceeded:
            outcome["limited"] += 1
            return
        try:
            await accounts.reserve(admission, cost_nano_usd=ESTIMATE, tokens=10)
        except InsufficientQuota:
            outcome["over_budget"] += 1
            accounts.release(admission)
            return
        accounts.attempt_started(admission, intent())
        await asyncio.sleep(random.random() * 0.2)
        cost = random.randint(1, ESTIMATE)
        outcome["admitted"] += 1
        outcome["spent"] += cost
        accounts.settle(admission, [record(cost_nano_usd=cost, input_tokens=4, output_tokens=2)])

    await asyncio.gather(*[call(number) for number in range(int(count))])
    await accounts.aclose(timeout_s=60.0)
    print(json.dumps(outcome))


async def load(data_dir: str, token: str, upstream_file: str) -> None:
    accounts = await opened(data_dir)
    upstream = os.open(upstream_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def caller() -> None:
        while True:
            principal = await accounts.authenticate(token, None)
            admission = await accounts.admit(principal, request_id="req_same", tokens=10)
            await accounts.reserve(admission, cost_nano_usd=ESTIMATE, tokens=10)
            accounts.attempt_started(admission, intent(input_tokens=4))
            os.write(upstream, f"{admission.id}\n".encode())
            await asyncio.sleep(random.random() * 0.01)
            accounts.settle(admission, [record(cost_nano_usd=7, input_tokens=4, output_tokens=2)])

    await asyncio.gather(*[caller() for _ in range(8)])


async def replay(data_dir: str) -> None:
    await asyncio.to_thread(replay_orphans, Path(data_dir) / "journal")
    await state()


async def hold(data_dir: str, token: str) -> None:
    accounts = await opened(data_dir)
    accounts.configure(AccountsSettings(sql_timeout_s=30.0, lease_s=1.0))
    principal = await accounts.authenticate(token, None)
    admission = await accounts.admit(principal, request_id="req_held", tokens=10)
    await accounts.reserve(admission, cost_nano_usd=ESTIMATE, tokens=10)
    print("held", flush=True)
    await asyncio.Event().wait()


async def sweep(data_dir: str, grace_s: str) -> None:
    """Its first sweep runs at its start, the next ones each half minute."""
    accounts = Accounts(pepper=settings.KEY_PEPPER, data_dir=Path(data_dir))
    accounts.configure(AccountsSettings(sql_timeout_s=30.0, lease_grace_s=float(grace_s)))
    await accounts.open()
    while await asyncio.to_thread(BudgetLease.objects.count):
        await asyncio.sleep(0.05)
    await accounts.aclose(timeout_s=60.0)
    await state()


async def state() -> None:
    print(json.dumps(await asyncio.to_thread(ledger)))


def ledger() -> dict[str, object]:
    period = BudgetPeriod.objects.get()
    return {
        "rows": list(UsageRecord.objects.values_list("call_id", "cost_nano_usd", "usage_source")),
        "spent": [period.spent_nano_usd, period.spent_tokens],
        "reserved": [period.reserved_nano_usd, period.reserved_tokens],
        "leases": BudgetLease.objects.count(),
        "daily": list(UsageDaily.objects.aggregate(Sum("requests"), Sum("cost_nano_usd")).values()),
        "hourly": list(UsageHourly.objects.aggregate(Sum("requests"), Sum("cost_nano_usd")).values()),
    }


async def key(requests: str, amount: str, tokens: str) -> None:
    print(json.dumps(await asyncio.to_thread(make_key, requests, amount, tokens)))


def make_key(requests: str, amount: str, tokens: str) -> str:
    call_command("migrate", verbosity=0, skip_checks=True)
    order = KeyOrder(name="k", budget_nano_usd=int(amount), budget_tokens=int(tokens))
    issued = create_key(order)
    if requests != "-":
        Limit.objects.create(scope="key", key=issued.key, requests=int(requests), requests_window_s=3600, strict=True)
    return issued.token


MODES = {"calls": calls, "load": load, "replay": replay, "hold": hold, "sweep": sweep, "state": state, "key": key}

if __name__ == "__main__":
    asyncio.run(MODES[sys.argv[1]](*sys.argv[2:]))
