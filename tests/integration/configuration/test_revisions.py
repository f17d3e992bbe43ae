"""Numbered changes: who, what and why; and the way back to any of them."""

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import transaction
from django.test import Client
from django.utils.translation import override

from accounts.models import ApiKey, Budget, BudgetPeriod, Limit, Team
from providers.models import Credential, Deployment, Provider
from routing.models import ConfigurationRevision, ModelAlias, RoutePolicy
from routing.revisions import one_revision
from routing.rollback import RollbackRefused, roll_back
from routing.table_loader import current_revision, load_table
from tests.integration.configuration.conftest import Load, dumped

# Each save its own transaction, as in the admin: the tests' usual outer transaction would make all of them one revision.
pytestmark = pytest.mark.django_db(transaction=True)

FIRST = """
providers:
  - {name: a, base_url: 'http://10.0.0.1', models: [m1, m2], headers: {X-Secret: s3cret-header}, api_key_env: K}
  - {name: b, base_url: 'http://10.0.0.2', models: [m1]}
model_aliases: {smart: {targets: [m1]}}
teams: {red: {rpm: 5, budgets: [{usd: 10}]}}
rate_limit_rpm: 10
"""
SECOND = """
providers:
  - {name: a, base_url: 'http://10.0.0.9', models: [m2, m3], timeout: 4}
  - {name: c, base_url: 'http://10.0.0.3', models: [m1]}
model_aliases: {smart: {targets: [m3], strategy: cost}, fast: {targets: [m1]}}
teams: {red: {rpm: 6}, blue: {}}
rate_limit_rpm: 20
"""


def test_rolling_back_restores_a_byte_equal_dump(load: Load):
    load(FIRST)
    wanted, number = dumped(), current_revision()
    load(SECOND, prune=True)
    load("rate_limit_rpm: 30")
    Provider.objects.create(name="d", kind="openai", base_url="http://10.0.0.4")
    later = dumped()

    made = roll_back(number)

    assert dumped() == wanted
    assert made == current_revision()
    assert roll_back(made - 1) == made + 1
    assert dumped() == later


def test_rolling_back_to_the_beginning_leaves_nothing(load: Load):
    empty = dumped()
    load(FIRST)
    roll_back(0)

    assert dumped() == empty
    assert not Provider.objects.exists()


def test_rows_keep_their_numbers_so_that_their_history_stays_theirs(load: Load):
    load(FIRST)
    before = dict(Deployment.objects.values_list("pk", "model"))
    number = current_revision()
    load("providers: []", prune=True)
    roll_back(number)

    assert dict(Deployment.objects.values_list("pk", "model")) == before


def test_a_stored_secret_comes_back_and_is_shown_nowhere(load: Load):
    load(FIRST)
    credential = Credential(provider=Provider.objects.get(name="b"), name="typed")
    credential.store("sk-typed-by-hand")
    credential.save()
    number = current_revision()
    Provider.objects.all().delete()

    roll_back(number)

    assert Credential.objects.get(name="typed").reveal() == "sk-typed-by-hand"
    assert Provider.objects.get(name="a").headers == {"X-Secret": "s3cret-header"}
    everything = str(list(ConfigurationRevision.objects.values("changes", "difference", "undo")))
    assert "sk-typed-by-hand" not in everything
    assert "s3cret-header" not in everything


def test_rolling_back_never_brings_a_withdrawn_key_back(load: Load):
    load("api_keys: [a-key-from-the-file]")
    number = current_revision()
    load("api_keys: []", prune=True)
    roll_back(number)

    assert not ApiKey.objects.get().enabled


def test_money_already_spent_stays_spent(load: Load):
    load("teams: {red: {budgets: [{usd: 10}]}}")
    number = current_revision()
    BudgetPeriod.objects.create(budget=Budget.objects.get(), period="2026-07", spent_nano_usd=5)
    load("teams: {red: {budgets: [{usd: 99}]}}")
    roll_back(number)

    assert Budget.objects.get().amount_nano_usd == 10_000_000_000
    assert BudgetPeriod.objects.get().spent_nano_usd == 5


NAMED = [Team, Provider, ModelAlias, RoutePolicy]


@pytest.mark.parametrize("model", NAMED)
def test_exchanged_names_are_exchanged_back_and_forth(model: type[Team]):
    one, two = model.objects.create(name="one"), model.objects.create(name="two")
    number = current_revision()
    for row, name in ((one, "tmp"), (two, "one"), (one, "two")):
        row.name = name
        row.save()
    exchanged = current_revision()
    roll_back(number)

    assert dict(model.objects.values_list("pk", "name")) == {one.pk: "one", two.pk: "two"}
    difference = ConfigurationRevision.objects.first().difference
    assert [each["fields"]["name"] for each in difference] == [["two", "one"], ["one", "two"]]
    roll_back(exchanged)
    assert dict(model.objects.values_list("pk", "name")) == {one.pk: "two", two.pk: "one"}


@pytest.mark.parametrize("model", NAMED)
def test_a_name_that_another_has_by_now_is_given_back(model: type[Team]):
    one, two = model.objects.create(name="one"), model.objects.create(name="two")
    before = dict(model.objects.values_list("pk", "name"))
    number = current_revision()
    two.delete()
    one.name = "two"
    one.save()
    roll_back(number)

    assert dict(model.objects.values_list("pk", "name")) == before


def test_limits_that_exchanged_their_owners_have_them_back():
    red, blue = Team.objects.create(name="red"), Team.objects.create(name="blue")
    one = Limit.objects.create(scope="team", team=red, requests=1)
    two = Limit.objects.create(scope="team", team=blue, requests=2)
    number = current_revision()
    for row, team in ((one, None), (two, red), (one, blue)):
        row.scope, row.team = "team" if team else "default", team
        row.save()
    roll_back(number)

    assert dict(Limit.objects.values_list("requests", "team__name")) == {1: "red", 2: "blue"}


