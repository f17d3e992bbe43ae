"""Whatever is sent as a field of an admin page or as a parameter of a list, staff get a page that says what is wrong."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule

from accounts.models import Budget, Limit, Price, Team
from accounts.provisioning import KeyOrder, create_key
from providers.models import Credential, Deployment, Provider
from proxy_site.admin_versions import SEEN, UNTYPED
from routing.models import GatewaySettings, ModelAlias, RoutePolicy
from tests.integration.api.pages import controls

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore:DateTimeField .* received a naive datetime")]

DEEP = 20_000
TYPED = {
    "NUL": "a\x00b",
    "deep list": "[" * DEEP + "]" * DEEP,
    "half of a pair": '{"a": "\\ud800"}',
    "huge": "9" * 30,
    "too long for a number": "9" * 5000,
    "a word": "x",
    "no number": "NaN",
    "negative": "-1",
    "other digits": "\u00b2",
    "last moment": "9999-12-31 23:59:59",
    "first moment": "0001-01-01",
}


@pytest.fixture
def rows(db: None) -> dict[type[Model], Model]:
    """One of each kind that staff may change."""
    team = Team.objects.create(name="red")
    key = create_key(KeyOrder(name="app")).key
    provider = Provider.objects.create(name="first", base_url="https://a.example/v1")
    interval = IntervalSchedule.objects.create(every=7, period="days")
    made: list[Model] = [
        team, key, provider,
        Limit.objects.create(scope="key", key=key, requests=5),
        Budget.objects.create(scope="team", team=team, tokens=5),
        Price.objects.create(model="m", input_nano_usd=1, output_nano_usd=1),
        Credential.objects.create(provider=provider, environment_variable="OWN_KEY"),
        Deployment.objects.create(provider=provider, model="m"),
        ModelAlias.objects.create(name="fast", targets=["m"]),
        RoutePolicy.objects.create(name="all"),
        GatewaySettings.load(),
        User.objects.create(username="somebody"), Group.objects.create(name="some"),
        interval, CrontabSchedule.objects.create(minute="1"), ClockedSchedule.objects.create(clocked_time=timezone.now()),
        SolarSchedule.objects.create(event="sunset", latitude=1, longitude=1),
        PeriodicTask.objects.create(name="own", task="x", interval=interval),
    ]  # fmt: skip
    return {type(row): row for row in made}


@contextmanager
def saved_for_nothing() -> Iterator[None]:
    point = transaction.savepoint()
    yield
    transaction.savepoint_rollback(point)


PAGES = sorted(admin.site._registry, key=lambda model: model._meta.label)


def addresses(model: type[Model], row: Model | None) -> Iterator[str]:
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    yield reverse(f"{name}_add")
    if row is not None:
        yield reverse(f"{name}_change", args=[row.pk])


@pytest.mark.parametrize("model", PAGES, ids=lambda model: model._meta.label)
def test_what_is_sent_as_a_field(admin_client: Client, rows: dict[type[Model], Model], model: type[Model]) -> None:
    """As all of them at once."""
    for address in addresses(model, rows.get(model)):
        page = admin_client.get(address)
        if page.status_code != 200:
            assert page.status_code == 403
            continue
        sent = controls(page.content.decode())
        fields = sent.keys() - {"csrfmiddlewaretoken", SEEN}
        typed = [field for field in fields if not field.endswith(UNTYPED)]
        for value in TYPED.values():
            with saved_for_nothing():
                assert admin_client.post(address, {**sent, **dict.fromkeys(typed, value)}).status_code in (200, 400)


@pytest.mark.slow
@pytest.mark.parametrize("value", TYPED.values(), ids=TYPED)
@pytest.mark.parametrize("model", PAGES, ids=lambda model: model._meta.label)
def test_what_is_sent_as_one_field(
    admin_client: Client, rows: dict[type[Model], Model], model: type[Model], value: str
) -> None:
    """Where the others are right, so that it may come as far as being saved."""
    for address in addresses(model, rows.get(model)):
        page = admin_client.get(address)
        if page.status_code != 200:
            continue
        sent = controls(page.content.decode())
        for field in sent.keys() - {"csrfmiddlewaretoken", SEEN}:
            with saved_for_nothing():
                assert admin_client.post(address, {**sent, field: value}).status_code in (200, 302, 400), field


ASKED = ("x", "9" * 30, "9" * 5000, "-1", "\u00b2", "a\x00b", "9999-12-31", "[" * 2000, "1,x", "")
ALWAYS = ("q", "o", "p", "all", "e", "_to_field", "_changelist_filters", "no_such_field", "pk__in", "id__exact")


@pytest.mark.parametrize("model", PAGES, ids=lambda model: model._meta.label)
def test_what_a_list_is_asked_for(admin_client: Client, rows: dict[type[Model], Model], model: type[Model]) -> None:
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    page = admin_client.get(address)
    shown = page.context["cl"] if page.status_code == 200 else None
    names = {name for spec in shown.filter_specs for name in spec.expected_parameters()} if shown else set()
    if shown and shown.date_hierarchy:
        names |= {f"{shown.date_hierarchy}__{part}" for part in ("year", "month", "day", "gte")}
    tries = [dict.fromkeys((*names, "q", "p", "o"), value) for value in ASKED]
    tries += [{name: ASKED[at % len(ASKED)]} for at, name in enumerate((*sorted(names), *ALWAYS))]
    for query in tries:
        assert admin_client.get(address, query).status_code in (200, 302, 400, 403), query


@pytest.mark.parametrize("model", PAGES, ids=lambda model: model._meta.label)
def test_what_is_no_row_and_no_action(admin_client: Client, rows: dict[type[Model], Model], model: type[Model]) -> None:
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    led_to = set()
    for value in ("x", "9" * 30, "9" * 5000, "\u00b2", "a_00b", "-1"):
        assert admin_client.get(f"{address}{value}/").status_code in (302, 404)
        for page in ("change/", "history/", "delete/"):
            answer = admin_client.get(f"{address}{value}/{page}")
            assert answer.status_code in (302, 403, 404), (value, page)
            led_to.add(answer.get("Location"))
        for action in ("delete_selected", "enable", "no_such_action"):
            sent = {"action": action, "_selected_action": [value, "1"], "index": value, "select_across": value}
            assert admin_client.post(address, sent).status_code in (200, 302, 400, 403, 405), (value, action)
    # There stands all that was said on the way.
    for place in led_to - {None}:
        assert admin_client.get(place, follow=True).status_code == 200, place


@pytest.mark.parametrize("model", [Provider, RoutePolicy])
def test_what_is_typed_into_a_list(admin_client: Client, rows: dict[type[Model], Model], model: type[Model]) -> None:
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    sent = {**controls(admin_client.get(address).content.decode()), "_save": [""]}
    for field in sent.keys() - {"csrfmiddlewaretoken"}:
        for value in ("x", "9" * 30, "9" * 5000, "a\x00b", "-1", "[" * DEEP):
            with saved_for_nothing():
                assert admin_client.post(address, {**sent, field: value}).status_code in (200, 302, 400), (
                    field,
                    value[:9],
                )


PARAMETERS = {
    "/dashboard/requests/": ("id", "provider", "model", "key", "team", "status", "span", "before"),
    "/dashboard/usage/": ("by", "from", "to", "span", "team", "key"),
    "/dashboard/": ("span", "range"),
    "/admin/autocomplete/": ("term", "app_label", "model_name", "field_name", "page"),
    "/admin/": ("s",),
}


@pytest.mark.parametrize("address", PARAMETERS)
def test_what_other_pages_are_asked_for(admin_client: Client, address: str) -> None:
    known = {"app_label": "accounts", "model_name": "apikey", "field_name": "team", "term": ""}
    start = known if "autocomplete" in address else {}
    for name in PARAMETERS[address]:
        for value in ASKED:
            assert admin_client.get(address, {**start, name: value}).status_code in (200, 302, 400, 403, 404), (
                name,
                value[:9],
            )


def test_what_a_form_of_the_management_api_holds_is_read_as_far_as_it_can_be(admin_client: Client) -> None:
    deep = "[" * DEEP + "]" * DEEP
    for address in ("/api/teams/", f"/api/teams/{Team.objects.create(name='red').pk}/"):
        send = admin_client.post if address == "/api/teams/" else admin_client.patch
        answer = send(address, f"name=blue&metadata={deep}", content_type="application/x-www-form-urlencoded")
        assert (answer.status_code, "nested too deeply" in answer.json()["error"]["message"]) == (400, True)
