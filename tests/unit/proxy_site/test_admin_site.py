"""The admin as a whole: every page opens, home says what needs attention, words are translated."""

import gettext
import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.templatetags.admin_list import result_headers
from django.test import Client
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.translation.trans_real import translation
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask

from accounts.models import Budget, BudgetPeriod, UsageHourly, UsageRecord
from accounts.periods import period_of
from accounts.provisioning import KeyOrder, create_key
from monitoring.models import HealthState
from providers.models import Credential, Deployment, Provider

HTML = {"headers": {"accept": "text/html,*/*"}}
PORTUGUESE = {"headers": {"accept": "text/html", "accept-language": "pt-BR,pt;q=0.9,en;q=0.5"}}
PO = Path(settings.BASE_DIR) / "locale/pt_BR/LC_MESSAGES/django.po"
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)


def provider(name: str, **fields: object) -> Provider:
    return Provider.objects.create(**{"name": name, "base_url": "http://127.0.0.1:9/v1", **fields})


def home(client: Client) -> str:
    answer = client.get(reverse("admin:index"))
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("page", ["changelist", "add"])
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_every_registered_page_opens_in_our_look(admin_client: Client, model: type, page: str) -> None:
    try:
        address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}")  # type: ignore[attr-defined]
    except NoReverseMatch:
        return
    answer = admin_client.get(address, follow=True)
    if answer.status_code == 403:
        assert page == "add"
        return
    assert answer.status_code == 200
    text = answer.content.decode()
    assert "css/admin.css" in text
    assert "unfold/css/styles.css" in text
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', text)


def test_every_admin_of_ours_and_others_takes_part_in_the_look() -> None:
    from unfold.admin import ModelAdmin

    assert [model._meta.label for model, page in admin.site._registry.items() if not isinstance(page, ModelAdmin)] == []


@pytest.mark.django_db
def test_home_names_what_needs_attention_and_the_link_that_helps(admin_client: Client) -> None:
    now = timezone.now()
    keyless = provider("keyless", kind="anthropic")
    Deployment.objects.create(provider=keyless, model="m")
    provider("modelless")
    Credential.objects.create(provider=keyless, name="unset", environment_variable="NO_SUCH_VARIABLE", enabled=False)
    Credential.objects.create(provider=provider("variable"), environment_variable="NO_SUCH_VARIABLE")
    key = create_key(KeyOrder(name="expiring", expires_at=now + timedelta(days=2, hours=1))).key
    create_key(KeyOrder(name="almost gone", expires_at=now + timedelta(hours=5)))
    budget = Budget.objects.create(name="lunch money", scope="all", amount_nano_usd=100)
    BudgetPeriod.objects.create(budget=budget, period=period_of("month", now.timestamp())[0], spent_nano_usd=90)
    HealthState.objects.create(
        provider=keyless, status="unhealthy", cause="All connection attempts failed", since=now, last_check_at=now,
        fresh_until=now, updated_at=now,
    )  # fmt: skip
    text = home(admin_client)
    for words in (
        "keyless has no key", "modelless serves no models", "variable needs the environment variable NO_SUCH_VARIABLE",
        "The key expiring expires in 2 days", "The key almost gone expires within a day",
        "90 % of the lunch money is used", "keyless is unhealthy: connection refused or no route",
    ):  # fmt: skip
        assert words in text
    assert reverse("admin:providers_provider_wizard_connection", args=[keyless.pk]) in text
    assert reverse("admin:accounts_apikey_change", args=[key.pk]) in text
    assert reverse("dashboard_provider", args=[keyless.pk]) in text


@pytest.mark.django_db
def test_home_says_how_many_it_does_not_name(admin_client: Client) -> None:
    for number in range(5):
        provider(f"bare{number}")
    assert "more like" not in home(admin_client)
    provider("bare5")
    provider("bare6")
    text = home(admin_client)
    assert text.count("serves no models") == 5
    assert "2 more like the one above." in text


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "said"), [("", "Please correct the errors below."), ("x", "Please correct the error below.")]
)
def test_one_mistake_and_several_are_told_apart(admin_client: Client, name: str, said: str) -> None:
    answer = admin_client.post(reverse("admin:routing_modelalias_add"), {"name": name})
    assert said in answer.content.decode()


