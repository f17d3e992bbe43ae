"""The pages of keys, limits, budgets, prices and the ledger, through Django's test client."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import keys
from accounts.admin.allowance import almost_spent, spent_percent
from accounts.budget_spending import with_spending
from accounts.models import ApiKey, Budget, BudgetPeriod, Limit, Price, Team, UsageRecord
from accounts.periods import period_of
from accounts.provisioning import KeyOrder, create_key

pytestmark = pytest.mark.django_db
TOKEN = re.compile(r"llmp-[0-9a-f]{16}-[A-Za-z0-9_-]{43}")
USD = 1_000_000_000


def add(client: Client, what: str, **fields: object) -> str:
    answer = client.post(reverse(f"admin:accounts_{what}_add"), fields)
    return answer.content.decode()


def listed(client: Client, model: str, query: str = "") -> str:
    answer = client.get(reverse(f"admin:accounts_{model}_changelist") + query)
    assert answer.status_code == 200
    return answer.content.decode()


def matches(key: ApiKey, token: str, pepper: str) -> bool:
    return keys.digest(token, pepper.encode()).hex() == key.digest


def test_a_new_key_is_shown_once_with_its_limits_and_budget(admin_client: Client, settings: object) -> None:
    team = Team.objects.create(name="Shop")
    answer = admin_client.post(
        reverse("admin:accounts_apikey_add"),
        {
            "name": "checkout", "team": team.pk, "scopes": ["completions"], "requests_per_minute": 60,
            "budget_usd": "50", "period": "month", "allowed_models": "gpt-4o*, claude", "tags": "",
        },
    )  # fmt: skip
    assert "no-store" in answer["Cache-Control"]
    token = TOKEN.findall(answer.content.decode())[0]
    key = ApiKey.objects.get()
    assert matches(key, token, settings.KEY_PEPPER)  # type: ignore[attr-defined]
    assert (key.team, key.allowed_models) == (team, ["gpt-4o*", "claude"])
    assert key.limit.requests == 60
    assert key.budgets.get().amount_nano_usd == 50 * USD
    later = admin_client.get(reverse("admin:accounts_apikey_change", args=[key.pk])).content.decode()
    for text in (later, listed(admin_client, "apikey")):
        assert token not in text
        assert key.digest not in text
        assert f"…{key.hint}" in text


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("allowed_models", "gpt-4o mini", "these have no spaces"),
        ("allowed_networks", "10.0.0.0/99", "is not an address or a CIDR range"),
        ("expires_at_0", "2001-01-01", "This moment has passed"),
        ("scopes", "everything", "Select a valid choice"),
        ("budget_usd", "a lot", "Enter a number"),
        ("budget_usd", "1000000001", "less than or equal to 1000000000"),
        ("requests_per_minute", "9" * 20, "less than or equal to 2147483647"),
        ("tokens_per_minute", "9" * 20, "less than or equal to 9000000000000000"),
        ("concurrency", "9" * 20, "less than or equal to 2147483647"),
    ],
)
def test_mistakes_make_no_key(admin_client: Client, field: str, value: str, complaint: str) -> None:
    fields = {"name": "k", "scopes": ["completions"], "period": "month", "expires_at_1": "00:00:00", field: value}
    if field != "expires_at_0":
        fields.pop("expires_at_1")
    assert complaint in add(admin_client, "apikey", **fields)
    assert not ApiKey.objects.exists()


def test_rotating_shows_the_new_secret_and_keeps_the_old_for_a_while(admin_client: Client, settings: object) -> None:
    issued = create_key(KeyOrder(name="k"))
    address = reverse("admin:accounts_apikey_rotate", args=[issued.key.pk])
    assert "The present secret works" in admin_client.get(address).content.decode()
    token = TOKEN.findall(admin_client.post(address, {"hours": 24}).content.decode())[0]
    key = ApiKey.objects.get()
    assert matches(key, token, settings.KEY_PEPPER)  # type: ignore[attr-defined]
    assert token != issued.token
    assert key.previous_expires_at is not None
    assert key.previous_expires_at > timezone.now() + timedelta(hours=23)


def test_looking_at_the_question_changes_nothing(admin_client: Client) -> None:
    key = create_key(KeyOrder(name="k")).key
    for action in ("rotate", "revoke"):
        admin_client.get(reverse(f"admin:accounts_apikey_{action}", args=[key.pk]))
    same = ApiKey.objects.get()
    assert (same.digest, same.revoked_at) == (key.digest, None)


def test_what_is_wrong_with_a_list_is_said_in_the_readers_language(admin_client: Client) -> None:
    typed = {
        "name": "k",
        "scopes": "completions",
        "period": "month",
        "allowed_networks": "10.0.0.0/99",
        "allowed_models": "a b",
    }
    answer = admin_client.post(reverse("admin:accounts_apikey_add"), typed, headers={"accept-language": "pt-br"})
    for words in ("&#x27;10.0.0.0/99&#x27; não é um endereço", "&#x27;a b&#x27; não é um nome"):
        assert words in answer.content.decode()


def test_revoking_is_for_good(admin_client: Client) -> None:
    key = create_key(KeyOrder(name="k")).key
    admin_client.post(reverse("admin:accounts_apikey_revoke", args=[key.pk]))
    assert ApiKey.objects.get().revoked_at is not None
    answer = admin_client.post(reverse("admin:accounts_apikey_rotate", args=[key.pk]), {"hours": 24}, follow=True)
    assert "revoked already" in answer.content.decode()
    assert ApiKey.objects.get().digest == key.digest


def test_keys_of_a_file_are_left_alone(admin_client: Client) -> None:
    key = create_key(KeyOrder(name="k", managed_by="file")).key
    admin_client.post(reverse("admin:accounts_apikey_revoke", args=[key.pk]))
    listing = {"action": "revoke_selected", "_selected_action": [key.pk]}
    admin_client.post(reverse("admin:accounts_apikey_changelist"), listing)
    assert ApiKey.objects.get().revoked_at is None


def test_the_list_tells_keys_by_their_state(admin_client: Client) -> None:
    now = timezone.now()
    create_key(KeyOrder(name="soon-gone", expires_at=now + timedelta(days=3)))
    gone = create_key(KeyOrder(name="gone")).key
    ApiKey.objects.filter(pk=gone.pk).update(expires_at=now - timedelta(days=1))
    create_key(KeyOrder(name="lasting"))
    assert "soon-gone" in listed(admin_client, "apikey", "?state=soon")
    assert "lasting" not in listed(admin_client, "apikey", "?state=soon")
    assert ">expired<" in listed(admin_client, "apikey", "?state=expired")

    off = create_key(KeyOrder(name="of a team that is off", team="off")).key
    Team.objects.filter(pk=off.team_id).update(enabled=False)
    assert off.name in listed(admin_client, "apikey", "?state=disabled")
    assert "lasting" not in listed(admin_client, "apikey", "?state=disabled")
    active = listed(admin_client, "apikey", "?state=active")
    assert off.name not in active
    tiles = {tile.label: tile.value for tile in admin_client.get(reverse("admin:index")).context["tiles"]}
    assert tiles["API keys"] == "2", "as many as the list says"
    assert "lasting" in active
    assert "soon-gone" in active


@pytest.mark.parametrize("language", ["en", "pt-br"])
def test_when_a_key_was_used_is_told_with_its_zone(admin_client: Client, language: str) -> None:
    key = create_key(KeyOrder(name="used")).key
    ApiKey.objects.filter(pk=key.pk).update(last_used_at=datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC))
    for name, rows in (("changelist", []), ("change", [key.pk])):
        page = admin_client.get(
            reverse(f"admin:accounts_apikey_{name}", args=rows), headers={"accept-language": language}
        )
        assert "2026-03-04 05:06 UTC" in page.content.decode()


def test_an_empty_list_is_not_said_to_be_filtered(admin_client: Client) -> None:
    assert "Nothing is listed here yet." in listed(admin_client, "price")
    assert "Nothing matches." in listed(admin_client, "price", "?q=nothing")


def test_a_limit_needs_a_number_and_drops_the_owner_it_does_not_have(admin_client: Client) -> None:
    team = Team.objects.create(name="Shop")
    fields = {"scope": "default", "team": team.pk, "requests_window_s": 60, "tokens_window_s": 60}
    assert "Set at least one of" in add(admin_client, "limit", **fields)
    add(admin_client, "limit", **fields, requests=100)
    assert Limit.objects.get().team is None


def test_an_amount_that_is_mistyped_is_not_also_called_missing(admin_client: Client) -> None:
    text = add(admin_client, "budget", scope="all", period="month", on_unknown_price="refuse", amount_nano_usd="$5")
    assert "Enter a number" in text
    assert "needs an amount of money" not in text
    text = add(admin_client, "limit", scope="default", requests="many", requests_window_s=60, tokens_window_s=60)
    assert "Enter a whole number" in text
    assert "Set at least one of" not in text
    assert not Budget.objects.exists()
    assert not Limit.objects.exists()


def test_a_second_default_limit_is_refused_in_words(admin_client: Client) -> None:
    Limit.objects.create(scope="default", requests=1)
    text = add(admin_client, "limit", scope="default", requests=2, requests_window_s=60, tokens_window_s=60)
    assert Limit.objects.count() == 1
    assert "There is a limit for every key already: change that one." in text
    assert "accounts_limit_one_default" not in text


def test_a_budget_is_entered_in_dollars_and_shows_what_is_spent(admin_client: Client) -> None:
    add(
        admin_client,
        "budget",
        scope="all",
        amount_nano_usd="200",
        period="month",
        on_unknown_price="refuse",
        enabled="on",
    )
    budget = Budget.objects.get()
    assert budget.amount_nano_usd == 200 * USD
    this_month = period_of("month", timezone.now().timestamp())[0]
    BudgetPeriod.objects.create(budget=budget, period=this_month, spent_nano_usd=170 * USD)
    BudgetPeriod.objects.create(budget=budget, period="2001-01", spent_nano_usd=1 * USD)
    text = listed(admin_client, "budget")
    assert "$170.00" in text
    assert "85 %" in text
    assert "almost used up" in text


@pytest.mark.parametrize(
    ("amount", "tokens", "spent_usd", "spent_tokens", "percent"),
    [
        (100 * USD, None, 79 * USD, 0, 79),
        (100 * USD, None, 80 * USD, 0, 80),
        (None, 1000, 0, 801, 80),
        (0, None, 0, 0, 100),
    ],
)
def test_a_budget_is_almost_spent_from_four_fifths_on(
    amount: int | None, tokens: int | None, spent_usd: int, spent_tokens: int, percent: int
) -> None:
    budget = Budget.objects.create(scope="all", amount_nano_usd=amount, tokens=tokens)
    this_month = period_of("month", timezone.now().timestamp())[0]
    BudgetPeriod.objects.create(budget=budget, period=this_month, spent_nano_usd=spent_usd, spent_tokens=spent_tokens)
    assert spent_percent(with_spending(Budget.objects.all()).get()) == percent
    assert almost_spent(Budget.objects.all()).exists() == (percent >= 80 and amount != 0)


@pytest.mark.parametrize("period", ["day", "month"])
def test_what_was_spent_before_a_budgets_period_was_changed_is_not_shown(period: str) -> None:
    budget = Budget.objects.create(scope="all", amount_nano_usd=100 * USD, period=period)
    other = period_of("month" if period == "day" else "day", timezone.now().timestamp())[0]
    BudgetPeriod.objects.create(budget=budget, period=other, spent_nano_usd=500 * USD)
    assert spent_percent(with_spending(Budget.objects.all()).get()) == 0
    assert not almost_spent(Budget.objects.all()).exists()


def test_a_price_is_entered_in_dollars_per_million_tokens(admin_client: Client) -> None:
    add(
        admin_client, "price", model="gpt-4o*", input_nano_usd="2.5", output_nano_usd="10",
        effective_from_0="2026-01-01", effective_from_1="00:00:00",
    )  # fmt: skip
    price = Price.objects.get()
    assert (price.input_nano_usd, price.output_nano_usd, price.reasoning_nano_usd) == (2_500_000_000, 10 * USD, None)


# ------------------------------------------------------------------------------------------------------------ the ledger


def add_usage(request_id: str, **fields: object) -> UsageRecord:
    row = {
        "call_id": request_id, "attempt": 1, "request_id": request_id, "created_at": timezone.now(),
        "usage_source": "provider", "status": 200, "model": "gpt-4o", "provider": "openai",
    }  # fmt: skip
    return UsageRecord.objects.create(**{**row, **fields})


def test_the_ledger_is_listed_without_counting_it(admin_client: Client, django_assert_max_num_queries: object) -> None:
    key = create_key(KeyOrder(name="checkout", team="Shop")).key
    for number in range(60):
        add_usage(f"req_{number}", key_id=key.pk, team_id=key.team_id)
    with django_assert_max_num_queries(8) as captured:  # type: ignore[operator]
        text = listed(admin_client, "usagerecord")
    assert not [query for query in captured.captured_queries if "COUNT(" in query["sql"]]
    assert "checkout / Shop" in text
    assert "req_59" in text
    assert "req_9<" not in text
    assert "9999999999" not in text, "the number that stands for an end that nobody knows"
    assert "req_9<" in listed(admin_client, "usagerecord", "?p=2")


def test_a_row_of_the_ledger_is_told_in_words(admin_client: Client) -> None:
    key = create_key(KeyOrder(name="checkout", team="Shop")).key
    row = add_usage("req/ä", key_id=key.pk, team_id=key.team_id, cost_nano_usd=186_000, cached_tokens=1_234)
    text = admin_client.get(reverse("admin:accounts_usagerecord_change", args=[row.pk])).content.decode()
    for words in (
        "checkout / Shop",
        "$0.000186",
        "1,234 / 0 / 0",
        'href="/dashboard/requests/req%2F%C3%A4/"',
        str(row.call_id),
    ):
        assert words in text
    assert "nano usd" not in text.lower()


def test_the_history_of_a_row_has_no_reason_where_none_was_given(admin_client: Client) -> None:
    team = Team.objects.create(name="Shop")
    text = admin_client.get(reverse("admin:accounts_team_history", args=[team.pk])).content.decode()
    assert re.search(r'data-label="Change reason">\s*–\s*</td>', text)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?q=req_a", {"req_a"}), ("?q=req_", set()), ("?q=key:checkout", {"req_a"}), ("?q=team:Shop", {"req_a"}),
        ("?q=model:claude", {"req_b"}), ("?q=provider:openai", {"req_a"}), ("?outcome=failed", {"req_b"}),
        ("?outcome=unpriced", {"req_b"}), ("?span=hour", {"req_a"}), ("?q=key:nobody", set()),
    ],
)  # fmt: skip
def test_the_ledger_is_searched_by_what_has_an_index(admin_client: Client, query: str, found: set[str]) -> None:
    key = create_key(KeyOrder(name="checkout", team="Shop")).key
    add_usage("req_a", key_id=key.pk, team_id=key.team_id, cost_nano_usd=5)
    yesterday = timezone.now() - timedelta(days=1)
    add_usage("req_b", model="claude", provider="anthropic", status=502, created_at=yesterday)
    text = listed(admin_client, "usagerecord", query)
    assert {name for name in ("req_a", "req_b") if f">{name}<" in text} == found


def test_nobody_can_change_the_ledger(admin_client: Client) -> None:
    row = add_usage("req_a")
    change = reverse("admin:accounts_usagerecord_change", args=[row.pk])
    assert admin_client.get(change).status_code == 200
    assert admin_client.post(change, {"cost_nano_usd": 0}).status_code == 403
    assert admin_client.post(reverse("admin:accounts_usagerecord_delete", args=[row.pk])).status_code == 403
