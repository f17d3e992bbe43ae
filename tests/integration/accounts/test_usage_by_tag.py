"""Usage by the tags of keys: at each of a key's tags, and once in the total."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from accounts.models import ApiKey, UsageDaily, UsageHourly
from accounts.provisioning import KeyOrder, create_key
from accounts.usage_reports import usage_report

pytestmark = pytest.mark.django_db
HOUR = timezone.now().replace(minute=0, second=0, microsecond=0)


def used(name: str, *tags: str, requests: int) -> ApiKey:
    key = create_key(KeyOrder(name=name, tags=tags)).key
    for model in ("a", "b"):
        for sums, start in ((UsageHourly, HOUR), (UsageDaily, HOUR.replace(hour=0))):
            sums.objects.create(
                start_at=start, key_id=key.pk, model=model, requests=requests, cost_nano_usd=10**9 * requests
            )
    return key


def said() -> dict[str, int]:
    report = usage_report(group_by="tag", start=HOUR, end=HOUR + timedelta(hours=1))
    return {line.name: line.requests for line in (*report.lines, report.total)}


def test_a_key_counts_at_each_of_its_tags_and_once_in_the_total() -> None:
    used("one", "marketing", "eu", requests=3)
    used("two", "eu", requests=4)
    used("three", requests=1)
    UsageHourly.objects.create(start_at=HOUR, requests=7)  # the playground's, of no key

    assert said() == {"eu": 14, "marketing": 6, "(no tag)": 9, "total": 23}


def test_a_deleted_key_keeps_the_tags_that_it_had() -> None:
    used("one", "eu", requests=3).delete()
    assert said() == {"eu": 6, "total": 6}


def test_nothing_used_is_a_total_of_nothing() -> None:
    assert said() == {"total": 0}


def test_the_command_makes_keys_with_tags_and_sums_by_them() -> None:
    call_command("create_api_key", "ci", "--tag", "eu, cost-centre-12", "--tag", "eu", stdout=StringIO())
    key = ApiKey.objects.get()
    assert key.tags == ["eu", "cost-centre-12"]
    with pytest.raises(CommandError, match="--tag: "):
        call_command("create_api_key", "other", "--tag", "e\u200bu")

    UsageHourly.objects.create(start_at=HOUR, key_id=key.pk, requests=2)
    out = StringIO()
    call_command("usage_report", "--by", "tag", "--json", stdout=out)
    shown = json.loads(out.getvalue())
    assert [(line["tag"], line["requests"]) for line in shown["data"]] == [("cost-centre-12", 2), ("eu", 2)]
    assert shown["total"]["requests"] == 2


def test_the_page_shows_tags_and_says_how_they_add_up(admin_client: Client) -> None:
    used("one", "=cmd()", requests=3)
    used("two", requests=1)
    page = admin_client.get("/dashboard/usage/?by=tag").content.decode()
    assert "=cmd()" in page
    assert "(no tag)" in page
    assert "at each of them" in page
    assert "'=cmd()" in admin_client.get("/dashboard/usage/?by=tag&format=csv").content.decode()
    usage = admin_client.get("/usage?group_by=tag").json()
    assert [(line["tag"], line["name"]) for line in usage["data"]] == [("=cmd()", "=cmd()"), ("", "(no tag)")]
