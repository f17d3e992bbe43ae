"""The page of usage with more keys than anybody reads."""

import codecs

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Team, UsageDaily, UsageHourly
from monitoring.views.usage import LONGEST, MOST_LINES

pytestmark = pytest.mark.django_db
NOW = timezone.now().replace(minute=0, second=0, microsecond=0)


def used(keys: int) -> None:
    rows = [{"key_id": key, "requests": 1, "cost_nano_usd": key * 10**9} for key in range(1, keys + 1)]
    UsageHourly.objects.bulk_create(UsageHourly(start_at=NOW, **row) for row in rows)
    UsageDaily.objects.bulk_create(UsageDaily(start_at=NOW.replace(hour=0), **row) for row in rows)


def test_a_page_of_thousands_of_keys_shows_the_dearest_and_the_csv_has_all(admin_client: Client) -> None:
    used(MOST_LINES + 7)
    page = admin_client.get("/dashboard/usage/?by=key").content.decode()
    assert f'&amp;key={MOST_LINES + 7}"' in page
    assert page.count("&amp;key=") == MOST_LINES
    assert f"The first {MOST_LINES} of {MOST_LINES + 7}." in page
    assert f"{MOST_LINES + 7:,}</dd>" in page  # the total counts the others, too
    table = admin_client.get("/dashboard/usage/?by=key&format=csv").content.decode()
    assert len(table.splitlines()) == MOST_LINES + 8


def test_a_page_of_few_keys_shows_them_all_and_says_nothing_of_it(admin_client: Client) -> None:
    used(3)
    page = admin_client.get("/dashboard/usage/?by=key").content.decode()
    assert page.count("&amp;key=") == 3
    assert "All are in the CSV" not in page


def test_the_csv_has_names_that_excel_can_read_and_amounts_that_it_can_add_up(admin_client: Client) -> None:
    team = Team.objects.create(name="Équipe 日本")
    sums = {"start_at": NOW, "team_id": team.pk, "requests": 1, "cost_nano_usd": 1_980}
    UsageHourly.objects.create(**sums)
    UsageDaily.objects.create(**{**sums, "start_at": NOW.replace(hour=0)})
    table = admin_client.get("/dashboard/usage/?by=team&format=csv").content
    assert table.startswith(codecs.BOM_UTF8)
    header, line = table.decode("utf-8-sig").splitlines()
    found = dict(zip(header.split(","), line.split(","), strict=True))
    assert (found["team"], found["name"]) == (str(team.pk), "Équipe 日本")
    assert found["cost_usd"] == "0.000001980"


def test_every_day_of_the_longest_range_has_its_line() -> None:
    assert LONGEST.days < MOST_LINES
