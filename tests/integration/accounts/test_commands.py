"""Keys and old usage from the command line and on schedule."""

import json
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from accounts import keys
from accounts.admin.key import key_state
from accounts.models import ApiKey, Budget, IdempotencyRecord, Team, UsageHourly, UsageRecord
from accounts.provisioning import KeyOrder, create_key
from accounts.tasks import forget_old

pytestmark = pytest.mark.django_db

PEPPER = settings.KEY_PEPPER.encode()


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def test_a_rotated_key_has_a_new_secret_and_keeps_the_old_one_for_a_while():
    issued = create_key(KeyOrder(name="ci"))
    shown = json.loads(run("rotate_api_key", issued.key.public_id, "--overlap-hours", "2", "--json"))

    row = ApiKey.objects.get()
    assert keys.digest(shown["key"], PEPPER).hex() == row.digest
    assert keys.digest(issued.token, PEPPER).hex() == row.previous_digest
    assert timedelta(hours=1.9) < row.previous_expires_at - timezone.now() <= timedelta(hours=2)
    assert "only time" in run("rotate_api_key", "ci")


def test_a_revoked_key_is_listed_as_such_and_its_older_secret_is_gone():
    issued = create_key(KeyOrder(name="ci", team="t"))
    run("rotate_api_key", "ci")
    run("revoke_api_key", "ci")

    row = ApiKey.objects.get()
    assert row.revoked_at is not None
    assert row.previous_digest == ""
    (listed,) = json.loads(run("list_api_keys", "--json"))
    assert (listed["id"], listed["state"], listed["team"]) == (issued.key.public_id, "revoked", "t")
    assert "never" in run("list_api_keys")


def test_a_key_whose_team_is_off_is_shown_as_what_it_is():
    key = create_key(KeyOrder(name="ci", team="t")).key
    assert (json.loads(run("list_api_keys", "--json"))[0]["state"], key_state(key)[0]) == ("active", "ok")
    Team.objects.update(enabled=False)
    key = ApiKey.objects.get()
    assert (json.loads(run("list_api_keys", "--json"))[0]["state"], key_state(key)[0]) == ("disabled", "idle")


def test_revoking_answers_in_json_when_asked():
    issued = create_key(KeyOrder(name="ci"))
    shown = json.loads(run("revoke_api_key", "ci", "--json"))
    revoked_at = ApiKey.objects.get().revoked_at
    assert shown == {"id": issued.key.public_id, "name": "ci", "revoked_at": revoked_at.isoformat()}


def test_a_revoked_key_gets_no_new_secret():
    issued = create_key(KeyOrder(name="ci"))
    run("revoke_api_key", "ci")
    with pytest.raises(CommandError, match="revoked"):
        run("rotate_api_key", "ci")
    row = ApiKey.objects.get()
    assert (row.digest, row.previous_digest, row.previous_expires_at) == (issued.key.digest, "", None)


def test_options_that_repeat_add_up():
    shown = json.loads(
        run("create_api_key", "ci", "--scope", "read", "--scope", "admin,read", "--model", "a", "--model", "b*,c, a",
            "--allow-ip", "10.0.0.0/8", "--allow-ip", "::1", "--json")
    )  # fmt: skip
    row = ApiKey.objects.get()
    assert shown["scopes"] == row.scopes == ["read", "admin"]
    assert (row.allowed_models, row.allowed_networks) == (["a", "b*", "c"], ["10.0.0.0/8", "::1"])
    assert json.loads(run("create_api_key", "plain", "--json"))["scopes"] == ["completions"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--scope", ""], "--scope: name at least one of completions, read, admin"),
        (["--scope", "root"], "--scope: 'root' is not a scope"),
        (["--allow-ip", "10.0.0.0/99"], "--allow-ip: '10.0.0.0/99' is not"),
        (["--model", ""], "--model: name at least one model or pattern"),
        (["--model", "a b"], "--model: 'a b' is not a model name or pattern: these have no spaces."),
        (["--team", "t" * 101], "--team: Ensure this value has at most 100 characters"),
        (["--expires", "2020-01-01"], "--expires: This moment has passed; the key would be refused at once."),
        (["--expires", "9999-12-31T23:00-10:00"], "--expires: '9999-12-31T23:00-10:00' is not a date"),
        (["--budget-usd", "0.0000000001"], "--budget-usd: '0.0000000001' is not an amount in USD of at least 0, with"),
        (["--budget-usd", "1e999999"], "--budget-usd: '1e999999' is not an amount"),
        (["--budget-usd", "nan"], "--budget-usd: 'nan' is not an amount"),
        (["--budget-tokens", "0"], "--budget-tokens: '0' is not a whole number from 1 to 9000000000000000"),
        (["--rpm", "9" * 20], f"--rpm: '{'9' * 20}' is not a whole number from 1 to 2147483647"),
        (["--tpm", "1.5"], "--tpm: '1.5' is not a whole number from 1 to 9000000000000000"),
        (["--max-concurrency", "9" * 5000], "is not a whole number from 1 to 2147483647"),
    ],
)
def test_an_option_that_cannot_be_meant_is_refused_by_its_name_and_makes_no_key(arguments: list[str], said: str):
    with pytest.raises(CommandError) as refused:
        run("create_api_key", "ci", *arguments)
    assert said in str(refused.value)
    assert not ApiKey.objects.exists()
    assert not Team.objects.exists()