@pytest.mark.django_db
def test_health_in_the_list_of_providers_leads_to_how_it_was(admin_client: Client) -> None:
    now, row = timezone.now(), provider("ill")
    HealthState.objects.create(
        provider=row, status="unhealthy", cause="All connection attempts failed", since=now, last_check_at=now,
        fresh_until=now, updated_at=now,
    )  # fmt: skip
    page = admin_client.get(reverse("admin:providers_provider_changelist")).content.decode()
    assert f'<a href="/dashboard/providers/{row.pk}/" title="connection refused or no route">' in page


@pytest.mark.django_db
def test_a_list_is_titled_as_its_heading(admin_client: Client) -> None:
    page = admin_client.get(reverse("admin:providers_provider_changelist"), **HTML).content.decode()
    assert re.search(r"<title>\s*Providers \| LLM Proxy API", page)


@pytest.mark.django_db
def test_home_shows_the_first_steps_until_there_is_a_provider(admin_client: Client) -> None:
    assert "Add your first provider" in home(admin_client)
    Deployment.objects.create(provider=provider("own"), model="m")
    text = home(admin_client)
    assert "Add your first provider" not in text
    assert "Nothing. All that is configured looks as it should." in text


@pytest.mark.django_db
def test_the_demo_is_labelled_while_it_stands_alone(admin_client: Client) -> None:
    provider("demo", source="demo")
    assert "DEMO provider only" in home(admin_client)
    provider("own")
    assert "DEMO provider only" not in home(admin_client)


@pytest.mark.django_db
def test_staff_without_rights_sees_nothing_of_keys_and_budgets(client: Client, django_user_model: type) -> None:
    create_key(KeyOrder(name="secretive", expires_at=timezone.now() + timedelta(days=1)))
    client.force_login(django_user_model.objects.create_user("reader", is_staff=True))  # type: ignore[attr-defined]
    text = home(client)
    assert "secretive" not in text
    assert reverse("admin:accounts_apikey_changelist") not in text


# ---------------------------------------------------------------------------------------------------------- languages


@pytest.mark.django_db
def test_the_admin_speaks_brazilian_portuguese(admin_client: Client) -> None:
    text = admin_client.get(reverse("admin:index"), **PORTUGUESE).content.decode()
    assert 'lang="pt-br"' in text
    for words in ("Precisa de atenção", "Provedores", "Chaves de API", "Orçamentos"):
        assert words in text


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("model", "english", "portuguese"),
    [
        ("routing_configurationrevision", {"created at", "source", "reason"}, {"horário (UTC)", "origem", "motivo"}),
        ("accounts_usagerecord", {"request id"}, {"requisição"}),
        ("providers_deployment", {"provider"}, {"provedor"}),
    ],
)
def test_headings_of_lists_speak_portuguese(
    admin_client: Client, model: str, english: set[str], portuguese: set[str]
) -> None:
    """A heading that is the bare name of a field is nobody's text to translate."""
    Deployment.objects.create(provider=provider("own"), model="m")
    UsageRecord.objects.create(
        call_id="call", request_id="req_1", attempt=1, final=True, status=200, created_at=timezone.now()
    )
    list_page = admin_client.get(reverse(f"admin:{model}_changelist"), **PORTUGUESE)
    headings = {str(each["text"]).lower() for each in result_headers(list_page.context["cl"])}
    assert portuguese <= {each.replace("utc", "UTC") for each in headings}
    assert not english & headings


@pytest.mark.django_db
def test_labels_and_filters_speak_portuguese_where_the_catalogue_does(admin_client: Client) -> None:
    for name in ("first", "second"):
        Credential.objects.create(provider=provider(name), environment_variable="OWN_KEY")
    catalogue = translation("pt-br")
    left_in_english = []
    ours = [model for model in MODELS if model._meta.app_label in ("accounts", "monitoring", "providers", "routing")]
    for model in ours:
        for page in ("changelist", "add"):
            address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}")
            context = admin_client.get(address, **PORTUGUESE).context or {}
            shown = [each.title for each in context["cl"].filter_specs] if "cl" in context else []
            if "adminform" in context:
                shown += [field.label for field in context["adminform"].form.fields.values() if field.label]
            words = [str(each)[:1].lower() + str(each)[1:] for each in shown]
            left_in_english += [(address, word) for word in words if catalogue.gettext(word) != word]
    assert left_in_english == []


