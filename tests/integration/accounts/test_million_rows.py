"""Reading stays fast when the ledger is large: a million rows with their roll-ups, through every page and report."""

import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.models import ApiKey, Team, UsageDaily, UsageHourly, UsageRecord
from accounts.models.usage import UsageSum
from accounts.provisioning import KeyOrder, create_key
from accounts.usage_reports import GROUPS
from accounts.usage_sums import SUMS
from tests.e2e.calling import report
from tests.e2e.neighbours import Neighbours

pytestmark = [pytest.mark.slow, pytest.mark.django_db]
ROWS, DAYS, KEYS, TEAMS, MODELS, PROVIDERS = 1_000_000, 60, 500, 40, 30, 6
LIMIT_MS = 300

NUMBERS = {
    "sqlite": "WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < {last})",
    "postgresql": "WITH numbers(n) AS (SELECT generate_series(0::bigint, {last}))",
}
MOMENT = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f', 'now', '-{days} days', (n * {days} * 86400.0 / {rows}) || ' seconds')",
    "postgresql": "now() - interval '{days} days' + n * interval '{days} days' / {rows}",
}
START = {
    "sqlite": {"hour": "strftime('%Y-%m-%d %H:00:00', created_at)", "day": "strftime('%Y-%m-%d 00:00:00', created_at)"},
    "postgresql": {
        "hour": "date_trunc('hour', created_at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'",
        "day": "date_trunc('day', created_at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'",
    },
}


def fill() -> None:
    """The ledger by one statement, its roll-ups from it by one each."""
    vendor = connection.vendor
    Team.objects.bulk_create([Team(name=f"team {number}") for number in range(TEAMS)])
    keys = [ApiKey(name=f"key {number}", public_id=f"{number:016x}", digest="0" * 64) for number in range(KEYS)]
    ApiKey.objects.bulk_create(keys)
    first_key, first_team = ApiKey.objects.order_by("id")[0].pk, Team.objects.order_by("id")[0].pk
    owner = f"n * 7919 % {KEYS}"
    values = {
        "call_id": "'w' || n",
        "attempt": "1",
        "request_id": "'req_' || n",
        "created_at": MOMENT[vendor].format(days=DAYS, rows=ROWS),
        "key_id": f"{first_key} + {owner}",
        "team_id": f"{first_team} + ({owner}) % {TEAMS}",
        "provider": f"'provider-' || n % {PROVIDERS}",
        "deployment": f"'provider-' || n % {PROVIDERS} || '/model-' || n % {MODELS}",
        "model": f"'model-' || n % {MODELS}",
        "upstream_model": f"'model-' || n % {MODELS}",
        "endpoint": "'chat/completions'",
        "stream": "n % 2 = 0",
        "final": "1 = 1",
        "input_tokens": "n % 1000",
        "output_tokens": "n % 300",
        **dict.fromkeys(("cached_tokens", "cache_write_tokens", "reasoning_tokens"), "0"),
        **dict.fromkeys(("cost_nano_usd", "provider_cost_nano_usd"), "n % 1000 * 2500 + n % 300 * 10000"),
        "usage_source": "'provider'",
        "status": "CASE WHEN n % 100000 = 99 THEN 502 ELSE 200 END",
        "duration_ms": "n % 5000",
        "time_to_first_token_ms": "n % 900",
        **dict.fromkeys(("error_code", "cache", "tags"), "''"),
        "revision": "1",
    }
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {UsageRecord._meta.db_table} ({', '.join(values)}) "
            f"{NUMBERS[vendor].format(last=ROWS - 1)} SELECT {', '.join(values.values())} FROM numbers"
        )
        for model, span in ((UsageHourly, "hour"), (UsageDaily, "day")):
            roll_up(cursor, model, START[vendor][span])
        cursor.execute("ANALYZE")


