"""From the `discovery` section to providers that are proposed, approved, changed, drained and switched off."""

import asyncio
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from providers.discovery.adoption import approve, reject
from providers.discovery.looking import discover
from providers.models import Credential, Deployment, Discovered, DiscoverySource, Provider
from routing.discovery_settings import read_discovery_settings
from routing.models import ConfigurationRevision
from routing.table_loader import load_table
from routing.tasks import discover_providers
from tests.integration.configuration.conftest import Load, entry, served
from tests.unit.providers.test_discovery_sources import INSTANCE, Source
from tests.upstreams.servers import run_asgi

pytestmark = pytest.mark.django_db(transaction=True)


def test_every_key_of_the_section_is_understood(load: Load, settings):
    settings.PROVIDER_SECRET = {"REG": "r", "ACL": "c"}.get
    load(
        """
        discovery:
          registry: {url: "https://r.example/p.json?x=1", token_env: REG}
          consul: {url: "http://127.0.0.1:8500", tag: llm, datacenter: dc2, token_env: ACL}
          kubernetes: {namespace: ai, label_selector: "a=b", resource: endpointslices, api_url: "https://k.example"}
          model_lists: true
          allow_cidrs: [10.0.0.0/8]
          allow_env: [KEY]
          auto_approve: ["eu-*"]
          vanish_after: 3
          drain_seconds: 5
        """
    )
    found = read_discovery_settings()

    assert found.registry is not None
    assert found.consul is not None
    assert found.kubernetes is not None
    assert (found.registry.url, found.registry.token) == ("https://r.example/p.json?x=1", "r")
    assert (found.consul.tag, found.consul.datacenter, found.consul.token) == ("llm", "dc2", "c")
    assert (found.kubernetes.namespace, found.kubernetes.resource) == ("ai", "endpointslices")
    assert (found.model_lists, found.vanish_after, found.drain_seconds) == (True, 3, 5)
    assert found.addresses.allow_cidrs == ("10.0.0.0/8",)
    assert found.addresses.allow_env == {"KEY"}
    assert found.auto_approve == ("eu-*",)


def test_what_is_found_is_proposed_and_serves_nothing(load: Load, registry: tuple[Source, str]):
    load(f"provider_registry_url: {registry[1]}")
    report = discover()

    assert report["proposed"] == ["eu", "us"]
    assert served() == set()


def test_an_approved_provider_goes_live_under_the_stricter_policy(load: Load, registry: tuple[Source, str]):
    load(f"discovery: {{registry: '{registry[1]}', allow_cidrs: [10.0.0.0/8]}}")
    discover()
    approve(Discovered.objects.get(name="eu"), read_discovery_settings().addresses)

    assert served() == {"model-of-eu"}
    endpoint = load_table().providers["eu"].endpoint
    assert (endpoint.allow_private, endpoint.private_networks) == (False, ("10.0.0.0/8",))
    assert Provider.objects.get().source == "discovery"


def test_a_rule_approves_by_name(load: Load, registry: tuple[Source, str]):
    load(f"discovery: {{registry: '{registry[1]}', auto_approve: ['e*']}}")
    report = discover()

    assert report["changes"] == {"approve": ["eu"], "propose": ["us"]}
    assert served() == {"model-of-eu"}
    newest = ConfigurationRevision.objects.first()
    assert newest is not None
    assert newest.source == "discovery"


def test_a_look_that_finds_nothing_new_is_no_revision(load: Load, registry: tuple[Source, str]):
    load(f"discovery: {{registry: '{registry[1]}', auto_approve: true}}")
    discover()
    number = ConfigurationRevision.objects.count()
    discover_providers()

    assert ConfigurationRevision.objects.count() == number


def test_a_change_waits_for_approval_or_takes_effect_by_rule(load: Load, registry: tuple[Source, str]):
    source, url = registry
    load(f"provider_registry_url: {url}")
    discover(approve_all=True)
    source.answers["/"] = [entry("eu", priority=5, models=["new-model"]), entry("us")]
    report = discover()
    assert report["changes"] == {"differ": ["eu"]}
    assert Discovered.objects.get(name="eu").difference["priority"] == [1, 5]
    assert Provider.objects.get(name="eu").priority == 1

    discover(approve_all=True)
    assert Provider.objects.get(name="eu").priority == 5
    assert served() == {"new-model", "model-of-us"}


