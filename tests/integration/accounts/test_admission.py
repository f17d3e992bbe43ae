import asyncio
import json
import os
import signal
import subprocess
import time
from datetime import timedelta
from io import StringIO

import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.utils import timezone

from accounts import background
from accounts.admission import Accounts
from accounts.background import replay_orphans
from accounts.errors import AccountsUnavailable, InsufficientQuota, RateLimitExceeded
from accounts.header_lines import header_pairs
from accounts.ledger import SqlLedger
from accounts.models import (
    ApiKey,
    Budget,
    BudgetLease,
    BudgetPeriod,
    Limit,
    Team,
    UsageDaily,
    UsageHourly,
    UsageRecord,
)
from accounts.provisioning import KeyOrder, create_key, revoke_key, rotate_key
from accounts.records import CEILING, AccountsSettings
from accounts.retention import delete_old_usage
from accounts.sql_door import SqlUnavailable
from accounts.usage_reports import usage_report
from tests.e2e.gateway_process import free_port
from tests.integration.accounts.waiting import is_refused, run, until
from tests.unit.accounts.builders import intent, record

pytestmark = pytest.mark.django_db(transaction=True)
USD = 1_000_000_000


@pytest.fixture
async def accounts(tmp_path):
    found = Accounts(pepper=django_settings.KEY_PEPPER, data_dir=tmp_path)
    await found.open()
    found.configure(AccountsSettings(sql_timeout_s=10.0))
    yield found
    await found.aclose()


async def one_call(accounts: Accounts, token: str, *, cost: int = 100, **changes) -> None:
    principal = await accounts.authenticate(token, None)
    admission = await accounts.admit(principal, request_id="req_1", tokens=50)
    await accounts.reserve(admission, cost_nano_usd=1_000, tokens=50)
    accounts.attempt_started(admission, intent())
    accounts.settle(admission, [record(cost_nano_usd=cost, **changes)])


async def test_a_call_ends_as_one_ledger_row_in_every_sum(accounts):
    issued = await run(create_key, KeyOrder(name="k", team="t", budget_nano_usd=USD, budget_tokens=10_000))
    await one_call(accounts, issued.token)
    await one_call(accounts, issued.token, cost=None, status=502, input_tokens=0, output_tokens=0)
    await accounts.drain()

    def check() -> None:
        rows = list(UsageRecord.objects.order_by("id"))
        assert [(row.request_id, row.cost_nano_usd, row.status) for row in rows] == [
            ("req_1", 100, 200),
            ("req_1", None, 502),
        ]
        assert len({row.call_id for row in rows}) == 2, "two calls may share the client's request id"
        period = BudgetPeriod.objects.get()
        assert (period.spent_nano_usd, period.spent_tokens) == (100, 15)
        lease = BudgetLease.objects.get()
        assert period.reserved_nano_usd == lease.amount_nano_usd - lease.settled_nano_usd
        for model in (UsageHourly, UsageDaily):
            sums = model.objects.get()
            assert (sums.requests, sums.errors, sums.cost_nano_usd, sums.unpriced) == (2, 1, 100, 1)
            assert (sums.key_id, sums.team_id, sums.input_tokens) == (issued.key.pk, issued.key.team_id, 10)

    await run(check)


async def test_one_call_that_cannot_be_booked_keeps_no_other_out(accounts, tmp_path):
    issued = await run(create_key, KeyOrder(name="k"))
    for number in range(9):
        changes = {"status": -1} if number == 4 else {"error_code": "nul\0" + "x" * 200}
        await one_call(accounts, issued.token, **changes)
    await accounts.drain()

    assert await run(UsageRecord.objects.count) == 8
    assert (await run(UsageRecord.objects.first)).error_code == "nul" + "x" * 61
    assert len((tmp_path / "journal" / "rejected.jsonl").read_text().splitlines()) == 1


async def test_absurd_numbers_and_broken_text_of_an_upstream_are_booked_in_bounds(accounts):
    issued = await run(create_key, KeyOrder(name="k", concurrency=5))
    await one_call(accounts, issued.token, output_tokens=2**70, error_code="half \ud800")
    await one_call(accounts, issued.token, output_tokens=2**63 - 1)
    await accounts.drain()

    def check() -> None:
        assert list(UsageRecord.objects.values_list("output_tokens", flat=True)) == [CEILING, CEILING]
        assert UsageDaily.objects.get().output_tokens == 2 * CEILING

    await run(check)


