"""Whatever rows the admin and the APIs let in, the document that tells of them changes nothing, and makes them anew."""

import contextlib
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import models, transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from accounts.models import Budget, Limit, Team
from providers.adapters import REGISTRY
from providers.models import Credential, Deployment, Provider
from providers.validation import check_options
from routing.configuration.apply import apply_configuration
from routing.configuration.dump import read_configuration
from routing.configuration.findings import aliases_of_aliases
from routing.configuration.rendering import render
from routing.configuration.schema import read
from routing.models import GatewaySettings, ModelAlias, RoutePolicy
from routing.strategies import STRATEGIES

ODD = [
    "on",
    "null",
    "~",
    "1e5",
    "0x1F",
    "1:30",
    "2026-01-01",
    "=",
    "<<",
    "#a",
    "- a",
    "a: b",
    "'",
    '"',
    "{a}",
    "&a",
    "!x",
    "%",
]
NAMES = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,10}\Z")
MODELS = st.sampled_from([word for word in ODD if " " not in word]) | st.text(
    st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=12
)
TEXTS = st.sampled_from(ODD) | st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=12)
COUNTS = st.integers(1, 2**31 - 1)
MAYBE = st.none() | COUNTS
SECONDS = st.floats(0.001, 86_400.0)
PRICES = st.none() | st.integers(0, 10**15)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
OBJECTS = st.dictionaries(
    TEXTS, SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(TEXTS, SCALARS, max_size=2), max_size=3
)
WORDS = st.lists(TEXTS, max_size=3, unique=True)
LISTS = st.lists(MODELS, max_size=3, unique=True)
FLAGS = st.booleans()
MAYBE_FLAGS = st.none() | FLAGS
SOURCES = st.sampled_from(["admin", "file", "environment", "discovery", "demo"])
STRATEGY = st.sampled_from(sorted(STRATEGIES))
PROVIDER_OPTIONS = st.fixed_dictionaries(
    {}, optional={"api_version": TEXTS, "region": TEXTS, "list_prices": FLAGS, "paths": st.just({"embeddings": "/e"})}
)
MODEL_OPTIONS = st.fixed_dictionaries({}, optional={"base_model": TEXTS, "traits": st.just({"prefill": False})})
PROVIDERS = {
    "name": NAMES, "kind": st.sampled_from(sorted(REGISTRY)), "enabled": FLAGS, "priority": st.integers(0, 9),
    "base_url": st.sampled_from(["http://10.0.0.1", "https://a.example:8443/v1", "https://api.openai.com/v1"]),
    "weight": COUNTS, "tags": WORDS, "options": OBJECTS | PROVIDER_OPTIONS,
    "headers": st.dictionaries(st.sampled_from(["x-a", "x-b"]), TEXTS, max_size=2), "timeout_s": st.none() | SECONDS,
    "connect_timeout_s": st.none() | SECONDS, "request_timeout_s": st.none() | SECONDS, "retry_delay_s": st.floats(0, 60),
    "max_retries": st.integers(0, 20), "allow_private": FLAGS, "circuit_breaker_threshold": MAYBE, "source": SOURCES,
}  # fmt: skip
CREDENTIALS = {
    "name": NAMES, "environment_variable": st.sampled_from(["", "A_KEY"]), "weight": COUNTS, "enabled": FLAGS,
}  # fmt: skip
DEPLOYMENTS = {
    "model": MODELS, "upstream_model": st.just("") | MODELS, "enabled": FLAGS, "priority": st.none() | st.integers(0, 9),
    "tags": WORDS, "context_window": MAYBE, "capabilities": WORDS, "reasoning": FLAGS, "input_nano_usd_per_mtok": PRICES,
    "cache_write_nano_usd_per_mtok": PRICES, "cache_write_1h_nano_usd_per_mtok": PRICES,
    "audio_input_nano_usd_per_mtok": PRICES, "audio_output_nano_usd_per_mtok": PRICES,
    "search_nano_usd_per_thousand": PRICES, "options": OBJECTS | MODEL_OPTIONS,
    "source": SOURCES,
}  # fmt: skip
ALIASES = {
    "name": MODELS, "targets": LISTS, "strategy": st.just("") | STRATEGY, "fallbacks": LISTS, "enabled": FLAGS,
    "cache_enabled": MAYBE_FLAGS, "source": SOURCES,
}  # fmt: skip
POLICIES = {
    "name": TEXTS, "pattern": MODELS, "position": st.integers(0, 9), "strategy": STRATEGY, "fallbacks": LISTS,
    "options": OBJECTS | st.fixed_dictionaries({"price": st.floats(0, 10)}), "sticky": FLAGS, "source": SOURCES,
}  # fmt: skip
TEAMS = {
    "name": TEXTS, "enabled": FLAGS, "metadata": OBJECTS, "payload_logging": MAYBE_FLAGS,
    "managed_by": st.sampled_from(["", "file"]),
}  # fmt: skip
LIMITS = {"requests": MAYBE, "tokens": MAYBE, "concurrency": MAYBE, "requests_window_s": COUNTS, "strict": FLAGS}
BUDGETS = {
    "amount_nano_usd": PRICES, "tokens": MAYBE, "period": st.sampled_from(["day", "month"]), "enabled": FLAGS,
    "on_unknown_price": st.sampled_from(["refuse", "allow"]),
}  # fmt: skip
SETTINGS = {
    "app_name": TEXTS, "app_version": TEXTS, "log_file": st.just("") | TEXTS, "rate_limit_rpm": MAYBE,
    "request_timeout_s": SECONDS, "default_strategy": STRATEGY, "cors_origins": st.sampled_from([[], ["*"], ["https://a"]]),
    "condensation": st.sampled_from([{}, {"enabled": False}, {"error_keywords": ["1e5", "on"]}]),
    "discovery": st.sampled_from([{}, {"registry": "https://a.example/l"}, {"consul": {"url": "http://10.0.0.1:8500"}}]),
    "response_cache": st.sampled_from([{}, {"ttl": 0.5}, {"enabled": True}]),
    "file_keys": st.sampled_from([[], ["app_name", "discovery"]]),
}  # fmt: skip


