"""Rows of before there was a check, or written past it: one that cannot be used is named and left out, and nothing else
stands still for it."""

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import models
from django.utils import timezone

from accounts.models import Price, Team
from accounts.price_book import PriceBook
from monitoring.passive import Recent
from monitoring.targets import load_targets
from providers import onboarding
from providers.discovery.looking import discover
from providers.models import Credential, Deployment, Provider
from routing.discovery_settings import read_discovery_settings
from routing.intervals import follow_intervals
from routing.listen_address import listen_address
from routing.models import GatewaySettings, ModelAlias, RoutePolicy
from routing.table_loader import load_table
from routing.tasks import forget_payloads
from tests.integration.configuration.conftest import Load, dumped

pytestmark = pytest.mark.django_db
DOCUMENT = "providers: [{name: late, base_url: 'http://10.0.0.1', models: [m]}]"


@pytest.fixture(autouse=True)
def rows() -> None:
    for name in ("sound", "odd"):
        provider = Provider.objects.create(name=name, base_url="https://a.example/v1")
        Deployment.objects.create(
            provider=provider, model=f"{name}-m", input_nano_usd_per_mtok=1, output_nano_usd_per_mtok=1
        )
        ModelAlias.objects.create(name=f"{name}-alias", targets=["sound-m"])
    RoutePolicy.objects.create(name="odd")
    Team.objects.create(name="odd")
    GatewaySettings.load()


def past_the_checks(model: type[models.Model], column: str, value: Any) -> None:
    rows = model._default_manager.all() if model is GatewaySettings else model._default_manager.filter(**odd(model))
    assert rows.update(**{column: value}) == 1


def odd(model: type[models.Model]) -> dict[str, str]:
    names: dict[type[models.Model], tuple[str, str]] = {
        Deployment: ("model", "odd-m"),
        ModelAlias: ("name", "odd-alias"),
    }
    column, name = names.get(model, ("name", "odd"))
    return {column: name}


LEFT_OUT = [
    (Provider, "options", 5, "provider odd: its options are no JSON object"),
    (Provider, "options", [1], "provider odd: its options are no JSON object"),
    (Provider, "headers", {"x": 1}, "provider odd: its headers"),
    (Provider, "tags", 5, "provider odd: its tags are no list of words"),
    (Provider, "kind", "gone", "provider odd: unknown kind gone"),
    (Provider, "base_url", "x", "provider odd: a base URL starts with"),
    (Deployment, "capabilities", 5, "deployment odd/odd-m: its capabilities are no list of words"),
    (Deployment, "capabilities", [{}], "deployment odd/odd-m: its capabilities are no list of words"),
    (Deployment, "tags", "x", "deployment odd/odd-m: its tags"),
    (Deployment, "options", 5, "deployment odd/odd-m: its options"),
    (ModelAlias, "targets", 5, "model alias odd-alias: its targets"),
    (ModelAlias, "targets", [[1]], "model alias odd-alias: its targets"),
    (ModelAlias, "fallbacks", 5, "model alias odd-alias: its fallbacks"),
    (ModelAlias, "strategy", "gone", "model alias odd-alias: unknown strategy gone"),
    (RoutePolicy, "options", 5, "route policy odd: its options"),
    (RoutePolicy, "options", {"price": "high"}, "route policy odd: its option price is not a number"),
    (RoutePolicy, "context_fallbacks", {}, "route policy odd: its context_fallbacks"),
    (GatewaySettings, "cors_origins", 5, "gateway settings: its cors_origins"),
    (GatewaySettings, "condensation", 5, "gateway settings: condensation: found the number"),
    (GatewaySettings, "response_cache", {"ttl": "x", "enabled": True}, "gateway settings: response_cache.ttl: found"),
]
QUIET: list[tuple[type[models.Model], str, Any]] = [
    (GatewaySettings, "process", 5),
    (GatewaySettings, "process", []),
    (GatewaySettings, "process", {"port": "x", "log_level": 5, "health_check_interval": []}),
    (GatewaySettings, "payload_logging", [1]),
    (GatewaySettings, "payload_logging", {"retention_days": "x"}),
    (Team, "metadata", 5),
]
CASES = [case[:3] for case in LEFT_OUT] + QUIET
NAMES = [f"{model.__name__}.{column}={value}" for model, column, value in CASES]


@pytest.mark.parametrize(("model", "column", "value", "sentence"), LEFT_OUT)
def test_a_row_that_cannot_be_used_is_left_out_and_named(model, column, value, sentence, caplog):
    past_the_checks(model, column, value)
    table = load_table()
    assert table.route("sound-m") is not None
    assert [sentence in left_out for left_out in table.left_out] == [True]
    assert sentence in caplog.text
    out = StringIO()
    call_command("explain_route", "sound-m", stdout=out)
    assert sentence in out.getvalue()


