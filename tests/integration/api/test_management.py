"""`/api/…`: what is written is in force, what is secret never comes back, and what a file manages is left to the file."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch as patched

import pytest
from django.db import connection
from django.db.models import Model
from django.test import Client

from accounts.models import ApiKey, Budget, Limit, Team
from accounts.provisioning import KeyOrder, create_key, revoke_key
from providers.models import Credential, Deployment, Provider
from proxy_site.management_api import VIEW_SETS
from routing.models import ConfigurationRevision, GatewaySettings, ModelAlias
from routing.revisions import one_revision
from tests.integration.api.conftest import ClientFor
from tests.integration.api.fake_live import FakeLive

pytestmark = pytest.mark.django_db

PRICE = {"model": "m", "input_nano_usd": 1, "output_nano_usd": 2, "effective_from": "2026-01-01T00:00:00Z"}
CANARY = "sk-canary-0123456789abcdef"


def post(client: Client, path: str, status: int = 201, **body: Any) -> dict[str, Any]:
    answer = client.post(f"/api/{path}/", json.dumps(body), content_type="application/json")
    assert answer.status_code == status, answer.content
    return dict(answer.json())


def patch(client: Client, path: str, status: int = 200, **body: Any) -> dict[str, Any]:
    answer = client.patch(f"/api/{path}/", json.dumps(body), content_type="application/json")
    assert answer.status_code == status, answer.content
    return dict(answer.json())


@contextmanager
def between_reading_and_writing(model: type[Model], meanwhile: Callable[[], object]) -> Iterator[list[bool]]:
    """What another process does after rows of `model` were read by their numbers for the first time."""
    happened: list[bool] = []

    def wrapper(execute: Any, sql: str, *rest: Any) -> Any:
        found = execute(sql, *rest)
        if not happened and sql.startswith("SELECT") and f'WHERE "{model._meta.db_table}"."id" ' in sql:
            happened.append(True)
            meanwhile()
        return found

    with connection.execute_wrapper(wrapper):
        yield happened


@pytest.fixture
def provider(db: None) -> Provider:
    return Provider.objects.create(name="openai", base_url="https://api.openai.com/v1")


class TestSecrets:
    def test_go_in_and_never_come_out(self, admin: Client, provider: Provider) -> None:
        made = post(admin, "credentials", provider=provider.pk, name="main", secret=CANARY)
        assert Credential.objects.get().reveal() == CANARY
        assert made["hint"] == "sk-…cdef"
        changed = patch(admin, f"credentials/{made['id']}", weight=3)
        pages = [
            admin.get(path, headers={"Accept": accept}).content.decode()
            for path in ("/api/credentials/", f"/api/credentials/{made['id']}/", "/api/providers/", "/api/history/")
            for accept in ("application/json", "text/html")
        ]
        row = Credential.objects.get()
        for text in (json.dumps([made, changed]), *pages):
            assert CANARY not in text
            assert row.ciphertext not in text

    def test_are_replaced_by_a_variable_and_back(self, admin: Client, provider: Provider) -> None:
        made = post(admin, "credentials", provider=provider.pk, secret=CANARY)
        patch(admin, f"credentials/{made['id']}", environment_variable="OPENAI_API_KEY")
        assert Credential.objects.get().ciphertext == ""
        both = patch(admin, f"credentials/{made['id']}", 400, secret=CANARY)
        assert both["error"]["param"] == "secret"
        patch(admin, f"credentials/{made['id']}", secret=CANARY, environment_variable="")
        assert Credential.objects.get().reveal() == CANARY

    def test_need_a_secret_or_a_variable_that_is_not_the_gateways_own(self, admin: Client, provider: Provider) -> None:
        assert post(admin, "credentials", 400, provider=provider.pk)["error"]["param"] == "secret"
        for name in ("DATABASE_URL", "PROXY_API_SECRET_KEY", "PROXY_API_ENCRYPTION_KEYS_FILE"):
            refused = post(admin, "credentials", 400, provider=provider.pk, environment_variable=name)
            assert refused["error"]["param"] == "environment_variable"


class TestKeys:
    def test_show_the_token_once(self, admin: Client, worker: FakeLive) -> None:
        made = post(admin, "api-keys", name="app", scopes=["completions", "read"])
        token = made["key"]
        assert Client(headers={"Authorization": f"Bearer {token}"}).get("/providers").status_code == 200
        shown = (
            admin.get(f"/api/api-keys/{made['id']}/").content.decode() + admin.get("/api/api-keys/").content.decode()
        )
        row = ApiKey.objects.get(pk=made["id"])
        assert token not in shown
        assert row.digest not in shown

    def test_of_which_nobody_says_a_scope_may_call_models(self, admin: Client) -> None:
        assert post(admin, "api-keys", name="app")["scopes"] == ["completions"]
        assert post(admin, "api-keys", name="for later", scopes=[])["scopes"] == []

    def test_are_rotated_and_revoked(self, admin: Client, worker: FakeLive) -> None:
        made = post(admin, "api-keys", name="app", scopes=["read"])
        rotated = post(admin, f"api-keys/{made['id']}/rotate", 200, overlap_s=0)
        seen = [
            Client(headers={"Authorization": f"Bearer {token}"}).get("/providers").status_code
            for token in (made["key"], rotated["key"])
        ]
        assert seen == [401, 200]
        assert "key" not in post(admin, f"api-keys/{made['id']}/revoke", 200)
        assert Client(headers={"Authorization": f"Bearer {rotated['key']}"}).get("/providers").status_code == 401

    def test_that_are_revoked_while_they_are_changed_stay_revoked(self, admin: Client) -> None:
        made = post(admin, "api-keys", name="one")
        with between_reading_and_writing(ApiKey, lambda: revoke_key(made["id"])) as happened:
            changed = patch(admin, f"api-keys/{made['id']}", name="two")
        row = ApiKey.objects.get(pk=made["id"])
        assert happened
        assert (row.name, row.revoked_at is not None, changed["revoked_at"] is not None) == ("two", True, True)

    def test_that_are_revoked_while_they_are_changed_in_the_admin_stay_revoked(self, admin_client: Client) -> None:
        made = create_key(KeyOrder(name="one")).key
        with between_reading_and_writing(ApiKey, lambda: revoke_key(made.pk)) as happened:
            form = {"name": "two", "scopes": ["completions"], "enabled": "on"}
            answer = admin_client.post(f"/admin/accounts/apikey/{made.pk}/change/", form)
        row = ApiKey.objects.get(pk=made.pk)
        assert happened
        assert (answer.status_code, row.name, row.revoked_at is not None) == (302, "two", True)

    def test_that_are_revoked_while_they_are_switched_off_stay_revoked(self, admin_client: Client) -> None:
        made = create_key(KeyOrder(name="one")).key
        with between_reading_and_writing(ApiKey, lambda: revoke_key(made.pk)) as happened:
            chosen = {"action": "disable", "_selected_action": [made.pk]}
            answer = admin_client.post("/admin/accounts/apikey/", chosen)
        row = ApiKey.objects.get(pk=made.pk)
        assert happened
        assert (answer.status_code, row.enabled, row.revoked_at is not None) == (302, False, True)

    def test_that_are_revoked_get_no_new_secret(self, admin: Client) -> None:
        made = post(admin, "api-keys", name="app", scopes=["read"])
        post(admin, f"api-keys/{made['id']}/revoke", 200)
        before = ApiKey.objects.get(pk=made["id"])
        refused = post(admin, f"api-keys/{made['id']}/rotate", 409)
        assert "revoked" in refused["error"]["message"]
        after = ApiKey.objects.get(pk=made["id"])
        assert (after.digest, after.previous_digest) == (before.digest, "")

    def test_cannot_be_given_digests_or_unknown_scopes(self, admin: Client) -> None:
        made = post(admin, "api-keys", name="app", scopes=["read"], public_id="mine", hint="mine")
        assert made["public_id"] != "mine"
        for secret in ("digest", "previous_digest", "key"):
            assert post(admin, "api-keys", 400, name="app", **{secret: "00"})["error"]["param"] == secret
        assert post(admin, "api-keys", 400, name="app", scopes=["root"])["error"]["param"] == "scopes"
        assert post(admin, "api-keys", 400, name="app", allowed_networks=["x"])["error"]["param"] == "allowed_networks"


class TestRules:
    def test_limits_and_budgets_have_an_owner_that_fits(self, admin: Client, team: Team) -> None:
        assert post(admin, "limits", 400, scope="key")["error"]["param"] == "key"
        post(admin, "limits", 400, scope="default", team=team.pk)
        post(admin, "limits", scope="team", team=team.pk, requests=10)
        post(admin, "limits", 400, scope="team", team=team.pk, requests=10)
        assert "allowance" not in post(admin, "budgets", 400, scope="all")["error"]["message"]
        post(admin, "budgets", scope="team", team=team.pk, amount_nano_usd=10**9)
        assert (Limit.objects.count(), Budget.objects.count()) == (1, 1)

    def test_a_refused_value_is_told_what_would_be_taken(self, admin: Client, team: Team) -> None:
        told = [
            post(admin, "budgets", 400, scope="team", amount_nano_usd=1, **wrong)["error"]["message"]
            for wrong in ({"team": team.pk, "period": "week"}, {"team": 999}, {"team": "research"})
        ]
        assert told == [
            '"week" is not one of day, month.',
            "There is no row with the id 999.",
            "This is the number under which the other row is listed, its id.",
        ]

    def test_what_was_read_can_be_written_back_and_changes_nothing(self, admin: Client, provider: Provider) -> None:
        team = post(admin, "teams", name="red")["id"]
        key = post(admin, "api-keys", name="app", team=team)["id"]
        for path, body in (
            ("credentials", {"provider": provider.pk, "name": "first", "secret": CANARY}),
            ("deployments", {"provider": provider.pk, "model": "m", "upstream_model": "m"}),
            ("model-aliases", {"name": "fast", "targets": ["m"]}),
            ("route-policies", {"name": "all", "pattern": "*"}),
            ("limits", {"scope": "key", "key": key, "requests": 5}),
            ("budgets", {"name": "b", "scope": "all", "tokens": 5}),
            ("prices", PRICE),
        ):
            post(admin, path, **body)
        resources = set(VIEW_SETS) - {"history"}
        for path in resources:
            (row,) = (each for each in admin.get(f"/api/{path}/").json()["results"] if each.get("name") != "admin")
            place = f"/api/{path}/{row['id']}/"
            answer = admin.put(place, json.dumps(row), content_type="application/json")
            assert answer.status_code == 200, (path, answer.content)
            assert {**answer.json(), "updated_at": None} == {**row, "updated_at": None}
            patch(admin, f"{path}/{row['id']}")

    def test_a_price_cannot_take_the_place_of_another(self, admin: Client) -> None:
        post(admin, "prices", **PRICE)
        later = post(admin, "prices", **{**PRICE, "effective_from": "2027-01-01T00:00:00Z"})
        patch(admin, f"prices/{later['id']}", 400, effective_from=PRICE["effective_from"])
        patch(admin, f"prices/{later['id']}", note="from next year")

    def test_a_team_in_use_is_not_deleted(self, admin: Client, team: Team) -> None:
        hints = [post(admin, "api-keys", name=f"app{number}", team=team.pk)["hint"] for number in range(6)]
        answer = admin.delete(f"/api/teams/{team.pk}/")
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (409, "conflict")
        named = ", ".join(f"API key app{number} (…{hint})" for number, hint in enumerate(hints[:5]))
        assert error["message"] == f"It is not deleted while others belong to it: {named}, …."

    def test_providers_are_checked_as_in_the_admin(self, admin: Client, provider: Provider) -> None:
        for body, param in (
            ({"name": "b c", "base_url": "https://a.example"}, "name"),
            ({"name": "b", "base_url": "file:///etc/passwd"}, "base_url"),
            ({"name": "b", "base_url": "https://user:pw@a.example"}, "base_url"),
            ({"name": "b", "base_url": "https://a.example", "kind": "zz"}, "kind"),
            ({"name": "b", "base_url": "https://a.example", "headers": {"Authorization": "x"}}, "headers"),
            ({"name": "openai", "base_url": "https://a.example"}, "name"),
        ):
            assert post(admin, "providers", 400, **body)["error"]["param"] == param
        assert post(admin, "deployments", 400, provider=provider.pk, model="a b")["error"]["param"] == "model"

    def test_routing_documents_cannot_break_a_workers_table(self, admin: Client) -> None:
        assert post(admin, "model-aliases", 400, name="a", targets="x")["error"]["param"] == "targets"
        assert post(admin, "model-aliases", 400, name="a", targets=[1])["error"]["param"] == "targets"
        weights = {"price": "high"}
        refused = post(admin, "route-policies", 400, name="a", strategy="balanced", options=weights)
        assert refused["error"]["param"] == "options"
        assert patch(admin, "settings", 400, cors_origins="*")["error"]["param"] == "cors_origins"
        assert patch(admin, "settings", 400, api_key_header="Authorization")["error"]["param"] == "api_key_header"


class TestSettings:
    def test_are_one_row_that_is_read_and_changed(self, admin: Client) -> None:
        assert admin.get("/api/settings/").json()["max_attempts"] == 3
        assert not GatewaySettings.objects.exists(), "reading writes nothing"
        assert patch(admin, "settings", max_attempts=5)["max_attempts"] == 5
        assert GatewaySettings.objects.get().max_attempts == 5

    @pytest.mark.django_db(transaction=True)
    def test_who_asks_what_may_be_written_writes_and_locks_nothing(self, admin: Client) -> None:
        with patched("routing.rest.locked") as locked:
            assert "PUT" in admin.options("/api/settings/").json()["actions"]
        assert (locked.called, GatewaySettings.objects.exists()) == (False, False)

    def test_a_key_that_a_file_manages_is_left_to_the_file(self, admin: Client) -> None:
        row = GatewaySettings.load()
        row.file_keys = ["rate_limit_rpm", "payload_logging"]
        row.rate_limit_rpm = 1000
        row.save()
        assert patch(admin, "settings", 400, rate_limit_rpm=5)["error"]["param"] == "rate_limit_rpm"
        assert patch(admin, "settings", 400, payload_logging={"enabled": True})["error"]["param"] == "payload_logging"
        patch(admin, "settings", rate_limit_rpm=1000, max_attempts=4)

    def test_what_a_file_brings_while_they_are_changed_stays(self, admin: Client, admin_client: Client) -> None:
        GatewaySettings.load()

        def load() -> None:
            row = GatewaySettings.load()
            row.process = {"log_level": "DEBUG"}
            row.save()

        def settings_after(change: Callable[[], object]) -> GatewaySettings:
            GatewaySettings.objects.update(process={})
            with between_reading_and_writing(GatewaySettings, load) as happened:
                change()
            assert happened
            return GatewaySettings.objects.get()

        row = settings_after(lambda: patch(admin, "settings", max_attempts=5))
        assert (row.max_attempts, row.process) == (5, {"log_level": "DEBUG"})
        page = admin_client.get("/admin/routing/gatewaysettings/1/change/")
        form = {name: "" if value is None else value for name, value in page.context["adminform"].form.initial.items()}
        row = settings_after(lambda: admin_client.post(page.request["PATH_INFO"], {**form, "max_attempts": 4}))
        assert (row.max_attempts, row.process) == (4, {"log_level": "DEBUG"})


class TestProvidersInTheAdmin:
    def test_what_others_changed_stays_when_one_is_switched_off(self, provider: Provider, admin_client: Client) -> None:
        def rename() -> None:
            row = Provider.objects.get()
            row.base_url = "https://other.example/v1"
            row.save()

        with between_reading_and_writing(Provider, rename) as happened:
            chosen = {"action": "disable", "_selected_action": [provider.pk]}
            admin_client.post("/admin/providers/provider/", chosen)
        provider.refresh_from_db()
        assert happened
        assert (provider.enabled, provider.base_url) == (False, "https://other.example/v1")


class TestHistory:
    @pytest.fixture(autouse=True)
    def _served(self, db: None) -> None:
        with one_revision(source="test"):
            provider = Provider.objects.create(name="openai", base_url="https://api.openai.com/v1")
            Deployment.objects.create(provider=provider, model="m")

    def test_every_write_is_one_numbered_revision(self, admin: Client) -> None:
        before = ConfigurationRevision.objects.count()
        post(admin, "model-aliases", name="fast", targets=["m"])
        listed = admin.get("/api/history/").json()
        assert listed["count"] == before + 1
        assert listed["results"][0]["changes"] == ["created model alias fast"]
        assert admin.delete("/api/history/1/").status_code == 405

    def test_any_of_them_is_gone_back_to_and_names_who_did_it(self, admin: Client) -> None:
        with one_revision(source="test"):
            ModelAlias.objects.create(name="fast", targets=["m"])
        number = ConfigurationRevision.objects.latest("pk").pk
        with one_revision(source="test"):
            ModelAlias.objects.get().delete()

        answer = post(admin, f"history/{number}/rollback", 200, reason="it was needed")

        assert answer["rolled_back_to"] == number
        assert ModelAlias.objects.get().targets == ["m"]
        made = admin.get(f"/api/history/{answer['revision']}/").json()
        assert (made["source"], made["reason"]) == ("rollback", "it was needed (with the API key admin)")
        assert "undo" not in made
        assert post(admin, f"history/{answer['revision']}/rollback", 200)["revision"] is None
        assert post(admin, "history/999999/rollback", 404)["error"]["code"] == "not_found"

    def test_what_keys_depend_on_is_not_taken_away(self, admin: Client) -> None:
        with one_revision(source="test"):
            ModelAlias.objects.create(name="fast", targets=["m"])
        number = ConfigurationRevision.objects.latest("pk").pk
        with one_revision(source="test"):
            team = Team.objects.create(name="blue")
        create_key(KeyOrder(name="app", team=team))
        refused = post(admin, f"history/{number}/rollback", 409)
        assert "move or delete" in refused["error"]["message"]
        assert Team.objects.filter(name="blue").exists()

    def test_a_write_with_a_key_names_the_key(self, admin: Client) -> None:
        post(admin, "model-aliases", name="fast", targets=["m"])
        by_key = ConfigurationRevision.objects.latest("pk")
        assert (by_key.source, by_key.reason, by_key.author) == ("api", "with the API key admin", None)

    def test_a_write_of_a_person_names_the_person(self, client_for: ClientFor, worker: FakeLive) -> None:
        browser = client_for("superuser")
        browser.handler.enforce_csrf_checks = False
        post(browser, "model-aliases", name="fast", targets=["m"])
        made = ConfigurationRevision.objects.latest("pk")
        assert made.author is not None
        assert made.author.get_username() == "superuser"


class TestFileManaged:
    @pytest.fixture
    def rows(self, provider: Provider, team: Team) -> dict[str, Any]:
        Provider.objects.filter(pk=provider.pk).update(source="file")
        Team.objects.filter(pk=team.pk).update(managed_by="file")
        alias = ModelAlias.objects.create(name="fast", targets=["m"], source="file")
        return {"providers": provider, "teams": team, "model-aliases": alias}

    def test_rows_are_read_only(self, admin: Client, rows: dict[str, Any]) -> None:
        for name, row in rows.items():
            assert admin.get(f"/api/{name}/{row.pk}/").status_code == 200
            assert patch(admin, f"{name}/{row.pk}", 409, name="x")["error"]["code"] == "managed_by_file"
            assert admin.delete(f"/api/{name}/{row.pk}/").status_code == 409

    def test_a_secret_is_stored_beside_the_file_and_a_variable_is_the_files(
        self, admin: Client, rows: dict[str, Any]
    ) -> None:
        provider = rows["providers"]
        named = Credential.objects.create(provider=provider, name="named", environment_variable="A_KEY")
        stored = Credential.objects.create(provider=provider, name="stored")
        assert patch(admin, f"credentials/{named.pk}", 409, weight=2)["error"]["code"] == "managed_by_file"
        assert admin.delete(f"/api/credentials/{named.pk}/").status_code == 409
        patch(admin, f"credentials/{stored.pk}", secret=CANARY, weight=1)
        for change in ({"weight": 2}, {"environment_variable": "A_KEY", "secret": CANARY}, {"name": "x"}):
            patch(admin, f"credentials/{stored.pk}", 400, **change)
        post(admin, "credentials", 400, provider=provider.pk, name="more", environment_variable="A_KEY")
        post(admin, "credentials", provider=provider.pk, name="more", secret=CANARY, weight=2)
        assert Credential.objects.get(pk=stored.pk).reveal() == CANARY

    def test_nobody_can_claim_to_be_the_file(self, admin: Client) -> None:
        made = post(admin, "teams", name="a", managed_by="file")
        assert made["managed_by"] == ""
        made = post(admin, "providers", name="a", base_url="https://a.example", source="file")
        assert made["source"] == "admin"
