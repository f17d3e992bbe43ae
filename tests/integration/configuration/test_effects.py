"""Every key of the document by what it does: the routing table, the specs, limits and schedules, never the stored value."""

from collections.abc import Callable

import pytest
from django.contrib.auth import get_user_model
from django.test import Client, RequestFactory
from django_celery_beat.models import PeriodicTask

from accounts.key_source import KeyRow, SqlKeySource
from accounts.models import ApiKey
from monitoring.health import CheckResult, HealthPolicy
from monitoring.health_cache import fresh_s
from monitoring.health_history import Finding, TargetKey, record
from monitoring.models import HealthState
from providers.models import Provider
from providers.specs import DeploymentSpec
from proxy_site.admin_site import site_title
from routing.configuration.document import Configuration
from routing.configuration.provider_entry import CredentialEntry, ModelEntry, ProviderEntry, Timeouts
from routing.configuration.sections import keys_of
from routing.listen_address import listen_address
from routing.models import GatewaySettings
from routing.table import RoutingTable
from routing.table_loader import load_table
from tests.integration.configuration.conftest import Load

pytestmark = pytest.mark.django_db
TableOf = Callable[[str], RoutingTable]


def provider(table: RoutingTable, name: str = "p"):
    return table.providers[name]


def deployment(table: RoutingTable, name: str = "m") -> DeploymentSpec:
    route = table.route(name)
    assert route is not None
    return route.deployments[0]


def key_row() -> KeyRow:
    public_id = ApiKey.objects.get().public_id
    return SqlKeySource().read((public_id,))[public_id]


P = "providers: [{name: p, base_url: 'http://10.0.0.1', models: [m], %s}]"
M = "providers: [{name: p, base_url: 'http://10.0.0.1', models: [{name: m, %s}]}]"

# ------------------------------------------------------------------------------------------------------- the gateway


def told(section: object) -> dict[str, object]:
    """What a document gave of it."""
    return {name: getattr(section, name) for name in section.given}


POLICY_EFFECTS = {
    "app_version: '9.1'": lambda policy: policy.app_version == "9.1",
    "api_key_header: X-My-Key": lambda policy: policy.api_key_header == "x-my-key",
    "cors_origins: ['https://a.example']": lambda policy: policy.cors_origins == {"https://a.example"},
    "rate_limit_rpm: 12": lambda policy: policy.rate_limit_requests == 12,
    "rate_limit_window: 30": lambda policy: policy.rate_limit_window_s == 30,
    "request_timeout: 77": lambda policy: policy.request_timeout_s == 77,
    "max_attempts: 5": lambda policy: policy.max_attempts == 5,
    "log_level: warning": lambda policy: policy.log_level == "WARNING",
    "debug: true": lambda policy: policy.log_level == "DEBUG",
    "log_file: /tmp/x.log": lambda policy: policy.log_file == "/tmp/x.log",
    "condensation: {adaptive_factor: 0.25, error_keywords: [too big], max_tokens_default: 9, cache_ttl: 1}": (
        lambda policy: (
            told(policy.condensation)
            == {"adaptive_factor": 0.25, "error_keywords": ("too big",), "max_tokens_default": 9, "cache_ttl": 1}
        )
    ),
    "response_cache: {enabled: true, ttl: 60, max_entries: 5}": (
        lambda policy: told(policy.response_cache) == {"enabled": True, "ttl": 60, "max_entries": 5}
    ),
    "payload_logging: {enabled: true, retention_days: 3}": (
        lambda policy: told(policy.payload_logging) == {"enabled": True, "retention_days": 3}
    ),
}


@pytest.mark.parametrize("text", POLICY_EFFECTS)
def test_a_setting_reaches_the_policy_of_every_request(table_of: TableOf, text: str):
    assert not POLICY_EFFECTS[text](load_table().policy)
    assert POLICY_EFFECTS[text](table_of(text).policy)


def test_app_name_is_the_title_of_the_admin(load: Load, client: Client):
    load("app_name: Acme models")
    client.force_login(get_user_model().objects.create_superuser("root", password="x"))

    assert site_title(RequestFactory().get("/")) == "Acme models"
    assert "Acme models" in client.get("/admin/").content.decode()


def test_default_strategy_orders_names_without_a_policy(table_of: TableOf):
    table = table_of("default_strategy: cost\n" + P % "")
    assert type(table.routes["m"].plan_strategy).__module__ == "routing.strategies.cost"


def test_breaker_keys_hold_for_providers_without_their_own(table_of: TableOf):
    table = table_of("circuit_breaker_threshold: 9\ncircuit_breaker_timeout: 11\n" + P % "")
    assert (provider(table).breaker_threshold, provider(table).breaker_timeout_s) == (9, 11)