@pytest.mark.parametrize(("model", "column", "value"), CASES, ids=NAMES)
def test_no_stored_value_keeps_the_rest_from_working(model, column, value, load: Load):
    past_the_checks(model, column, value)
    assert load_table().route("sound-m") is not None
    load(DOCUMENT)
    text = dumped()
    if column not in ("kind", "base_url", "strategy", "targets") and value != {"price": "high"}:
        # What only a person can put right is refused with its line.
        load(text, name="dump.yaml", dry_run=True)
    assert load_table().route("late/m") is not None
    follow_intervals()
    assert listen_address(host=None, port=None)[1] == 8000
    forget_payloads()
    discover()
    assert {known.target.provider.name for known in load_targets(traffic=Recent(), paid=True)} >= {"sound"}


@pytest.mark.parametrize("column", ["options", "headers", "tags"])
def test_a_provider_that_cannot_be_used_is_not_tested_but_named(column):
    past_the_checks(Provider, column, 5)
    with pytest.raises(onboarding.UnusableProvider, match=f"odd cannot be used: its {column}"):
        onboarding.listed_models(Provider.objects.get(name="odd"))


@pytest.mark.parametrize("what", ["odd-m", "nothing"])
def test_explaining_an_unknown_name_says_what_was_left_out(what):
    past_the_checks(Deployment, "capabilities", 5)
    with pytest.raises(CommandError, match="Left out: deployment odd/odd-m: its capabilities"):
        call_command("explain_route", what, stdout=StringIO())


def test_explaining_as_json_lists_what_was_left_out():
    past_the_checks(Provider, "options", 5)
    out = StringIO()
    call_command("explain_route", "sound-m", "--json", stdout=out)
    assert json.loads(out.getvalue())["left_out"] == ["provider odd: its options are no JSON object"]


def test_a_section_with_one_unreadable_key_keeps_the_others():
    past_the_checks(GatewaySettings, "response_cache", {"ttl": "x", "enabled": True})
    cache = load_table().policy.response_cache
    assert (cache.enabled, cache.ttl) == (True, 300.0)


def test_validate_env_names_each_stored_value_that_no_door_accepts():
    past_the_checks(Provider, "options", 5)
    past_the_checks(Deployment, "capabilities", 5)
    out = StringIO()
    with pytest.raises(CommandError, match="2 errors"):
        call_command("validate_env", "--json", stdout=out)
    found = [each["key"] for each in json.loads(out.getvalue())["findings"] if each["level"] == "error"]
    assert found == ["provider odd: options", "deployment odd/odd-m: capabilities"]


def test_validate_env_names_each_secret_that_no_header_carries(monkeypatch):
    monkeypatch.setenv("A_KEY_OF_AN_EXAMPLE", "sk-…")
    provider = Provider.objects.get(name="sound")
    Credential.objects.create(provider=provider, name="env", environment_variable="A_KEY_OF_AN_EXAMPLE")
    old = Credential(provider=provider, name="old")
    old.store("sk-abc\nsk-def")
    old.save()
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("validate_env", stdout=out)
    assert "credential sound/env: A key has no characters such as '…'" in out.getvalue()
    assert "Correct A_KEY_OF_AN_EXAMPLE." in out.getvalue()
    assert "credential sound/old: A key has no spaces or line breaks" in out.getvalue()


def test_a_negative_price_counts_as_unknown():
    past_the_checks(Deployment, "input_nano_usd_per_mtok", -5)
    route = load_table().route("odd-m")
    assert route is not None
    assert route.deployments[0].prices.input is None


def test_a_negative_price_of_our_own_is_left_out():
    values = {"model": "m", "output_nano_usd": 1, "input_nano_usd": 1}
    Price.objects.create(**values, effective_from=timezone.now() - timedelta(days=2))
    Price.objects.create(**values | {"input_nano_usd": -1}, effective_from=timezone.now() - timedelta(days=1))
    card = PriceBook.load().own("p", "m", timezone.now())
    assert card is not None
    assert card.tiers[0][1].input == 1


def test_a_misspelt_key_of_discovery_leaves_the_rest_of_it_on(caplog):
    stored = {"registry": "https://a.example/list.json", "drain_secnds": 5}
    past_the_checks(GatewaySettings, "discovery", stored)
    found = read_discovery_settings()
    assert found.registry is not None
    assert found.registry.url == "https://a.example/list.json"
    assert "drain_secnds: found an unknown key; expected drain_seconds?" in caplog.text


def test_a_file_is_loaded_whatever_columns_hold_that_it_does_not_give(load: Load):
    past_the_checks(GatewaySettings, "response_cache", {"of_another_version": True})
    load("max_attempts: 7")
    assert GatewaySettings.load().max_attempts == 7