async def test_absurd_details_of_an_upstream_are_booked_in_bounds_too(accounts, tmp_path):
    issued = await run(create_key, KeyOrder(name="k"))
    names = ("cached_tokens", "cache_write_tokens", "reasoning_tokens", "provider_cost_nano_usd")
    for name in names:
        for _ in range(2):
            await one_call(accounts, issued.token, **{name: 10**19 if name != "cached_tokens" else 5 * 10**18})
    await accounts.drain()

    def check() -> None:
        rows = list(UsageRecord.objects.order_by("id").values_list(*names))
        assert [max(row) for row in rows] == [CEILING] * 8
        assert [min(row) for row in rows] == [0] * 8
        sums = UsageDaily.objects.get()
        assert (sums.cached_tokens, sums.reasoning_tokens) == (2 * CEILING, 2 * CEILING)
        assert sums.provider_cost_nano_usd == 2 * CEILING + 6 * 60

    await run(check)
    assert not (tmp_path / "journal" / "rejected.jsonl").exists()


async def test_only_the_attempt_that_answered_is_charged(accounts):
    issued = await run(create_key, KeyOrder(name="k", budget_nano_usd=USD))
    principal = await accounts.authenticate(issued.token, None)
    admission = await accounts.admit(principal, request_id="r", tokens=50)
    await accounts.reserve(admission, cost_nano_usd=1_000, tokens=50)
    failed = record(1, final=False, status=502, cost_nano_usd=0, provider_cost_nano_usd=40)
    accounts.settle(admission, [failed, record(2, cost_nano_usd=60)])
    accounts.settle(admission, [record(3, cost_nano_usd=60)])
    accounts.release(admission)
    await accounts.drain()

    def check() -> None:
        assert UsageRecord.objects.count() == 2
        assert BudgetPeriod.objects.get().spent_nano_usd == 60
        sums = UsageDaily.objects.get()
        assert (sums.requests, sums.cost_nano_usd, sums.provider_cost_nano_usd) == (1, 60, 100)

    await run(check)


async def test_closing_leaves_nothing_reserved_and_no_file(tmp_path):
    issued = await run(create_key, KeyOrder(name="k", budget_nano_usd=USD))
    accounts = Accounts(pepper=django_settings.KEY_PEPPER, data_dir=tmp_path)
    await accounts.open()
    await one_call(accounts, issued.token)
    await accounts.aclose()

    period = await run(BudgetPeriod.objects.get)
    assert (period.spent_nano_usd, period.reserved_nano_usd) == (100, 0)
    assert list((tmp_path / "journal").iterdir()) == []
    key = await run(ApiKey.objects.get)
    assert key.last_used_at is not None


async def test_a_last_use_while_the_database_is_away_is_written_when_it_is_back(accounts, monkeypatch):
    issued = await run(create_key, KeyOrder(name="k"))
    await accounts.authenticate(issued.token, None)

    def away(used: dict[int, float]) -> None:
        raise OperationalError

    with monkeypatch.context() as outage:
        outage.setattr(background, "_store_last_used", away)
        with pytest.raises(SqlUnavailable):
            await accounts._background._write_last_used()
    await accounts._background._write_last_used()

    assert (await run(ApiKey.objects.get)).last_used_at is not None


async def test_a_revoked_key_is_refused_within_a_second(accounts):
    issued = await run(create_key, KeyOrder(name="k"))
    await accounts.authenticate(issued.token, None)
    await run(revoke_key, issued.key.pk)
    assert await until(lambda: is_refused(accounts, issued.token)) <= 2.0  # one poll a second, and a slow machine


async def test_a_rotated_key_works_with_both_secrets(accounts):
    issued = await run(create_key, KeyOrder(name="k"))
    rotated = await run(rotate_key, issued.key.pk, overlap=timedelta(hours=1))

    for token in (issued.token, rotated.token):
        assert (await accounts.authenticate(token, None)).key_id == issued.key.pk


async def test_bulk_writes_are_noticed_too(accounts):
    issued = await run(create_key, KeyOrder(name="k"))
    await accounts.authenticate(issued.token, None)
    await run(lambda: ApiKey.objects.filter(pk=issued.key.pk).update(enabled=False))
    await until(lambda: is_refused(accounts, issued.token))


