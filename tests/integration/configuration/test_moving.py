"""An installation that moves: whole, by Django's own commands, and by a dump that says what it does not carry."""

import json
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from accounts.models import AccountChange, Budget, Limit, Price, Team
from accounts.provisioning import KeyOrder, create_key
from providers.models import Credential, Deployment, Provider
from routing.models import ConfigurationRevision, GatewaySettings, ModelAlias
from tests.integration.configuration.conftest import Load, dumped

pytestmark = pytest.mark.django_db(transaction=True)


def make_an_installation() -> None:
    provider = Provider.objects.create(name="p", base_url="http://10.0.0.1", headers={"x-a": "hidden"})
    credential = Credential(provider=provider)
    credential.store("sk-typed-into-the-admin")
    credential.save()
    Deployment.objects.create(provider=provider, model="m")
    ModelAlias.objects.create(name="a", targets=["m"])
    GatewaySettings.load()
    team = Team.objects.create(name="t")
    create_key(KeyOrder(name="k", team="t", requests_per_minute=5, budget_tokens=7))
    Limit.objects.create(scope="team", team=team, requests=1, strict=True)
    Limit.objects.create(scope="default", requests=1)
    for columns in ({}, {"tokens": 2}, {"tokens": 3, "period": "day", "enabled": False}):
        Budget.objects.create(**{"scope": "team", "team": team, "tokens": 1, **columns})
    Budget.objects.create(scope="all", tokens=1)
    Price.objects.create(
        model="m", input_nano_usd=1, output_nano_usd=1, effective_from=datetime(2026, 1, 1, tzinfo=UTC)
    )


def rows() -> dict[tuple[str, Any], Any]:
    out = StringIO()
    call_command("dumpdata", "--exclude", "contenttypes", "--exclude", "auth.permission", stdout=out)
    found = json.loads(out.getvalue())
    # The schedule notes when it was written to.
    return {(each["model"], each["pk"]): each["fields"] for each in found if "celery" not in each["model"]}


def test_all_rows_move_to_an_empty_database_as_they_are(tmp_path: Path):
    make_an_installation()
    file = str(tmp_path / "all.json")
    call_command("dumpdata", "--exclude", "contenttypes", "--exclude", "auth.permission", "--output", file)
    before, revision = rows(), ConfigurationRevision.objects.latest("pk").pk
    call_command("flush", "--no-input", verbosity=0)
    assert not Provider.objects.exists()
    call_command("loaddata", file, verbosity=0)

    assert rows() == before
    Team.objects.create(name="next")
    assert ConfigurationRevision.objects.latest("pk").pk > revision
    assert AccountChange.objects.count() > sum(name == "accounts.accountchange" for name, _ in before)


def test_a_dump_says_what_it_does_not_carry():
    make_an_installation()
    errors = StringIO()
    call_command("dump_config", stdout=StringIO(), stderr=errors)

    assert errors.getvalue().strip() == (
        "Not in the document: 1 API key with what limits each; the limit for every key without its own; `strict` of 1 limit "
        "of teams; 1 budget for everybody together; 2 budgets of teams, switched off or beside another for that period; "
        "1 price of models; 1 stored secret of providers; the value of 1 header."
    )


def test_a_dump_that_carries_everything_says_nothing(load: Load):
    load("providers: [{name: p, base_url: 'http://10.0.0.1', models: [m], api_key_env: A}]")
    load("teams: {t: {rpm: 1, budgets: [{usd: 1}, {tokens: 1, period: day}]}}", name="teams.yaml")
    errors = StringIO()
    call_command("dump_config", stdout=StringIO(), stderr=errors)

    assert errors.getvalue() == ""
    assert "rpm: 1" in dumped()


def test_a_difference_writes_small_amounts_as_documents_do(load: Load):
    applied = load(
        "providers: [{name: p, base_url: 'http://10.0.0.1', models: [{name: m, input_usd_per_mtok: 0.000000007}]}]"
    )
    assert "input_usd_per_mtok: 0.000000007" in applied.changes[-1].describe()