@pytest.mark.django_db
@pytest.mark.parametrize("model", ["periodictask", "intervalschedule", "crontabschedule", "clockedschedule"])
def test_the_forms_of_schedules_speak_portuguese(admin_client: Client, model: str) -> None:
    """Their library does not."""
    address = reverse(f"admin:django_celery_beat_{model}_add")

    def words(headers: dict[str, object]) -> set[str]:
        form = admin_client.get(address, **headers).context["adminform"].form
        return {str(text) for field in form.fields.values() for text in (field.label, field.help_text) if text}

    english = words(HTML)
    assert english
    assert english & words(PORTUGUESE) == set()


@pytest.mark.django_db
def test_a_schedule_that_is_wrong_says_so_at_its_field(admin_client: Client) -> None:
    address = reverse("admin:django_celery_beat_periodictask_add")
    form = {"name": "mine", "regtask": "monitoring.roll_up", "args": "[", "kwargs": "{}"}

    def errors(**fields: object) -> dict[str, list[str]]:
        answer = admin_client.post(address, {**form, **fields})
        return dict(answer.context["adminform"].form.errors) if answer.status_code == 200 else {}

    assert errors() == {"args": ["Enter a valid JSON."], "interval": ["Choose one of interval, crontab and date."]}
    every = IntervalSchedule.objects.create(every=7, period="days").pk
    at = ClockedSchedule.objects.create(clocked_time=timezone.now()).pk
    assert list(errors(args="[]", interval=every, clocked=at)) == ["clocked"]
    assert list(errors(args="[]", clocked=at)) == ["one_off"]
    assert list(errors(args="[]", interval=every, regtask="")) == ["regtask"]
    assert errors(args="[]", interval=every) == {}
    assert PeriodicTask.objects.get(name="mine").task == "monitoring.roll_up"
    assert list(errors(args="[]", interval=every)) == ["name"]


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["9" * 5000, "Europe"])
def test_a_schedule_is_saved_though_its_form_began_with_no_time_zone(admin_client: Client, name: str) -> None:
    at = {"minute": "1", "hour": "2", "day_of_month": "*", "month_of_year": "*", "day_of_week": "*", "timezone": "UTC"}
    tasks = {"periodictask_set-TOTAL_FORMS": "0", "periodictask_set-INITIAL_FORMS": "0"}
    address = reverse("admin:django_celery_beat_crontabschedule_add")
    assert admin_client.post(address, {**at, **tasks, "initial-timezone": name}).status_code == 302
    assert CrontabSchedule.objects.filter(minute="1", hour="2").exists()


@pytest.mark.django_db
def test_a_task_that_this_version_does_not_know_keeps_its_name(admin_client: Client) -> None:
    every = IntervalSchedule.objects.create(every=7, period="days")
    row = PeriodicTask.objects.create(name="old", task="no.such.task", interval=every)
    address = reverse("admin:django_celery_beat_periodictask_change", args=[row.pk])
    assert '<option value="no.such.task" selected>' in admin_client.get(address).content.decode()


@pytest.mark.django_db
def test_figures_stand_in_the_readers_language(admin_client: Client) -> None:
    """1,585 is one and a half to a Brazilian."""
    now = timezone.now()
    UsageRecord.objects.create(
        call_id="c", attempt=1, request_id="req_1", status=200, input_tokens=1585, cost_nano_usd=1_234_500_000_000,
        usage_source="provider", created_at=now,
    )  # fmt: skip
    UsageHourly.objects.create(start_at=now, requests=1585, cost_nano_usd=1_234_500_000_000)
    Budget.objects.create(scope="all", tokens=1585)
    paths = ("/admin/accounts/usagerecord/", "/admin/accounts/budget/", "/admin/")
    pages = [admin_client.get(path, **PORTUGUESE).content.decode() for path in paths]
    assert ["1.585" in page for page in pages] == [True, True, True]
    assert not any("1,585" in page for page in pages)
    assert "$1.234,5000" in pages[0]
    assert "$1.234,50" in pages[2]
    assert "1,585" in admin_client.get(paths[0], **HTML).content.decode()


@pytest.mark.django_db
def test_the_language_switch_outlasts_the_browsers_wish(client: Client) -> None:
    answer = client.post(reverse("set_language"), {"language": "pt-br", "next": "/admin/login/"})
    assert answer["Location"] == "/admin/login/"
    assert 'lang="pt-br"' in client.get("/admin/login/", headers={"accept-language": "en"}).content.decode()