async def test_limits_refuse_with_headers_and_a_released_call_gives_its_tokens_back(accounts):
    issued = await run(create_key, KeyOrder(name="k", tokens_per_minute=100, requests_per_minute=3))
    principal = await accounts.authenticate(issued.token, None)
    first = await accounts.admit(principal, request_id="r", tokens=90)
    assert dict(header_pairs(first.headers))[b"x-ratelimit-remaining-tokens"] == b"10"
    with pytest.raises(RateLimitExceeded) as refused:
        await accounts.admit(principal, request_id="r", tokens=20)
    assert dict(refused.value.headers)[b"x-ratelimit-remaining-requests"] == b"2"
    assert 59 < refused.value.retry_after_s <= 61

    accounts.release(first)
    assert await accounts.admit(principal, request_id="r", tokens=100)


async def test_a_refused_reservation_leaves_nothing_behind(accounts):
    issued = await run(create_key, KeyOrder(name="k", concurrency=1, budget_nano_usd=500))
    principal = await accounts.authenticate(issued.token, None)
    for _ in range(3):
        admission = await accounts.admit(principal, request_id="r", tokens=1)
        with pytest.raises(InsufficientQuota):
            await accounts.reserve(admission, cost_nano_usd=501, tokens=1)
        accounts.release(admission)
    admission = await accounts.admit(principal, request_id="r", tokens=1)
    await accounts.reserve(admission, cost_nano_usd=500, tokens=1)
    accounts.release(admission)


async def test_a_full_journal_admits_nobody_and_is_told_of_once(accounts, caplog):
    issued = await run(create_key, KeyOrder(name="k"))
    principal = await accounts.authenticate(issued.token, None)
    assert not accounts.journal_full
    accounts.configure(AccountsSettings(journal_cap_bytes=-1))

    with pytest.raises(AccountsUnavailable):
        await accounts.admit(principal, request_id="r", tokens=1)
    assert accounts.journal_full
    await asyncio.sleep(1.2)
    accounts.configure(AccountsSettings())
    await asyncio.sleep(1.2)
    said = [record.getMessage() for record in caplog.records if "the journal" in record.getMessage()]
    assert [line.partition(":")[2] for line in said] == [" calls are refused", " calls are served"]


async def test_a_dead_workers_journal_is_replayed_once_and_its_leases_end(tmp_path):
    issued = await run(create_key, KeyOrder(name="k", budget_nano_usd=USD))
    dead = Accounts(pepper=django_settings.KEY_PEPPER, data_dir=tmp_path)
    await dead.open()
    await one_call(dead, issued.token)
    principal = await dead.authenticate(issued.token, None)
    admission = await dead.admit(principal, request_id="open", tokens=50)
    await dead.reserve(admission, cost_nano_usd=1_000, tokens=50)
    dead.attempt_started(admission, intent())
    await dead.aclose(timeout_s=0.0)

    rows = await run(replay_orphans, tmp_path / "journal")
    again = await run(replay_orphans, tmp_path / "journal")

    def check() -> None:
        assert UsageRecord.objects.count() == 2
        assert set(UsageRecord.objects.values_list("usage_source", "cost_nano_usd")) == {
            ("provider", 100),
            ("estimated", 20),
        }
        period = BudgetPeriod.objects.get()
        assert (period.spent_nano_usd, period.reserved_nano_usd) == (120, 0)

    await run(check)
    assert rows + again <= 2
    assert again == 0


class EndsWithoutSql(SqlLedger):
    """Leases, and then the database is away."""

    def renew(self, *arguments, **options):
        raise OperationalError("the server closed the connection")


async def test_what_a_worker_leased_is_free_again_as_soon_as_sql_is_back_when_it_ended_without(tmp_path):
    issued = await run(create_key, KeyOrder(name="k", budget_nano_usd=USD))
    ending = Accounts(pepper=django_settings.KEY_PEPPER, data_dir=tmp_path, lease_source=EndsWithoutSql())
    await ending.open()
    ending.configure(AccountsSettings(sql_timeout_s=10.0))
    await one_call(ending, issued.token)
    await until(lambda: run(UsageRecord.objects.exists))
    await ending.aclose()
    assert await run(lambda: BudgetPeriod.objects.get().reserved_nano_usd) > 0

    await run(replay_orphans, tmp_path / "journal")

    assert await run(lambda: BudgetPeriod.objects.get().reserved_nano_usd) == 0
    assert await run(lambda: BudgetPeriod.objects.get().spent_nano_usd) == 100
    assert list((tmp_path / "journal").iterdir()) == []


