"""What a deleted key or team used stays in the books under the name that it had."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from accounts.models import ApiKey, Team, UsageHourly, UsageRecord
from accounts.owner_names import owner_names
from accounts.usage_reports import usage_report

pytestmark = pytest.mark.django_db
NOW = timezone.now()
HOUR = NOW.replace(minute=0, second=0, microsecond=0)


@pytest.fixture
def gone() -> tuple[int, int]:
    """A call of a key of a team; both were deleted afterwards."""
    team = Team.objects.create(name="support")
    key = ApiKey.objects.create(name="old name", public_id="0123456789abcdef", digest="d", hint="h", team=team)
    key.name = "batch"
    key.save()
    ids = key.pk, team.pk
    owner = {"key_id": key.pk, "team_id": team.pk}
    UsageHourly.objects.create(start_at=HOUR, requests=1, **owner)
    UsageRecord.objects.create(
        call_id="c", attempt=1, request_id="req_gone", created_at=NOW, model="m", provider="p", final=True, status=200, **owner
    )  # fmt: skip
    key.delete()
    team.delete()
    return ids


def test_a_report_names_who_is_deleted(gone: tuple[int, int]) -> None:
    for group, name in (("key", "batch"), ("team", "support")):
        report = usage_report(group_by=group, start=HOUR, end=HOUR + timedelta(hours=1))  # type: ignore[arg-type]
        assert [line.name for line in report.lines] == [name]


def test_names_are_of_those_that_are_there_and_of_the_last_that_were(gone: tuple[int, int]) -> None:
    there = Team.objects.create(name="shop")
    assert owner_names(Team, [there.pk, gone[1], None, 0, 987654]) == {there.pk: "shop", gone[1]: "support"}


def test_pages_show_whose_call_it_was(admin_client: Client, gone: tuple[int, int]) -> None:
    key, team = gone
    call = admin_client.get("/dashboard/requests/req_gone/").content.decode()
    facts = call.split("<h2>")[0].split("<dl")[1]
    assert "batch</a>" in facts
    assert "support" in facts
    assert "playground" not in facts
    listed = admin_client.get(f"/dashboard/requests/?key={key}&team={team}").content.decode()
    assert f'<option value="{key}" selected>batch</option>' in listed
    assert f'<option value="{team}" selected>support</option>' in listed
    for search in ("", "?q=key:batch", "?q=team:support"):
        assert "batch / support" in admin_client.get(f"/admin/accounts/usagerecord/{search}").content.decode()


def test_the_command_prints_the_name(gone: tuple[int, int], capsys: pytest.CaptureFixture[str]) -> None:
    call_command("usage_report", "--by", "key")
    assert "batch" in capsys.readouterr().out