def entries() -> list[tuple[str, list[str]]]:
    """(msgid, msgstrs) of the committed .po file."""
    found = []
    for block in PO.read_text().split("\n\n")[1:]:
        if block.startswith("#~"):
            continue
        parts = re.findall(r'^(msgid|msgstr(?:\[\d\])?) ((?:".*"\n?)+)', block, re.M)
        texts = {name: "".join(re.findall(r'"(.*)"', quoted)) for name, quoted in parts}
        found.append((texts["msgid"], [text for name, text in texts.items() if name != "msgid"]))
    return found


def test_nothing_is_left_untranslated() -> None:
    assert [msgid for msgid, texts in entries() if not all(texts)] == []


def test_the_compiled_catalogue_is_that_of_the_source() -> None:
    with PO.with_suffix(".mo").open("rb") as compiled:
        catalogue = gettext.GNUTranslations(compiled)
    plain = {msgid: texts[0] for msgid, texts in entries() if len(texts) == 1 and "\\" not in msgid + texts[0]}
    known = {str(key).rpartition("\x04")[2]: text for key, text in catalogue._catalog.items()}  # type: ignore[attr-defined]
    assert len(plain) > 500
    assert {msgid for msgid in plain if msgid not in known} == set()


def test_translations_keep_their_placeholders() -> None:
    holders = re.compile(r"%\([a-z_]+\)[sd]|\{[a-z_]*\}")
    lost = [
        msgid
        for msgid, texts in entries()
        if any(set(holders.findall(text)) != set(holders.findall(msgid)) for text in texts)
    ]
    assert lost == []


# -------------------------------------------------------------------------------------------------- errors and logins


@pytest.mark.django_db
@pytest.mark.parametrize("status", [404])
def test_people_get_a_page_and_programs_the_error_object(client: Client, status: int) -> None:
    page = client.get("/no/such/page", **HTML)
    assert page.status_code == status
    assert "Page not found" in page.content.decode()
    answer = client.get("/no/such/page", headers={"accept": "*/*"})
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == "not_found"


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/api/v1/chat/completions", "/V1/responses", "/proxy/models"])
def test_a_client_that_asks_elsewhere_is_told_where_the_api_is(client: Client, path: str) -> None:
    answer = client.post(path, {}, content_type="application/json")
    assert answer.status_code == 404
    assert "base_url is this gateway's address and /v1" in answer.json()["error"]["message"]
    assert "base_url" not in client.post("/elsewhere").json()["error"]["message"]


def test_the_page_of_a_500_needs_no_database_and_no_request(rf: object) -> None:
    from proxy_site.errors import server_error

    request = rf.get("/", headers={"accept": "text/html"})  # type: ignore[attr-defined]
    answer = server_error(request)
    assert answer.status_code == 500
    assert "Something went wrong here" in answer.content.decode()


@pytest.mark.django_db
def test_a_forged_form_gets_a_page_that_says_what_to_do(django_user_model: type) -> None:
    client = Client(enforce_csrf_checks=True)
    answer = client.post("/admin/login/", {"username": "a", "password": "b"}, **HTML)
    assert answer.status_code == 403
    assert "The form has expired" in answer.content.decode()


@pytest.mark.django_db
def test_guessing_passwords_is_stopped(client: Client, django_user_model: type, settings: object) -> None:
    settings.AXES_ENABLED = True  # type: ignore[attr-defined]
    django_user_model.objects.create_user("admin", password="right-horse", is_staff=True)  # type: ignore[attr-defined]
    wrong = {"username": "admin", "password": "wrong"}
    answers = [client.post("/admin/login/", wrong, **HTML).status_code for _ in range(8)]
    assert answers[0] == 200
    locked = client.post("/admin/login/", {"username": "admin", "password": "right-horse"}, **HTML)
    assert locked.status_code == 429
    assert "Too many attempts" in locked.content.decode()


@pytest.mark.django_db
def test_pages_cannot_be_framed_or_sniffed(client: Client) -> None:
    answer = client.get("/admin/login/", **HTML)
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "same-origin"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("page", "field"), [("accounts_apikey", "Expires at"), ("django_celery_beat_periodictask", "Start Datetime")]
)
def test_both_inputs_of_a_moment_say_which_it_is(admin_client: Client, page: str, field: str) -> None:
    shown = admin_client.get(reverse(f"admin:{page}_add")).content.decode()
    assert f'aria-label="{field}: Date"' in shown
    assert f'aria-label="{field}: Time"' in shown