def test_host_and_port_are_listened_on_unless_the_command_line_says_otherwise(load: Load):
    load("host: 127.0.0.9\nport: 8123")

    assert listen_address(host=None, port=None) == ("127.0.0.9", 8123)
    assert listen_address(host="127.0.0.1", port=9) == ("127.0.0.1", 9)


def test_the_environment_wins_over_the_file(load: Load, settings):
    settings.SET_IN_ENVIRONMENT = frozenset({"PROXY_API_PORT", "LOG_LEVEL"})
    settings.PORT, settings.LOG_LEVEL = 8555, "ERROR"
    load("port: 8123\nlog_level: DEBUG\ndebug: true")

    assert listen_address(host=None, port=None)[1] == 8555
    assert load_table().policy.log_level == "ERROR"


def test_intervals_move_the_schedules(load: Load):
    load("health_check_interval: 17\nprovider_discovery_interval: 44")

    every = {task.name: task.interval.every for task in PeriodicTask.objects.select_related("interval")}
    assert every["Check all providers"] == 17
    assert every["Discover providers"] == 44


def test_a_schedule_edited_in_the_admin_is_left_alone(load: Load):
    PeriodicTask.objects.filter(name="Check all providers").update(description="mine")
    load("health_check_interval: 17")

    assert PeriodicTask.objects.get(name="Check all providers").interval.every == 60


def test_the_short_registry_url_is_a_source_of_discovery(load: Load):
    load("provider_registry_url: https://registry.example/providers.json")
    assert GatewaySettings.load().discovery == {"registry": "https://registry.example/providers.json"}
    load("provider_registry_url: null")
    assert GatewaySettings.load().discovery == {}


# ------------------------------------------------------------------------------------------------- providers, models

PROVIDER_EFFECTS = {
    "type: cohere": lambda spec: spec.kind == "cohere",
    "priority: 4": lambda spec: spec.priority == 4,
    "weight: 5": lambda spec: spec.weight == 5,
    "tags: [eu]": lambda spec: spec.tags == {"eu"},
    "headers: {X-Team: red}": lambda spec: spec.headers == (("x-team", "red"),),
    "type: azure, api_version: '2024-10-21'": lambda spec: spec.options.get("api_version") == "2024-10-21",
    "region: eu-west": lambda spec: spec.options.get("region") == "eu-west",
    "type: perplexity, options: {dialect: agent}": lambda spec: spec.options.get("dialect") == "agent",
    "timeout: 7": lambda spec: (spec.first_token_timeout_s, spec.answer_timeout_s) == (7, 7),
    "timeouts: {connect: 1.5}": lambda spec: spec.endpoint.connect_timeout_s == 1.5,
    "timeouts: {first_token: 8}": lambda spec: spec.first_token_timeout_s == 8,
    "timeouts: {idle: 9}": lambda spec: spec.idle_timeout_s == 9,
    "request_timeout: 55": lambda spec: spec.request_timeout_s == 55,
    "max_retries: 1": lambda spec: spec.max_retries == 1,
    "retry_delay: 2.5": lambda spec: spec.retry_delay_s == 2.5,
    "max_connections: 6": lambda spec: spec.max_concurrency == 6,
    "keepalive_timeout: 13": lambda spec: spec.endpoint.keepalive_s == 13,
    "circuit_breaker_threshold: 2": lambda spec: spec.breaker_threshold == 2,
    "circuit_breaker_timeout: 3": lambda spec: spec.breaker_timeout_s == 3,
    "allow_private: false": lambda spec: not spec.endpoint.allow_private,
    "managed_by: demo": lambda spec: spec.demo,
}


@pytest.mark.parametrize("text", PROVIDER_EFFECTS)
def test_a_providers_key_reaches_its_spec(table_of: TableOf, text: str):
    assert not PROVIDER_EFFECTS[text](provider(table_of(P % "")))
    assert PROVIDER_EFFECTS[text](provider(table_of(P % text)))


@pytest.mark.parametrize(
    ("credentials", "secrets"),
    [
        ("api_key_env: ONE", {"one"}),
        ("api_keys_env: [ONE, TWO]", {"one", "two"}),
        ("credentials: [{name: a, env: TWO, weight: 3}, {name: b, env: ONE, enabled: false}]", {"two"}),
        ("api_keys_env: []", set()),
    ],
)
def test_credentials_are_read_from_their_variables(table_of: TableOf, settings, credentials: str, secrets: set[str]):
    settings.PROVIDER_SECRET = {"ONE": "one", "TWO": "two"}.get
    assert {item.secret for item in provider(table_of(P % credentials)).credentials} == secrets


