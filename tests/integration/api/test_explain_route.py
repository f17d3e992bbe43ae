import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from monitoring.models import HealthState
from providers.models import Deployment, Provider
from routing.models import ModelAlias

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("explain_route", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture(autouse=True)
def configuration() -> None:
    for name, priority in (("first", 1), ("second", 2), ("third", 3)):
        row = Provider.objects.create(name=name, base_url="https://a.example/v1", priority=priority)
        Deployment.objects.create(provider=row, model="m", tags=[])
    ModelAlias.objects.create(name="fast", targets=["first/m"], fallbacks=["m"])


def test_prints_the_order_with_scores() -> None:
    lines = run("m").splitlines()
    assert [line.split()[:2] for line in lines if "/m" in line] == [
        ["1", "first/m"],
        ["2", "second/m"],
        ["3", "third/m"],
    ]


def test_leaves_out_what_health_checks_found_down_and_says_so() -> None:
    down = Provider.objects.get(name="first")
    now = timezone.now()
    HealthState.objects.create(
        provider=down, status="unhealthy", since=now, last_check_at=now, fresh_until=now, updated_at=now
    )
    decision = json.loads(run("m", "--json"))
    assert decision["order"] == ["second/m", "third/m"]
    assert [each["excluded"] for each in decision["candidates"]] == ["unhealthy", None, None]
    assert "excluded: unhealthy" in run("m")


def test_follows_fallbacks() -> None:
    decision = json.loads(run("fast", "--json"))
    assert decision["order"] == ["first/m"]
    assert [plan["model"] for plan in decision["fallbacks"]] == ["m"]


def test_fails_for_an_unknown_model_and_names_the_known() -> None:
    with pytest.raises(CommandError, match="Known: fast, m"):
        run("zz")