def test_a_team_that_has_got_keys_is_in_the_way():
    number = current_revision()
    team = Team.objects.create(name="red")
    ApiKey.objects.create(name="k", public_id="x" * 16, digest="00", hint="k", team=team)

    with pytest.raises(RollbackRefused, match="red has API keys"):
        roll_back(number)
    assert Team.objects.exists()


def test_a_revision_that_never_was_is_refused():
    with pytest.raises(CommandError, match="no revision 99"):
        call_command("rollback_config", "99")


def test_a_file_is_one_revision_with_its_name_as_reason(load: Load):
    load(FIRST)
    revision = ConfigurationRevision.objects.get()

    assert revision.source == "file"
    assert revision.reason.endswith("config.yaml")
    assert "created provider a" in revision.changes


def test_a_revision_is_in_one_language_whoever_made_it():
    with override("pt-br"):
        team = Team.objects.create(name="a")
        budget = Budget.objects.create(scope="team", team=team, tokens=5)
        budget.delete()
    assert [change for revision in ConfigurationRevision.objects.order_by("pk") for change in revision.changes] == [
        "created team a", "created budget of a", "deleted budget of a",
    ]  # fmt: skip


def test_a_difference_names_the_fields_with_before_and_after():
    provider = Provider.objects.create(name="a", base_url="http://10.0.0.1", headers={"X-Secret": "s3cret"})
    provider.priority, provider.headers = 7, {"X-Secret": "other"}
    provider.save()

    newest = ConfigurationRevision.objects.first()
    assert newest is not None
    assert newest.changes == ["changed provider a (priority, headers)"]
    assert newest.difference[0]["fields"]["priority"] == [1, 7]
    assert "s3cret" not in str(newest.difference)


def test_what_is_named_after_its_kind_is_told_once():
    Limit.objects.create(scope="default", requests=1)

    newest = ConfigurationRevision.objects.first()
    assert newest is not None
    assert [change.count("limit") for change in newest.changes] == [1]


def test_saving_without_a_change_is_no_revision():
    provider = Provider.objects.create(name="a", base_url="http://10.0.0.1")
    credential = Credential.objects.create(provider=provider, environment_variable="K")
    number = current_revision()
    provider.save()
    credential.last_worked_at = provider.updated_at
    credential.save(update_fields=["last_worked_at"])

    assert current_revision() == number


def test_who_may_call_changes_no_answer():
    def newest_changes_answers() -> bool:
        return ConfigurationRevision.objects.get(pk=current_revision()).changes_answers

    team = Team.objects.create(name="red")
    assert not newest_changes_answers()
    provider = Provider.objects.create(name="a", base_url="http://10.0.0.1")
    assert newest_changes_answers()
    with transaction.atomic():
        Budget.objects.create(scope="team", team=team, amount_nano_usd=1)
        provider.base_url = "http://10.0.0.2"
        provider.save()
    assert newest_changes_answers()
    assert load_table().answers_revision == current_revision()
    Budget.objects.get().delete()
    assert not newest_changes_answers()
    assert load_table().answers_revision == current_revision() - 1


def test_a_page_of_the_admin_is_one_revision_with_its_author(client: Client):
    user = get_user_model().objects.create_superuser("root", password="x")
    client.force_login(user)
    alias = ModelAlias.objects.create(name="smart", targets=["m"])
    page = f"/admin/routing/modelalias/{alias.pk}/change/"
    form = {"name": "smart", "targets": '["n"]', "strategy": "", "fallbacks": "[]", "enabled": "on"}
    client.post(page, form)

    newest = ConfigurationRevision.objects.first()
    assert newest is not None
    if ModelAlias.objects.get().targets == ["n"]:
        assert newest.author == user


def test_several_rows_in_one_transaction_are_one_revision():
    with transaction.atomic():
        provider = Provider.objects.create(name="a", base_url="http://10.0.0.1")
        Deployment.objects.create(provider=provider, model="m")

    assert ConfigurationRevision.objects.count() == 1
    assert len(ConfigurationRevision.objects.get().changes) == 2


def test_a_transaction_that_fails_leaves_no_revision_and_harms_no_later_one():
    def fails() -> None:
        with transaction.atomic():
            Provider.objects.create(name="a", base_url="http://10.0.0.1")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    Provider.objects.create(name="b", base_url="http://10.0.0.1")

    assert [revision.changes for revision in ConfigurationRevision.objects.all()] == [["created provider b"]]


def test_nested_changes_join_the_outermost_revision(load: Load):
    with one_revision(source="discovery", reason="outer"):
        load("rate_limit_rpm: 5")
        Provider.objects.create(name="b", base_url="http://10.0.0.1")

    revision = ConfigurationRevision.objects.get()
    assert (revision.source, len(revision.changes)) == ("discovery", 2)


def test_a_change_that_failed_leaves_no_claim_on_the_number_it_had():
    """SQLite gives the number of a revision that was rolled back to the next one, which may be another process's."""
    with transaction.atomic():
        ModelAlias.objects.create(name="failed", targets=["m"])
        lost = current_revision()
        transaction.set_rollback(True)
    assert current_revision() < lost
    others = ConfigurationRevision.objects.create(pk=lost, changes=["somebody else's"])

    with transaction.atomic():
        ModelAlias.objects.create(name="later", targets=["m"])

    others.refresh_from_db()
    assert others.changes == ["somebody else's"]
    assert ConfigurationRevision.objects.latest("pk").changes == ["created model alias later"]