def test_a_disabled_provider_serves_nothing(table_of: TableOf):
    assert "m" not in table_of(P % "enabled: false").routes


@pytest.mark.parametrize("kind", ["openai", "anthropic", "grok", "openrouter", "cohere", "perplexity"])
def test_a_base_url_means_the_same_with_and_without_its_version(table_of: TableOf, settings, kind: str):
    from providers.adapters import REGISTRY
    from providers.types import ClientRequest, Operation

    settings.PROVIDER_SECRET = lambda name: "sk-secret"
    own = REGISTRY[kind].default_base_url
    assert own is not None
    bare = own.removesuffix("/v1").removesuffix("/api")
    root = "/api" if own.endswith("/api/v1") else ""
    paths = set()
    for url in (f"{bare}{root}", f"{bare}{root}/v1"):
        table = table_of(f"providers: [{{name: p, kind: {kind}, base_url: '{url}', models: [m], api_key_env: K}}]")
        spec = deployment(table)
        body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        request = ClientRequest(operation=Operation.CHAT, model="m", body=body)
        paths.add(REGISTRY[kind].prepare(request, spec, "sk-secret").path)
    assert len(paths) == 1


MODEL_EFFECTS = {
    "upstream: other": lambda spec: spec.upstream_model == "other",
    "context_window: 1000": lambda spec: spec.context_window == 1000,
    "max_output_tokens: 10": lambda spec: spec.max_output_tokens == 10,
    "input_usd_per_mtok: 2.5": lambda spec: spec.prices.input == 2_500_000_000,
    "output_usd_per_mtok: 0.000000001": lambda spec: spec.prices.output == 1,
    "cached_input_usd_per_mtok: 1": lambda spec: spec.prices.cached_input == 1_000_000_000,
    "cache_write_usd_per_mtok: 3": lambda spec: spec.prices.cache_write == 3_000_000_000,
    "cache_write_1h_usd_per_mtok: 6": lambda spec: spec.prices.cache_write_1h == 6_000_000_000,
    "audio_input_usd_per_mtok: 7": lambda spec: spec.prices.audio_input == 7_000_000_000,
    "audio_output_usd_per_mtok: 8": lambda spec: spec.prices.audio_output == 8_000_000_000,
    "search_usd_per_thousand: 10": lambda spec: spec.prices.search == 10_000_000_000,
    "capabilities: [tools]": lambda spec: spec.capabilities == {"tools"},
    "reasoning: true": lambda spec: spec.reasoning,
    "priority: 3": lambda spec: spec.priority == 3,
    "weight: 4": lambda spec: spec.weight == 4,
    "tags: [fast]": lambda spec: spec.tags == {"fast"},
    "options: {max_tokens_field: limit}": lambda spec: spec.options == {"max_tokens_field": "limit"},
}


@pytest.mark.parametrize("text", MODEL_EFFECTS)
def test_a_models_key_reaches_its_deployment(table_of: TableOf, text: str):
    assert not MODEL_EFFECTS[text](deployment(table_of(P % "")))
    assert MODEL_EFFECTS[text](deployment(table_of(M % text)))


def test_a_disabled_model_is_unknown(table_of: TableOf):
    assert "m" not in table_of(M % "enabled: false").routes


# ------------------------------------------------------------------------------------------ aliases, policies, teams


def test_an_alias_leads_to_its_targets(table_of: TableOf):
    table = table_of(
        P
        % ""
        + "\nmodel_aliases: {smart: {targets: [m], strategy: cost, fallbacks: [other], cache: true, condensation: false},"
        " off: {targets: [m], enabled: false}}"
    )
    route = table.routes["smart"]
    assert [spec.model for spec in route.deployments] == ["m"]
    assert type(route.plan_strategy).__module__ == "routing.strategies.cost"
    assert (route.fallbacks, route.cache_enabled, route.condensation_enabled) == (("other",), True, False)
    assert "off" not in table.routes


def test_the_first_fitting_policy_counts(table_of: TableOf):
    table = table_of(
        P % ""
        + """
route_policies:
  - {name: late, pattern: "*", strategy: weighted, position: 9}
  - {name: early, pattern: "m*", strategy: latency, position: 1, fallbacks: [f], context_fallbacks: [c], sticky: true}
  - {name: never, pattern: "m", strategy: cost, position: 0, enabled: false}
"""
    )
    route = table.routes["m"]
    assert type(route.plan_strategy).__module__ == "routing.strategies.latency"
    assert (route.fallbacks, route.context_fallbacks, route.sticky) == (("f",), ("c",), True)