def roll_up(cursor: object, model: type[UsageSum], start: str) -> None:
    sums = {name: f"SUM({name})" for name in SUMS}
    sums |= {"requests": "COUNT(*)", "errors": "SUM(CASE WHEN status >= 400 THEN 1 ELSE 0 END)", "unpriced": "0"}
    cursor.execute(  # type: ignore[attr-defined]
        f"INSERT INTO {model._meta.db_table} (start_at, key_id, team_id, provider, model, {', '.join(sums)}) "
        f"SELECT {start}, key_id, team_id, provider, model, {', '.join(sums.values())} "
        f"FROM {UsageRecord._meta.db_table} GROUP BY 1, 2, 3, 4, 5"
    )


def best_of(times: int, work: Callable[[], object]) -> float:
    """Milliseconds. The best, because a neighbour on the machine adds to a time and never takes from it."""
    found = []
    for _ in range(times):
        began = time.monotonic()
        work()
        found.append((time.monotonic() - began) * 1000)
    return min(found)


def with_key(order: KeyOrder) -> Client:
    return Client(headers={"Authorization": f"Bearer {create_key(order).token}"})


def readings() -> dict[str, Callable[[], object]]:
    """What finance and an operator look at, as they do: over HTTP, with what renders the page."""
    staff = Client()
    staff.force_login(get_user_model().objects.create_superuser(username="staff", password="x"))
    team, key = Team.objects.order_by("id")[3], ApiKey.objects.order_by("id")[7]
    reader = with_key(KeyOrder(name="everybody's", scopes=("admin",)))
    member = with_key(KeyOrder(name="one team's", scopes=("read",), team=team.name))
    year_ago = (timezone.now() - timedelta(days=365)).date().isoformat()

    def get(client: Client, path: str, **query: str) -> Callable[[], object]:
        def ask() -> object:
            answer = client.get(path, query)
            assert answer.status_code == 200, answer.content[:500]
            return answer

        return ask

    ledger, page = "/admin/accounts/usagerecord/", "/dashboard/usage/"
    rows = UsageRecord.objects
    return {
        **{f"/usage by {group}": get(reader, "/usage", group_by=group) for group in GROUPS},
        "/usage by key over a year": get(reader, "/usage", group_by="key", **{"from": year_ago}),
        "/usage of one team by key": get(member, "/usage", group_by="key"),
        **{f"usage page by {group}": get(staff, page, by=group) for group in GROUPS},
        "usage page over a year": get(staff, page, by="key", **{"from": year_ago}),
        "CSV by key": get(staff, page, by="key", format="csv"),
        "admin list": get(staff, ledger),
        "admin list, page 2,000": get(staff, ledger, p="2000"),
        "admin list of a day": get(staff, ledger, span="day"),
        "admin list of a month": get(staff, ledger, span="month"),
        "admin list of failures": get(staff, ledger, outcome="failed"),
        "admin list without a price": get(staff, ledger, outcome="unpriced"),
        "admin search of a request": get(staff, ledger, q="req_123456"),
        "admin search of a key": get(staff, ledger, q="key:key 7"),
        "admin row": get(staff, f"{ledger}{rows.order_by('id')[0].pk}/change/"),
        "requests page": get(staff, "/dashboard/requests/"),
        "requests page of a key": get(staff, "/dashboard/requests/", key=str(key.pk), span="7d"),
        "requests page of failures": get(staff, "/dashboard/requests/", status="errors", span="7d"),
        "request by its id": lambda: list(rows.filter(request_id="req_500000")),
    }


def test_every_reading_of_a_million_rows_answers_within_300_ms() -> None:
    began = time.monotonic()
    fill()
    filled_s = time.monotonic() - began
    neighbours = Neighbours()
    times = {name: best_of(3, work) for name, work in readings().items()}
    figures = ", ".join(f"{name} {took:.0f}" for name, took in times.items())
    report(
        f"{ROWS:,} ledger rows, {UsageDaily.objects.count():,} daily and {UsageHourly.objects.count():,} hourly sums on "
        f"{connection.vendor} (filled in {filled_s:.0f} s), milliseconds: {figures}"
    )
    slow = {name: took for name, took in times.items() if took > LIMIT_MS}
    assert not slow or neighbours.excuse(f"{max(slow.values()):.0f} ms"), slow
