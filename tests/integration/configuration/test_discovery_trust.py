"""Sources that are wrong, or change their mind: nothing goes live or goes off that nobody decided."""

import pytest

from providers.discovery import consul
from providers.discovery.looking import discover
from providers.models import Credential, Discovered, Provider
from tests.integration.configuration.conftest import Load, entry, served
from tests.unit.providers.test_discovery_sources import SERVICE, Source
from tests.upstreams.servers import run_asgi

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("broken", [{"kind": []}, {"api_key_env": {}}, {"api_key_env": ["KEY"]}, {"models": [{}]}])
def test_an_entry_of_an_impossible_shape_is_refused_and_keeps_no_other_back(
    load: Load, registry: tuple[Source, str], broken: dict[str, object]
):
    registry[0].answers["/"] = [entry("eu", **broken), entry("us")]
    load(f"discovery: {{registry: '{registry[1]}', auto_approve: true, allow_env: [KEY]}}")
    report = discover()

    assert [refused["name"] for refused in report["sources"][0]["refused"]] == ["eu"]
    assert served() == {"model-of-us"}


def test_a_source_whose_answer_cannot_be_read_has_failed_and_keeps_no_other_back(
    load: Load, registry: tuple[Source, str], monkeypatch: pytest.MonkeyPatch
):
    async def unreadable(*_: object, **__: object) -> None:
        raise TypeError("a shape that nobody thought of")

    monkeypatch.setattr(consul, "look", unreadable)
    load(f"discovery: {{registry: '{registry[1]}', consul: '{registry[1]}', auto_approve: true}}")
    report = discover()

    assert {each["source"]: bool(each["error"]) for each in report["sources"]} == {"registry": False, "consul": True}
    assert served() == {"model-of-eu", "model-of-us"}


def test_what_no_row_can_hold_waits_with_a_note_and_keeps_no_other_back(
    load: Load, registry: tuple[Source, str], settings
):
    settings.PROVIDER_SECRET = {"K": "sk-x"}.get
    source, url = registry
    long_url = f"https://eu.example/{'x' * 500}"
    source.answers["/"] = [entry("eu", base_url=long_url), entry("us")]
    source.answers["/v1/models"] = {"data": [{"id": "own"}, {"id": "huge", "context_length": 10**12}]}
    load(
        f"providers: [{{name: p, base_url: '{url}/v1', api_key_env: K, models: [own]}}]\n"
        f"discovery: {{registry: '{url}', model_lists: true, auto_approve: true}}"
    )
    for _ in range(2):
        report = discover(approve_all=True)
        assert report["proposed"] == ["eu", "p/huge"]
        assert served() == {"own", "model-of-us"}
    assert "500" in Discovered.objects.get(name="eu").note

    source.answers["/"] = [entry("eu"), entry("us", base_url=long_url)]
    discover()
    row = Discovered.objects.get(name="us")
    assert (row.state, row.difference["base_url"]) == ("approved", ["https://us.example/v1", long_url])
    assert served() == {"own", "model-of-eu", "model-of-us"}
    assert Discovered.objects.get(name="eu").note == ""


@pytest.mark.parametrize("approves", ["true", "false"])
def test_a_key_that_was_taken_away_is_one_change_and_not_one_at_each_look(
    load: Load, registry: tuple[Source, str], approves: str
):
    source, url = registry
    source.answers["/"] = [entry("eu", api_key_env="KEY"), entry("us")]
    load(f"discovery: {{registry: '{url}', auto_approve: {approves}, allow_env: [KEY]}}")
    discover(approve_all=True)
    assert Credential.objects.exists()
    source.answers["/"] = [entry("eu"), entry("us")]
    discover(approve_all=True)

    assert not Credential.objects.exists()
    assert discover()["changes"] == {}


def test_a_service_made_anew_keeps_its_provider_when_the_old_one_is_forgotten(load: Load):
    """Kubernetes gives a Service that is deleted and made again another uid, under the same name."""
    source = Source()
    services = "/api/v1/namespaces/ai/services"
    source.answers[services] = {"items": [SERVICE]}
    with run_asgi(source) as url:
        load(f"discovery: {{kubernetes: {{namespace: ai, api_url: '{url}'}}, auto_approve: true, vanish_after: 2}}")
        discover()
        source.answers[services] = {"items": [{**SERVICE, "metadata": {**SERVICE["metadata"], "uid": "u-2"}}]}
        for _ in range(3):
            discover()

    assert dict(Discovered.objects.values_list("external_id", "state")) == {"u-1": "draining", "u-2": "approved"}
    assert served() == {"m1", "m2"}


def test_a_model_that_nobody_approved_is_only_proposed_again_when_it_comes_back(load: Load, settings):
    settings.PROVIDER_SECRET = {"K": "sk-x"}.get
    source = Source()
    both, one = [{"id": "old"}, {"id": "other"}, {"id": "new"}], [{"id": "old"}, {"id": "other"}]
    with run_asgi(source) as url:
        load(
            f"providers: [{{name: p, base_url: '{url}/v1', api_key_env: K, models: [old]}}]\n"
            "discovery: {model_lists: true, vanish_after: 1}"
        )
        for models in (both, one, both):
            source.answers["/v1/models"] = {"data": models}
            report = discover()

    assert report["proposed"] == ["p/new", "p/other"]
    assert served() == {"old"}


def test_a_provider_that_comes_back_as_another_one_waits_for_approval(load: Load, registry: tuple[Source, str]):
    source, url = registry
    load(f"discovery: {{registry: '{url}', vanish_after: 1}}")
    discover(approve_all=True)
    source.answers["/"] = [entry("us")]
    discover()
    source.answers["/"] = [entry("eu", base_url="https://elsewhere.example/v1"), entry("us")]
    report = discover()
    assert report["proposed"] == ["eu"]
    assert served() == {"model-of-us"}

    discover(approve_all=True)
    assert Provider.objects.get(name="eu").base_url == "https://elsewhere.example/v1"
    assert served() == {"model-of-eu", "model-of-us"}