def test_reports_group_the_same_calls_in_every_way():
    team = Team.objects.create(name="=cmd()")
    now = timezone.now().replace(hour=12, minute=0, second=0, microsecond=0)
    for days, cost in ((0, 5), (1, 7), (40, 1_000)):
        UsageDaily.objects.create(
            start_at=(now - timedelta(days=days)).replace(hour=0),
            team_id=team.pk,
            model="m",
            requests=1,
            cost_nano_usd=cost,
        )
    UsageHourly.objects.create(start_at=now, team_id=team.pk, model="m", requests=1, cost_nano_usd=5)

    for group in ("team", "model", "provider", "key", "day"):
        report = usage_report(group_by=group, start=now - timedelta(days=30), end=now + timedelta(minutes=1))
        assert (report.total.requests, report.total.cost_nano_usd) == (2, 12), group
    by_team = usage_report(group_by="team", start=now - timedelta(days=30), end=now + timedelta(minutes=1))
    assert by_team.as_csv().splitlines()[1].startswith(f"{team.pk},'=cmd(),2,")
    assert by_team.as_json()["data"][0]["name"] == "=cmd()"


def test_the_commands_print_what_scripts_can_read():
    out = StringIO()
    call_command(
        "create_api_key", "ci", "--team", "t", "--scope", "completions,read", "--rpm", "5", "--budget-usd", "1.5",
        "--period", "day", "--allow-ip", "10.0.0.0/8", "--expires", "2999-01-01", "--json", stdout=out,
    )  # fmt: skip
    made = json.loads(out.getvalue())
    key = ApiKey.objects.get(public_id=made["id"])
    assert made["key"].startswith(f"llmp-{key.public_id}-")
    assert (Budget.objects.get().amount_nano_usd, Limit.objects.get().requests) == (1_500_000_000, 5)
    with pytest.raises(CommandError, match="root"):
        call_command("create_api_key", "bad", "--scope", "root")
    assert ApiKey.objects.count() == 1

    for form in ("table", "csv", "json"):
        out = StringIO()
        call_command("usage_report", "--by", "model", "--format", form, stdout=out)
        assert "total" in out.getvalue() or form == "csv"


def test_retention_deletes_old_rows_and_keeps_the_sums():
    for days in (1, 40):
        UsageRecord.objects.create(
            call_id=str(days), attempt=1, request_id="r", created_at=timezone.now() - timedelta(days=days), status=200,
            usage_source="provider",
        )  # fmt: skip

    assert delete_old_usage(days=30) == 1
    assert delete_old_usage(days=30) == 0
    assert UsageRecord.objects.get().call_id == "1"


@pytest.mark.redis
async def test_a_frozen_redis_costs_one_timeout_and_shared_limits_come_back(tmp_path, redis_url):
    port = free_port()
    command = ["redis-server", "--port", str(port), "--save", "", "--bind", "127.0.0.1"]
    server = await run(subprocess.Popen, command, stdout=subprocess.DEVNULL)
    accounts = Accounts(
        pepper=django_settings.KEY_PEPPER, data_dir=tmp_path, redis_url=f"redis://127.0.0.1:{port}/0", redis_prefix="t:"
    )
    try:
        await accounts.open()
        accounts.configure(AccountsSettings(sql_timeout_s=10.0, workers=2, redis_timeout_s=0.25))
        issued = await run(create_key, KeyOrder(name="k", requests_per_minute=1_000))
        strict = await run(create_key, KeyOrder(name="s", requests_per_minute=1_000))
        await run(lambda: Limit.objects.filter(key=strict.key).update(strict=True))
        principal = await accounts.authenticate(issued.token, None)

        async def remaining() -> int:
            admission = await accounts.admit(principal, request_id="r", tokens=1)
            return int(dict(header_pairs(admission.headers))[b"x-ratelimit-limit-requests"])

        async def shared() -> bool:
            return await remaining() == 1_000

        await until(shared)
        os.kill(server.pid, signal.SIGSTOP)
        for _ in range(6):
            started = time.monotonic()
            assert await remaining() == 500, "each of two workers counts half"
            assert time.monotonic() - started < 1.0
            await asyncio.sleep(0.1)
        assert not accounts.redis_up
        started = time.monotonic()
        assert await remaining() == 500
        assert time.monotonic() - started < 0.2
        with pytest.raises(AccountsUnavailable):
            await accounts.admit(await accounts.authenticate(strict.token, None), request_id="r", tokens=1)

        os.kill(server.pid, signal.SIGCONT)
        assert await until(shared, seconds=8) <= 5
    finally:
        os.kill(server.pid, signal.SIGCONT)
        await accounts.aclose()
        server.kill()
        await run(server.wait)
