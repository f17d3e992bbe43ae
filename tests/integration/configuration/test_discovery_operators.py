"""What operators switch off, delete, reject or set stays so, whatever a source shows afterwards."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.utils import timezone

from providers.discovery.adoption import approve, reject
from providers.discovery.looking import discover
from providers.models import Credential, Deployment, Discovered, Provider
from routing.configuration.apply import Applied
from routing.discovery_settings import read_discovery_settings
from routing.rollback import roll_back
from routing.table_loader import load_table
from tests.integration.configuration.conftest import Consul, Load, entry, served
from tests.unit.providers.test_discovery_sources import SERVICE, Source
from tests.upstreams.servers import run_asgi

pytestmark = pytest.mark.django_db(transaction=True)

EU, US = entry("eu", models=["a", "b"]), entry("us")
OTHER = {**EU, "priority": 5}
AFTERWARDS = {
    "refreshed": [[EU, US]],
    "changed and changed back": [[OTHER, US], [EU, US]],
    "suddenly empty": [[], [EU, US]],
    "away and back": [[US], [EU, US], [EU, US]],
    "long away and back": [[US], [US], [US], [EU, US], [EU, US]],
    "back as something else": [[US], [OTHER, US], [OTHER, US], [US], [EU, US], [EU, US]],
}

Decide = Callable[[], object]


def switch(rows: type, **identity: str) -> None:
    row = rows._default_manager.get(**identity)
    row.enabled = False
    row.save()


DECISIONS: dict[str, tuple[Decide, set[str]]] = {
    "provider switched off": (lambda: switch(Provider, name="eu"), set()),
    "provider deleted": (lambda: Provider.objects.get(name="eu").delete(), set()),
    "rejected": (lambda: reject(Discovered.objects.get(name="eu")), set()),
    "model switched off": (lambda: switch(Deployment, model="b"), {"a"}),
    "model deleted": (lambda: Deployment.objects.get(model="b").delete(), {"a"}),
}


def looks(source: Source, *shown: list[dict[str, object]], approve_all: bool = False) -> None:
    for answer in shown:
        source.answers["/"] = answer
        discover(approve_all=approve_all)


def loaded(load: Load, url: str, *, by_rule: bool) -> Applied:
    rules = f"registry: '{url}', vanish_after: 1, drain_seconds: 0, allow_env: [KEY]"
    return load(f"discovery: {{{rules}, auto_approve: {str(by_rule).lower()}}}")


@pytest.mark.parametrize("by_rule", [True, False], ids=["auto_approve", "--approve"])
@pytest.mark.parametrize(("decide", "left"), DECISIONS.values(), ids=DECISIONS)
def test_what_was_decided_lasts(
    load: Load, registry: tuple[Source, str], decide: Decide, left: set[str], by_rule: bool
):
    source, url = registry
    loaded(load, url, by_rule=by_rule)
    looks(source, [EU, US], approve_all=not by_rule)
    assert served() == {"a", "b", "model-of-us"}
    decide()
    found = {}
    for how, shown in AFTERWARDS.items():
        looks(source, *shown, approve_all=not by_rule)
        found[how] = served()

    assert found == {how: {*left, "model-of-us"} for how in AFTERWARDS}


def test_who_was_switched_off_while_away_or_vanished_before_is_back_by_itself(load: Load, registry: tuple[Source, str]):
    source, url = registry
    loaded(load, url, by_rule=True)
    looks(source, [EU, US], [US])
    switch(Provider, name="eu")
    looks(source, [EU, US])
    assert served() == {"a", "b", "model-of-us"}


def test_who_was_switched_on_while_away_stays_on(load: Load, registry: tuple[Source, str]):
    source, url = registry
    loaded(load, url, by_rule=True)
    looks(source, [EU, US], [US])
    Provider.objects.filter(name="eu").update(enabled=True)
    looks(source, [US], [US], [US])
    assert served() == {"a", "b", "model-of-us"}


def test_a_model_that_is_off_is_off_when_the_source_shows_it_again(load: Load, registry: tuple[Source, str]):
    source, url = registry
    loaded(load, url, by_rule=True)
    looks(source, [EU, US])
    switch(Deployment, model="b")
    looks(source, [{**EU, "models": ["a"]}, US], [EU, US])
    assert served() == {"a", "model-of-us"}


@pytest.mark.parametrize("decide", [DECISIONS[name][0] for name in ("provider deleted", "rejected")])
def test_approving_it_by_itself_takes_a_decision_back(load: Load, registry: tuple[Source, str], decide: Decide):
    source, url = registry
    loaded(load, url, by_rule=True)
    looks(source, [EU, US])
    decide()
    looks(source, [EU, US])
    row = Discovered.objects.get(name="eu")
    assert row.state == "rejected"
    approve(row, read_discovery_settings().addresses)
    looks(source, [EU, US], [{**EU, "models": ["a", "c"]}, US])
    assert served() == {"a", "c", "model-of-us"}


def test_who_is_deleted_after_it_has_vanished_is_new_when_it_comes_back(load: Load, registry: tuple[Source, str]):
    source, url = registry
    loaded(load, url, by_rule=False)
    looks(source, [EU, US], approve_all=True)
    looks(source, [US])
    Provider.objects.get(name="eu").delete()
    looks(source, [EU, US])
    assert (Discovered.objects.get(name="eu").state, served()) == ("proposed", {"model-of-us"})


def test_what_was_set_here_stays_until_the_source_changes_just_that(load: Load, registry: tuple[Source, str]):
    source, url = registry
    loaded(load, url, by_rule=True)
    with_key = {**EU, "api_key_env": "KEY"}
    looks(source, [with_key, US])
    Provider.objects.filter(name="eu").update(weight=7, tags=["mine"])
    Credential.objects.update(enabled=False)
    looks(source, [{**with_key, "priority": 5}, US], [US], [{**with_key, "priority": 6}, US])
    row = Provider.objects.get(name="eu")
    assert (row.weight, row.tags, row.priority) == (7, ["mine"], 6)
    assert not Credential.objects.get().enabled
    looks(source, [{**EU, "priority": 6, "weight": 3}, US])
    row.refresh_from_db()
    assert (row.weight, row.tags, Credential.objects.count()) == (3, ["mine"], 0)


@pytest.mark.parametrize("own", ["stored", "named"])
def test_a_key_that_was_entered_here_goes_to_no_other_address_by_a_rule(
    load: Load, registry: tuple[Source, str], own: str
):
    source, url = registry
    loaded(load, url, by_rule=True)
    looks(source, [EU, US])
    key = Credential(provider=Provider.objects.get(name="eu"), name="discovery" if own == "stored" else "mine")
    key.store("sk-own") if own == "stored" else setattr(key, "environment_variable", "MINE")
    key.save()
    moved = {**EU, "base_url": "https://elsewhere.example/v1"}
    looks(source, [moved, US], [moved, US], approve_all=True)
    assert Provider.objects.get(name="eu").base_url == EU["base_url"]
    row = Discovered.objects.get(name="eu")
    assert (row.state, "another address" in row.note) == ("approved", True)
    approve(row, read_discovery_settings().addresses)
    assert Provider.objects.get(name="eu").base_url == "https://elsewhere.example/v1"


def test_a_service_made_anew_under_its_name_is_what_was_decided_about_it(load: Load):
    """Kubernetes gives a Service that is deleted and made again another uid."""
    path = "/api/v1/namespaces/ai/services"
    with run_asgi(source := Source()) as url:
        load(f"discovery: {{kubernetes: {{namespace: ai, api_url: '{url}'}}, auto_approve: true, vanish_after: 1}}")
        for uid, decide in (("u-1", None), ("u-2", reject), ("u-3", None)):
            source.answers[path] = {"items": [{**SERVICE, "metadata": {**SERVICE["metadata"], "uid": uid}}]}
            discover()
            assert served() == (set() if uid == "u-3" else {"m1", "m2"})
            if decide is not None:
                decide(Discovered.objects.get())
    assert Discovered.objects.get().external_id == "ai/vllm"


def test_an_instance_made_anew_on_another_node_is_as_its_provider_was_left(load: Load, nodes: Consul):
    load(f"discovery: {{{nodes.rules}, auto_approve: true, vanish_after: 1}}")
    nodes.show("a")
    discover()
    switch(Provider, name="vllm")
    nodes.show("b")
    for _ in range(3):
        discover()
    assert (served(), Provider.objects.get().base_url) == (set(), "http://b.example:80")


def test_what_one_source_shows_is_not_live_by_a_rule_when_it_was_rejected_of_another(load: Load, nodes: Consul):
    nodes.source.answers["/"] = [entry("vllm", models=["m"])]
    load(f"discovery: {{registry: '{nodes.url}', auto_approve: true}}")
    discover()
    reject(Discovered.objects.get())
    load(f"discovery: {{registry: '{nodes.url}', {nodes.rules}, auto_approve: true}}")
    nodes.show("a")
    for _ in range(2):
        discover()
    assert served() == set()
    row = Discovered.objects.get(source="consul")
    assert (row.state, row.note) == ("proposed", "a provider named vllm was rejected when it was found by registry")
    approve(row, read_discovery_settings().addresses)
    assert served() == {"m"}


def test_what_a_file_takes_over_and_leaves_again_is_proposed_anew(load: Load, registry: tuple[Source, str]):
    _, url = registry
    section = f"discovery: {{registry: '{url}', vanish_after: 1}}\n"
    load(section)
    discover(approve_all=True)
    load(section + "providers: [{name: eu, base_url: 'https://mine.example', models: [mine]}]", prune=True)
    discover()
    load(section + "providers: []", prune=True)
    assert discover()["proposed"] == ["eu"]
    assert Discovered.objects.get(name="eu").state == "proposed"


MODEL_DECISIONS: dict[str, Decide] = {
    "switched off": lambda: switch(Deployment, model="new"),
    "deleted": lambda: Deployment.objects.get(model="new").delete(),
    "rejected": lambda: reject(Discovered.objects.get(name="p/new")),
}


@pytest.mark.parametrize("decide", MODEL_DECISIONS.values(), ids=MODEL_DECISIONS)
def test_what_was_decided_about_a_model_of_a_list_lasts(load: Load, decide: Decide):
    new = {"id": "new"}
    with run_asgi(source := Source()) as url:
        load(
            f"providers: [{{name: p, base_url: '{url}/v1', api_keys_env: [], models: [old]}}]\n"
            "discovery: {model_lists: true, auto_approve: true, vanish_after: 1, drain_seconds: 0}"
        )
        source.answers["/v1/models"] = {"data": [{"id": "other"}, new]}
        discover()
        assert served() == {"old", "other", "new"}
        decide()
        for models in ([new], [{**new, "context_length": 9}], [], [{**new, "context_length": 9}], [new], [new]):
            source.answers["/v1/models"] = {"data": [{"id": "other"}, *models]}
            discover()
            assert served() == {"old", "other"}


def test_models_of_a_list_are_found_anew_when_their_provider_was_made_anew(load: Load):
    with run_asgi(source := Source()) as url:
        source.answers["/v1/models"] = {"data": [{"id": "new"}]}
        load("discovery: {model_lists: true, auto_approve: true}")
        for _ in range(2):
            Provider.objects.create(name="p", base_url=url)
            discover()
            assert served() == {"new"}
            Provider.objects.get().delete()


def test_rolling_back_to_before_it_was_approved_rejects_it(load: Load, registry: tuple[Source, str]):
    source, url = registry
    before = loaded(load, url, by_rule=True).revision
    assert before is not None
    looks(source, [EU, US])
    roll_back(before)
    looks(source, [{**EU, "priority": 5}, US], [US], [EU, US])
    assert served() == set()
    assert set(Discovered.objects.values_list("state", flat=True)) == {"rejected"}


def test_a_decision_that_is_made_while_sources_are_asked_is_not_undone(load: Load, registry: tuple[Source, str]):
    """The page of what was discovered may be older than the last look."""
    source, url = registry
    loaded(load, url, by_rule=True)
    looks(source, [EU, US])
    Discovered.objects.filter(name="eu").update(last_seen_at=timezone.now(), missed=1)
    switch(Provider, name="eu")
    looks(source, [{**EU, "priority": 9}, US])
    assert (load_table().providers.get("eu"), Provider.objects.get(name="eu").priority) == (None, 9)


def test_a_worker_of_the_version_before_writes_what_it_finds_while_it_is_replaced():
    row = Discovered(source="registry", external_id="a", name="a", last_seen_at=timezone.now())
    fields = [each for each in Discovered._meta.local_concrete_fields if each.column not in ("id", "kept_off")]
    values = [each.get_db_prep_save(each.pre_save(row, True), connection) for each in fields]
    with connection.cursor() as cursor:
        columns, marks = ", ".join(each.column for each in fields), ", ".join(["%s"] * len(fields))
        cursor.execute(f"INSERT INTO providers_discovered ({columns}) VALUES ({marks})", values)
    assert not Discovered.objects.get().kept_off
