"""Two rows must not have names that look the same: no door takes characters that show nothing or turn what follows."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.models import ApiKey, Team
from accounts.provisioning import KeyOrder, create_key
from providers.models import Provider
from routing.models import ModelAlias
from routing.table_loader import load_table

pytestmark = pytest.mark.django_db

UNSEEN = ["\u200b", "\u200d", "\u202e", "\u2066", "\ufeff", "\u00ad", "\x85", "\u2028", "\u3164", "\U000e0041"]


def post(client: Client, path: str, **body: Any) -> Any:
    return client.post(f"/api/{path}/", json.dumps(body), content_type="application/json")


@pytest.mark.parametrize("unseen", UNSEEN, ids=lambda text: f"U+{ord(text):04X}")
def test_the_api_refuses_what_cannot_be_seen(admin: Client, unseen: str) -> None:
    name = f"pay{unseen}roll"
    provider = Provider.objects.create(name="first", base_url="https://a.example/v1")
    for path, body in (
        ("teams", {"name": name}),
        ("api-keys", {"name": name}),
        ("providers", {"name": name, "base_url": "https://b.example/v1"}),
        ("model-aliases", {"name": name, "targets": ["m"]}),
        ("route-policies", {"name": name}),
        ("budgets", {"name": name, "scope": "all", "tokens": 5}),
    ):
        answer = post(admin, path, **body)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "name"), (path, answer.content)
    for path, body in (
        ("deployments", {"provider": provider.pk, "model": name}),
        ("prices", {"model": name, "input_nano_usd": 1, "output_nano_usd": 1}),
    ):
        answer = post(admin, path, **body)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model"), (path, answer.content)


@pytest.mark.parametrize("field", ["tags", "allowed_models"])
def test_a_word_that_cannot_be_seen_whole_is_told_as_that(admin: Client, field: str) -> None:
    answer = post(admin, "api-keys", name="ci", **{field: ["a", "b\u200b"]})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, field)
    assert "invisible" in error["message"]


def test_names_of_every_language_and_emoji_are_taken(admin: Client) -> None:
    for name in ("São Paulo", "研究", "الفريق", "❤️ marketing", "R&D <core>"):
        assert post(admin, "teams", name=name).status_code == 201, name


def test_the_command_and_the_form_refuse_it(admin_client: Client) -> None:
    with pytest.raises(CommandError, match=r"NAME: .*invisible"):
        call_command("create_api_key", "c\u202ei")
    with pytest.raises(CommandError, match=r"--team: .*invisible"):
        call_command("create_api_key", "ci", "--team", "pay\u200broll")
    with pytest.raises(CommandError, match="cannot be blank"):
        call_command("create_api_key", "  ")
    answer = admin_client.post("/admin/accounts/team/add/", {"name": "pay\u200broll"})
    assert "invisible" in answer.content.decode()
    assert not Team.objects.exists()


def test_a_row_of_before_stays_usable(admin: Client) -> None:
    team = Team.objects.create(name="pay\u200broll")
    key = create_key(KeyOrder(name="ci")).key
    ApiKey.objects.filter(pk=key.pk).update(name="c\u200bi", team=team)
    ModelAlias.objects.create(name="fa\u200bst", targets=["demo"])

    with pytest.raises(ValidationError):
        team.full_clean()
    assert load_table().route("fa\u200bst") is not None
    for path, body in ((f"teams/{team.pk}", {"metadata": {"a": 1}}), (f"api-keys/{key.pk}", {"enabled": False})):
        answer = admin.patch(f"/api/{path}/", json.dumps(body), content_type="application/json")
        assert answer.status_code == 200, answer.content


def test_the_command_takes_names_without_the_spaces_around_them(db: None) -> None:
    call_command("create_api_key", " ci ", "--team", " payroll", stdout=StringIO())
    key = ApiKey.objects.select_related("team").get()
    assert key.team is not None
    assert (key.name, key.team.name) == ("ci", "payroll")