def test_a_policys_options_are_the_strategys(table_of: TableOf):
    with_options = "\nroute_policies: [{name: b, strategy: balanced, options: {price: 9.0}}]"
    table = table_of(P % "" + with_options)
    plain = table_of(P % "" + "\nroute_policies: [{name: b, strategy: balanced}]")
    assert table.routes["m"].plan_strategy != plain.routes["m"].plan_strategy


def test_a_team_limits_and_budgets_its_keys(load: Load):
    load(
        """
        teams:
          red:
            rpm: 5
            tpm: 1000
            tokens_window: 86400
            max_concurrency: 2
            cache: true
            payload_logging: true
            budgets: [{usd: 2.5, period: day, on_unknown_price: allow}, {tokens: 7}]
        api_keys: [{token: a-key-of-team-red, team: red}]
        """
    )
    row = key_row()
    limits = {(rule.kind, rule.limit, rule.window_s) for rule in row.limits if rule.scope.startswith("team:")}
    assert limits == {("requests", 5, 60), ("tokens", 1000, 86400), ("concurrency", 2, 0)}
    budgets = {(rule.period, rule.amount_nano_usd, rule.tokens, rule.refuse_unknown_price) for rule in row.budgets}
    assert budgets == {("day", 2_500_000_000, None, False), ("month", None, 7, True)}
    assert (row.team, row.cache_enabled, row.payload_logging) == ("red", True, True)


def test_a_disabled_team_locks_its_keys_out(load: Load):
    load("teams: {red: {enabled: false}}\napi_keys: [{token: a-key-of-team-red, team: red}]")
    assert key_row().usable_until == 0


def test_a_keys_own_rules_hold(load: Load):
    load(
        "api_keys: [{token: a-narrow-key, name: narrow, scopes: [read], models: ['gpt-*'], allow_ip: [10.0.0.0/8],"
        " rpm: 3, requests_window: 3600, tpm: 4, max_concurrency: 1, tags: [cost-centre-12]}]"
    )
    row = key_row()
    assert (row.name, row.scopes, row.allowed_models, row.networks, row.tags) == (
        "narrow",
        ("read",),
        ("gpt-*",),
        ("10.0.0.0/8",),
        ("cost-centre-12",),
    )
    limits = {(rule.kind, rule.limit, rule.window_s) for rule in row.limits}
    assert limits == {("requests", 3, 3600), ("tokens", 4, 60), ("concurrency", 1, 0)}


def test_a_key_may_come_from_a_variable(load: Load, settings):
    settings.PROVIDER_SECRET = {"CLIENT_KEY": "the-key-in-a-variable"}.get
    load("api_keys: [{env: CLIENT_KEY}]")
    assert key_row().usable_until > 0


def test_health_check_cache_ttl_is_how_long_a_check_counts_as_fresh_unless_the_environment_says(load: Load, settings):
    for seconds, in_environment in ((7, False), (300, False), (300, True)):
        settings.SET_IN_ENVIRONMENT = {"HEALTH_CHECK_CACHE_TTL"} if in_environment else set()
        settings.HEALTH_CHECK_CACHE_TTL_S = 11
        load(f"""
            health_check_cache_ttl: {seconds}
            providers: [{{name: a, base_url: 'http://10.0.0.1', models: [m]}}]
            """)
        result = CheckResult(passed=True, evidence="models", at=1_700_000_000.0)
        finding = Finding(key=TargetKey(Provider.objects.get().pk, None), name="a", result=result)
        record([finding], HealthPolicy(), fresh_s=fresh_s())
        state = HealthState.objects.get()
        assert (state.fresh_until - state.last_check_at).total_seconds() == (11 if in_environment else seconds)


# -------------------------------------------------------------------------------------------------------- nothing left


def test_every_key_has_an_effect_tested_here():
    """A key added to the document without a test of what it does fails here, by name."""
    from pathlib import Path

    beside = ("test_discovery_settings.py", "test_secrets_of_files.py")
    tested = Path(__file__).read_text() + "".join((Path(__file__).parent / name).read_text() for name in beside)
    sections = (Configuration, ProviderEntry, ModelEntry, CredentialEntry, Timeouts)
    missing = [
        f"{section.__name__}.{item.name}"
        for section in sections
        for item in keys_of(section)
        if f"{item.name}:" not in tested and not any(f"{alias}:" in tested for alias in item.aliases)
    ]
    assert missing == ["Configuration.file_managed_settings"]