def test_model_lists_of_providers_whose_names_begin_alike_are_told_apart(load: Load):
    source = Source()
    with run_asgi(source) as url:
        load("discovery: {model_lists: true, auto_approve: true, vanish_after: 1}")
        for region in ("eu", "us"):
            source.answers[f"/{region}/v1/models"] = {"data": [{"id": f"only-{region}", "object": "model"}]}
            provider = Provider.objects.create(
                name=f"production-openai-of-the-region-{region}", kind="openai", base_url=f"{url}/{region}/v1"
            )
            Credential.objects.create(provider=provider, environment_variable="PATH")
            Deployment.objects.create(provider=provider, model="own")
        for _ in range(2):
            discover()

    assert served() == {"own", "only-eu", "only-us"}


def test_a_vanished_provider_is_drained_then_disabled_and_comes_back(load: Load, registry: tuple[Source, str]):
    source, url = registry
    load(f"discovery: {{registry: '{url}', auto_approve: true, vanish_after: 2, drain_seconds: 60}}")
    discover()
    source.answers["/"] = [entry("us")]
    discover()
    assert served() == {"model-of-eu", "model-of-us"}
    discover()
    assert served() == {"model-of-us"}
    row = Discovered.objects.get(name="eu")
    assert row.state == "draining"

    Discovered.objects.filter(pk=row.pk).update(draining_since=timezone.now() - timedelta(seconds=61))
    discover()
    assert Discovered.objects.get(name="eu").state == "disabled"

    source.answers["/"] = [entry("eu"), entry("us")]
    discover()
    assert served() == {"model-of-eu", "model-of-us"}


def test_a_source_that_is_down_or_empty_leaves_what_it_said_last(load: Load, registry: tuple[Source, str]):
    source, url = registry
    load(f"discovery: {{registry: '{url}', auto_approve: true, vanish_after: 1}}")
    discover()
    for answer in ([], None, b"garbage"):
        source.answers["/"] = answer
        for _ in range(3):
            discover()
        assert served() == {"model-of-eu", "model-of-us"}
    assert "JSON" in DiscoverySource.objects.get(name="registry").error


def test_a_rejected_provider_is_never_proposed_again(load: Load, registry: tuple[Source, str]):
    load(f"discovery: {{registry: '{registry[1]}', auto_approve: true}}")
    discover()
    reject(Discovered.objects.get(name="eu"))
    discover()

    assert served() == {"model-of-us"}


def test_a_provider_entered_by_hand_is_not_taken_over(load: Load, registry: tuple[Source, str]):
    Provider.objects.create(name="eu", base_url="https://mine.example")
    load(f"discovery: {{registry: '{registry[1]}', auto_approve: true}}")
    discover()

    assert Provider.objects.get(name="eu").base_url == "https://mine.example"
    assert "entered otherwise" in Discovered.objects.get(name="eu").note


def test_only_an_allowed_variable_becomes_a_credential(load: Load, registry: tuple[Source, str]):
    registry[0].answers["/"] = [entry("eu", api_key_env="KEY"), entry("us", api_key_env="DATABASE_URL")]
    load(f"discovery: {{registry: '{registry[1]}', auto_approve: true, allow_env: [KEY]}}")
    report = discover()

    assert Credential.objects.get().environment_variable == "KEY"
    assert report["sources"][0]["refused"][0]["name"] == "us"


def test_consul_feeds_the_routing_table(load: Load):
    source = Source()
    source.answers["/v1/catalog/services"] = {"llm": ["llm-proxy"]}
    source.answers["/v1/health/service/llm"] = [INSTANCE]
    source.headers = [(b"x-consul-index", b"7")]
    with run_asgi(source) as url:
        load(f"discovery: {{consul: '{url}', auto_approve: true, allow_cidrs: [10.0.0.0/8]}}")
        discover()

    assert served() == {"gpt-4o", "gpt-4o-mini"}
    assert DiscoverySource.objects.get().position == "7"


def test_a_providers_own_list_proposes_its_models(load: Load, settings):
    settings.PROVIDER_SECRET = {"K": "sk-x"}.get
    source = Source()
    source.answers["/v1/models"] = {"object": "list", "data": [{"id": "old"}, {"id": "new"}]}
    with run_asgi(source) as url:
        load(
            f"providers: [{{name: p, base_url: '{url}/v1', api_key_env: K, models: [old]}}]\n"
            "discovery: {model_lists: true}"
        )
        report = discover()
        assert report["proposed"] == ["p/new"]
        discover(approve_all=True)
        assert served() == {"old", "new"}
        discover()
        assert served() == {"old", "new"}
        source.answers["/v1/models"] = {"object": "list", "data": [{"id": "old"}, {"id": "third"}]}
        discover()
        discover()

    assert served() == {"old"}
    assert set(Deployment.objects.values_list("model", flat=True)) == {"old", "new"}


