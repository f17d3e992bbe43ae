"""The list of requests: what it is filtered by stays chosen, and days of the past can be looked at."""

import re
from datetime import UTC, datetime

import pytest
from django.test import Client
from django.utils.html import escape

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


@pytest.mark.parametrize(
    "pasted",
    ["{}", "  {}\n", "'{}'", '"request_id": "{}",', "x-request-id: {}", "Error code: 502 (request {}).", "{}/x"],
)
@pytest.mark.parametrize("request_id", ["req_0123456789abcdef01234567", "my-own:1.2"])
def test_an_id_that_is_pasted_leads_to_its_request(admin_client: Client, pasted: str, request_id: str) -> None:
    UsageRecord.objects.create(
        call_id="c", request_id=request_id, attempt=1, final=True, model="m", provider="p", status=200,
        endpoint="chat/completions", created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    answer = admin_client.get("/dashboard/requests/", {"id": pasted.format(request_id)})
    assert (answer.status_code, answer["Location"]) == (302, f"/dashboard/requests/{request_id}/")
    assert admin_client.get(answer["Location"]).status_code == 200


@pytest.mark.parametrize("pasted", ["req_gone", "<b>x</b>", "a\x00b", "/", "²", "x" * 5000, "../../admin"])
def test_an_id_that_nobody_knows_is_told_so_and_stays_in_the_field(admin_client: Client, pasted: str) -> None:
    answer = admin_client.get("/dashboard/requests/", {"id": pasted})
    page = answer.content.decode()
    if "\x00" in pasted:
        assert answer.status_code == 400
        return
    assert (answer.status_code, "There is no request" in page) == (200, True)
    assert f'name="id" value="{escape(pasted[:300])}"' in page
    assert "<b>x</b>" not in page


def test_without_an_id_the_list_says_nothing_of_one(admin_client: Client) -> None:
    for query in ("", "?id=", "?id=%20"):
        assert "There is no request" not in admin_client.get(f"/dashboard/requests/{query}").content.decode()
