"""The admin's own doors: what a page does not offer cannot be sent either."""

import re
from collections.abc import Callable, Iterator

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from accounts.models import ApiKey, Team
from accounts.provisioning import KeyOrder, create_key, revoke_key
from providers.admin.wizard import WRITES
from providers.models import Provider

pytestmark = pytest.mark.django_db
OPEN = {"", "login/", "logout/", "password_change/", "password_change/done/", "jsi18n/", "search/"}
REFUSED = (403, 404, 405)
Granted = Callable[..., Client]


@pytest.fixture
def granted(client: Client) -> Granted:
    user = User.objects.create_user("reader", is_staff=True)
    client.force_login(user)

    def grant(*names: str) -> Client:
        user.user_permissions.set(Permission.objects.filter(codename__in=names))
        return client

    return grant


def addresses() -> Iterator[str]:
    def walk(patterns: list, prefix: str) -> Iterator[str]:  # type: ignore[type-arg]
        for each in patterns:
            text = prefix + re.sub(r"\(\?P<\w+>[^)]*\)|<\w+:?\w*>", "999", str(each.pattern)).strip("^$")
            yield from walk(each.url_patterns, text) if hasattr(each, "url_patterns") else (text,)

    yield from walk(admin.site.urls[0], "")


def test_no_page_opens_for_staff_without_a_permission(granted: Granted) -> None:
    client, opened = granted(), {}
    found = set(addresses()) - OPEN
    assert len(found) > 100, "the addresses were not found"
    for address in found:
        for ask in (client.get, client.post):
            answer = ask(f"/admin/{address}", follow=True)
            sent_home = answer.request["PATH_INFO"] == reverse("admin:index")  # as of a row that is not there
            if answer.status_code not in REFUSED and not sent_home:
                opened[address] = answer.status_code
    assert opened == {}


def old_version(row: Team | ApiKey) -> str:
    name = f"admin:accounts_{row._meta.model_name}_simple_history"
    return reverse(name, args=[row.pk, row.history.last().history_id])  # type: ignore[union-attr]


def test_who_may_only_look_writes_nothing_over_the_page_of_an_old_version(granted: Granted) -> None:
    team = Team.objects.create(name="blue")
    client, form = granted("view_team"), {"name": "green", "enabled": "on"}
    assert client.get(old_version(team)).status_code == 200
    assert client.post(old_version(team), form).status_code == 403
    assert Team.objects.get().name == "blue"
    assert granted("view_team", "change_team").post(old_version(team), form).status_code == 302
    assert Team.objects.get().name == "green"


def test_an_old_version_of_a_key_does_not_undo_its_revocation(granted: Granted) -> None:
    key = create_key(KeyOrder(name="app")).key
    address = old_version(key)
    revoke_key(key.pk)
    form = {"name": "app", "scopes": ["admin"], "enabled": "on", "payload_logging": "{}", "condensation": "{}"}
    assert granted("view_apikey", "change_apikey").post(address, form).status_code == 403
    assert ApiKey.objects.get().revoked_at is not None


def test_what_a_file_manages_is_not_written_over_the_page_of_an_old_version(granted: Granted) -> None:
    row = Provider.objects.create(name="fixed", base_url="https://a.example/v1", source="file")
    address = reverse("admin:providers_provider_simple_history", args=[row.pk, row.history.last().history_id])  # type: ignore[union-attr]
    assert granted("view_provider", "change_provider").post(address, {"name": "changed"}).status_code == 403


@pytest.mark.parametrize("action", ["enable_tasks", "disable_tasks", "toggle_tasks", "run_tasks"])
def test_who_may_only_look_at_schedules_neither_stops_nor_runs_them(granted: Granted, action: str) -> None:
    every = IntervalSchedule.objects.create(every=1, period="days")
    task = PeriodicTask.objects.create(name="x", task="no.such.task", interval=every)
    page = reverse("admin:django_celery_beat_periodictask_changelist")
    client = granted("view_periodictask")
    assert action not in client.get(page).content.decode()
    client.post(page, {"action": action, "_selected_action": [task.pk]})
    assert PeriodicTask.objects.get(pk=task.pk).enabled
    assert action in granted("change_periodictask").get(page).content.decode()


def test_the_wizard_wants_the_right_to_all_that_it_writes(granted: Granted) -> None:
    row = Provider.objects.create(name="own", base_url="http://127.0.0.1:9/v1")
    names = [each.split(".")[1] for each in WRITES]
    steps = [
        "wizard/",
        "wizard/new/openai/",
        *(f"wizard/{row.pk}/{step}/" for step in ("connection", "models", "done")),
    ]
    for step in steps:
        address = f"/admin/providers/provider/{step}"
        for missing in names:
            client = granted(*(name for name in names if name != missing))
            assert client.get(address).status_code == client.post(address).status_code == 403, (step, missing)
        assert granted(*names).get(address).status_code == 200, step


def test_who_may_change_a_provider_may_test_it_and_is_led_no_further(granted: Granted) -> None:
    row = Provider.objects.create(name="own", base_url="http://127.0.0.1:9/v1")
    address = reverse("admin:providers_provider_wizard_test", args=[row.pk])
    assert granted("view_provider").post(address).status_code == 403
    client = granted("change_provider")
    for text in (client.get(address).content.decode(), client.post(address).content.decode()):
        assert f"wizard/{row.pk}/test/" in text
        assert f"wizard/{row.pk}/connection/" not in text
        assert f"wizard/{row.pk}/models/" not in text


def test_home_leads_nobody_to_a_page_that_turns_them_away(granted: Granted) -> None:
    Provider.objects.create(name="modelless", base_url="http://127.0.0.1:9/v1")
    every = {each.codename for each in Permission.objects.all()}
    sets = [{"view_provider"}, {"add_provider", "change_provider"}, every - {"add_credential"}, {"view_apikey"}, every]
    for names in sets:
        client = granted(*names)
        text = client.get(reverse("admin:index")).content.decode()
        for link in set(re.findall(r'href="(/(?:admin|playground|dashboard)/[^"#?]*)"', text)):
            assert client.get(link, follow=True).status_code == 200, (sorted(names)[:3], link)
