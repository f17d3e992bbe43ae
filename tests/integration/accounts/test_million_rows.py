"""Reports stay fast when the ledger is large: a million rows, written as the drain writes them."""

import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import UsageRecord
from accounts.settlements import Settlement
from accounts.usage_reports import GROUPS, usage_report
from accounts.usage_rows import insert_rows
from accounts.usage_sums import add_to_sums
from tests.e2e.calling import report
from tests.unit.accounts.builders import record

pytestmark = [pytest.mark.slow, pytest.mark.django_db]
ROWS, BATCH = 1_000_000, 10_000
DAYS, KEYS, TEAMS, MODELS, PROVIDERS = 60, 500, 40, 30, 6


def fill() -> float:
    now, began = time.time(), time.process_time()
    for first in range(0, ROWS, BATCH):
        rows = []
        for number in range(first, first + BATCH):
            at = now - DAYS * 86400 * (1 - number / ROWS)
            owner = number * 7919 % KEYS
            call = Settlement(f"c{number:x}", f"req_{number:024x}", at, owner + 1, owner % TEAMS + 1, (), ())
            change = {"model": f"model-{number * 31 % MODELS}", "provider": f"provider-{number % PROVIDERS}"}
            rows.append((call, record(**change)))
        with transaction.atomic():
            insert_rows(rows)
            add_to_sums(rows)
    return (time.process_time() - began) / ROWS * 1e6


def slowest_of_three(work: Callable[[], object]) -> float:
    found = []
    for _ in range(3):
        began = time.monotonic()
        work()
        found.append((time.monotonic() - began) * 1000)
    return max(found)


def test_reports_over_a_million_rows_answer_within_300_ms():
    cpu_us = fill()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
    end = timezone.now()
    start = end - timedelta(days=30, hours=5)
    times = {
        group: slowest_of_three(lambda group=group: usage_report(group_by=group, start=start, end=end))
        for group in GROUPS
    }
    times["one team's keys"] = slowest_of_three(lambda: usage_report(group_by="key", start=start, end=end, team_id=3))
    newest = UsageRecord.objects.filter(key_id=7).order_by("-id")
    times["a page of one key's rows"] = slowest_of_three(lambda: list(newest[:100]))
    total = usage_report(group_by="team", start=end - timedelta(days=DAYS + 1), end=end + timedelta(hours=1)).total
    figures = ", ".join(f"{name} {took:.0f} ms" for name, took in times.items())
    report(f"a million ledger rows on {connection.vendor} ({cpu_us:.0f} us of processor time each to write): {figures}")
    assert total.requests == ROWS
    assert max(times.values()) <= 300, times
