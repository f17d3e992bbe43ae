"""The list of requests: what it is filtered by stays chosen, and days of the past can be looked at."""

import re
from datetime import UTC, datetime

import pytest
from django.test import Client

from accounts.models import Team, UsageRecord

pytestmark = pytest.mark.django_db


def chosen_of(page: str, name: str) -> str:
    select = page.split(f'<select id="{name}"')[1].split("</select>")[0]
    return "".join(re.findall(r"<option (?:value=\"[^\"]*\" )?selected>([^<]*)</option>", select))


def test_what_was_deleted_or_is_far_down_the_list_stays_the_filter(admin_client: Client) -> None:
    Team.objects.bulk_create(Team(name=f"team {number:03}") for number in range(502))
    query = f"provider=gone&key=77&team={Team.objects.get(name='team 501').pk}"
    page = admin_client.get(f"/dashboard/requests/?{query}").content.decode()
    assert [chosen_of(page, name) for name in ("provider", "key", "team")] == ["gone", "#77", "team 501"]


def test_a_row_of_usage_leads_to_the_requests_of_its_period(admin_client: Client) -> None:
    usage = admin_client.get("/dashboard/usage/?by=model&from=2026-01-01&to=2026-01-31").content.decode()
    assert "span=30d" not in usage
    for number, day in enumerate((31, 1, 15), start=1):
        at = datetime(2025 if day == 31 else 2026, 12 if day == 31 else 1, day, 23, 59, tzinfo=UTC)
        UsageRecord.objects.create(
            call_id=f"c{number}", request_id=f"req_{number}", attempt=1, final=True, model="m", provider="p", status=200,
            endpoint="chat/completions", created_at=at,
        )  # fmt: skip
    page = admin_client.get("/dashboard/requests/?span=2026-01-01..2026-01-15&model=m").content.decode()
    assert chosen_of(page, "span") == "2026-01-01..2026-01-15"
    assert re.findall(r"requests/(req_\d)/", page) == ["req_3", "req_2"]
    for nonsense in ("2026-01-01..", "..", "9999-12-31..9999-12-31", "x"):
        assert (
            chosen_of(admin_client.get(f"/dashboard/requests/?span={nonsense}").content.decode(), "span") == "24 hours"
        )