def test_a_report_whose_end_comes_before_its_beginning_is_refused():
    with pytest.raises(CommandError, match=r"--from must be before --to"):
        run("usage_report", "--from", "2026-02-01", "--to", "2026-01-01")


@pytest.mark.parametrize("arguments", [("--to", "0001-01-05"), ("--from", "2026-01-01", "--to", "9999-12-31")])
def test_a_report_reaches_to_the_ends_of_time(arguments: tuple[str, ...]):
    assert json.loads(run("usage_report", *arguments, "--json"))["data"] == []


@pytest.mark.parametrize(("by", "name"), [("team", "(no team)"), ("key", "(no key)"), ("provider", "(none)")])
def test_a_report_names_what_calls_without_a_team_a_key_or_a_provider_are_summed_under(by: str, name: str):
    UsageHourly.objects.create(start_at=datetime(2026, 1, 2, 3, tzinfo=UTC), model="m", requests=1)
    span = ("--from", "2026-01-02", "--to", "2026-01-02T12:00Z")
    assert json.loads(run("usage_report", "--by", by, *span, "--json"))["data"][0]["name"] == name
    assert name in run("usage_report", "--by", by, *span)


def test_a_budget_keeps_every_digit():
    run(
        "create_api_key",
        "ci",
        "--budget-usd",
        "0.000000001",
        "--budget-tokens",
        "9000000000000000",
        "--rpm",
        "2147483647",
    )
    budget = Budget.objects.get()
    assert (budget.amount_nano_usd, budget.tokens) == (1, 9 * 10**15)


@pytest.mark.parametrize("hours", ["999999999", "-1", "nan", "720.1", "soon"])
def test_two_secrets_are_good_for_thirty_days_at_most(hours: str):
    issued = create_key(KeyOrder(name="ci"))
    with pytest.raises(CommandError, match=f"'{hours}' is not a number of hours from 0 to 720"):
        run("rotate_api_key", "ci", f"--overlap-hours={hours}")
    assert ApiKey.objects.get().digest == issued.key.digest
    run("rotate_api_key", "ci", "--overlap-hours", "720")
    assert ApiKey.objects.get().previous_expires_at > timezone.now() + timedelta(days=29)


def test_no_command_guesses_which_key_is_meant():
    for _ in range(2):
        create_key(KeyOrder(name="twin"))
    for name in ("twin", "nobody"):
        with pytest.raises(CommandError):
            run("revoke_api_key", name)


def test_a_key_that_was_found_somewhere_is_revoked_as_it_stands_and_never_said_again():
    issued, unknown = create_key(KeyOrder(name="leaked")), keys.new_key(PEPPER).token
    run("revoke_api_key", issued.token)
    assert ApiKey.objects.get().revoked_at is not None
    with pytest.raises(CommandError, match="No key is called") as refused:
        run("revoke_api_key", unknown)
    assert unknown not in str(refused.value)


def test_a_secret_from_a_configuration_file_is_changed_there():
    fresh = keys.free_form_key("chosen-by-somebody", PEPPER)
    ApiKey.objects.create(public_id=fresh.public_id, digest=fresh.digest, hint=fresh.hint, name="file")
    with pytest.raises(CommandError, match="configuration file"):
        run("rotate_api_key", "file")


def test_old_rows_are_forgotten_on_schedule(settings):
    settings.USAGE_RETENTION_DAYS = 30
    now = timezone.now()
    for days in (1, 31):
        UsageRecord.objects.create(
            call_id=str(days), attempt=1, request_id="r", created_at=now - timedelta(days=days), status=200,
            usage_source="provider",
        )  # fmt: skip
        IdempotencyRecord.objects.create(
            key_id=1,
            idempotency_key=str(days),
            body_hash="",
            request_id="r",
            expires_at=now + timedelta(days=30 - days),
        )
        Session.objects.create(
            session_key=f"of day {days}", session_data="", expire_date=now + timedelta(days=30 - days)
        )
    schedule = PeriodicTask.objects.get(task="accounts.forget_old")
    assert schedule.enabled

    assert forget_old() == {"usage": 1, "idempotency": 1, "sessions": 1}
    assert Session.objects.get().session_key == "of day 1"
    assert forget_old() == {"usage": 0, "idempotency": 0, "sessions": 0}
    settings.USAGE_RETENTION_DAYS = 0
    UsageRecord.objects.update(created_at=now - timedelta(days=4000))
    assert forget_old()["usage"] == 0