SINGLE: list[tuple[type[models.Model], dict[str, st.SearchStrategy[Any]], dict[str, Any]]] = [
    (ModelAlias, ALIASES, {"name": "a", "targets": ["m"]}),
    (RoutePolicy, POLICIES, {"name": "r"}),
    (GatewaySettings, SETTINGS, {"pk": 1}),
]


def made(kind: type[models.Model], columns: dict[str, Any], **fixed: Any) -> Any:
    """The row, if it may be: what a form and a call check is checked."""
    row = kind(**fixed, **columns)
    with contextlib.suppress(ValidationError):
        row.full_clean()
        if isinstance(row, Provider | Deployment):
            kind_of_it = row.kind if isinstance(row, Provider) else row.provider.kind
            check_options(kind_of_it, row.options, of_model=isinstance(row, Deployment))
        row.save()
        return row
    return None


def some(draw: st.DrawFn, columns: dict[str, st.SearchStrategy[Any]], most: int = 2) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = draw(st.lists(st.fixed_dictionaries({}, optional=columns), max_size=most))
    return found


def make_providers(draw: st.DrawFn) -> None:
    for columns in some(draw, PROVIDERS):
        if provider := made(Provider, {"name": "p", "base_url": "http://10.0.0.1"} | columns):
            for each in some(draw, CREDENTIALS):
                stored = {"ciphertext": "" if each.get("environment_variable") else "x"}
                made(Credential, stored | each, provider=provider)
            for each in some(draw, DEPLOYMENTS):
                made(Deployment, {"model": "m"} | each, provider=provider)


def make_teams(draw: st.DrawFn) -> None:
    for columns in some(draw, TEAMS):
        if team := made(Team, {"name": "t"} | columns):
            own = {"scope": "team", "team": team, "managed_by": team.managed_by}
            for each in some(draw, LIMITS, 1):
                made(Limit, each, **own)
            for each in some(draw, BUDGETS, 3):
                made(Budget, {"amount_nano_usd": 5} | each, **own)


@st.composite
def rows(draw: st.DrawFn) -> None:
    make_providers(draw)
    make_teams(draw)
    for kind, columns, least in SINGLE:
        for each in some(draw, columns):
            made(kind, least | each)
    # No form and no call lets one lead to another.
    ModelAlias.objects.filter(name__in=aliases_of_aliases(read_configuration())).delete()


def loaded(text: str, style: str) -> tuple[str, ...]:
    return apply_configuration(read(text.encode(), file=f"d.{style}"), file="d", secret_of=lambda name: "").sentences


@pytest.mark.django_db
@pytest.mark.parametrize("style", ["yaml", "json"])
@settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
def test_loading_the_dump_of_any_rows_changes_nothing_and_makes_them_anew(style: str, data: st.DataObject) -> None:
    with transaction.atomic():
        data.draw(rows())
        text = render(read_configuration(), style=style)
        assert loaded(text, style) == ()
        Provider.objects.update(headers={})  # whose values are in no dump
        text_of_the_rest = render(read_configuration(), style=style)
        for kind in (Provider, ModelAlias, RoutePolicy, Team, GatewaySettings):
            kind._base_manager.all().delete()
        loaded(text, style)
        assert render(read_configuration(), style=style) == text_of_the_rest
        transaction.set_rollback(True)