def test_a_provider_without_a_model_is_asked_for_its_list_too(load: Load, settings):
    settings.PROVIDER_SECRET = {"K": "sk-x"}.get
    source = Source()
    source.answers["/v1/models"] = {"data": [{"id": "first"}]}
    with run_asgi(source) as url:
        load(
            f"providers: [{{name: p, base_url: '{url}/v1', api_key_env: K}}, "
            "{name: idle, base_url: 'http://127.0.0.1:9', enabled: false}]\n"
            "discovery: {model_lists: true, auto_approve: true}"
        )
        report = discover()

    assert [each["source"] for each in report["sources"]] == ["models:p"]
    assert served() == {"first"}


def test_no_more_connections_are_open_at_once_than_the_environment_says(load: Load, settings):
    settings.HTTP_MAX_CONNECTIONS = 2
    running: list[int] = []
    most: list[int] = []

    class Slow(Source):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            running.append(1)
            most.append(len(running))
            await asyncio.sleep(0.05)
            running.pop()
            await super().__call__(scope, receive, send)

    source = Slow()
    source.answers["/v1/models"] = {"data": []}
    with run_asgi(source) as url:
        most.clear()
        load("discovery: {model_lists: true}")
        for number in range(6):
            Provider.objects.create(name=f"p{number}", base_url=url)
        report = discover()

    assert [each["error"] for each in report["sources"]] == [None] * 6
    assert max(most) == 2


def test_models_that_only_embed_are_known_as_such_until_somebody_says_otherwise(
    load: Load, settings, registry: tuple[Source, str]
):
    settings.PROVIDER_SECRET = {"K": "sk-x"}.get
    source, url = registry
    source.answers["/"] = [entry("eu", models=["gpt-4o", "text-embedding-3-small"])]
    source.answers["/v1/models"] = {"data": [{"id": "own"}, {"id": "own-embed"}]}
    load(
        f"providers: [{{name: p, base_url: '{url}/v1', api_key_env: K, models: [own]}}]\n"
        f"discovery: {{registry: '{url}', model_lists: true, auto_approve: true}}"
    )
    discover()
    found = dict(Deployment.objects.values_list("model", "capabilities"))
    assert found == {"own": [], "gpt-4o": [], "text-embedding-3-small": ["embeddings"], "own-embed": ["embeddings"]}

    Deployment.objects.filter(model="own-embed").update(capabilities=["embeddings", "chat"])
    source.answers["/v1/models"] = {"data": [{"id": "own"}, {"id": "own-embed", "context_length": 512}]}
    discover(approve_all=True)
    row = Deployment.objects.get(model="own-embed")
    assert (row.context_window, row.capabilities) == (512, ["embeddings", "chat"])


def test_the_command_fails_when_a_source_cannot_be_reached(load: Load):
    load("provider_registry_url: 'http://127.0.0.1:9/'")
    with pytest.raises(CommandError, match="Not reached: registry"):
        call_command("discover_providers", stdout=StringIO())


@pytest.mark.parametrize(("consul", "pause"), [(True, 1), (False, 30)])
def test_watching_asks_no_source_without_a_pause_and_ends_with_ctrl_c(
    load: Load, registry: tuple[Source, str], monkeypatch: pytest.MonkeyPatch, consul: bool, pause: int
):
    """Consul itself waits for a change; nobody else does."""
    source, url = registry
    source.answers["/v1/catalog/services"] = {}
    load(f"discovery: {{registry: '{url}'" + (f", consul: '{url}'" if consul else "") + "}")
    paused: list[float] = []

    def rest(seconds: float) -> None:
        paused.append(seconds)
        if len(paused) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("providers.management.commands.discover_providers.sleep", rest)
    call_command("discover_providers", "--watch", stdout=StringIO())

    assert paused == [pause] * 3
    assert [path for path, _, _ in source.asked].count("/") == 3


def test_options_that_a_provider_cannot_have_are_a_failure_of_its_own_list(load: Load):
    source = Source()
    source.answers["/v1/models"] = {"data": [{"id": "first"}]}
    with run_asgi(source) as url:
        load("discovery: {model_lists: true}")
        Provider.objects.create(name="a", kind="azure", base_url=url, options={"api_version": "newest"})
        Provider.objects.create(name="p", base_url=f"{url}/v1")
        report = discover()

    assert report["proposed"] == ["p/first"]
    errors = {each["source"]: each["error"] for each in report["sources"]}
    assert "'newest' is no Azure api_version" in errors["models:a"]
    assert errors["models:p"] is None
