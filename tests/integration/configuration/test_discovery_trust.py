"""Sources that are wrong, change their mind or show again what was away: nothing goes live or goes off that nobody
decided."""

import pytest

from providers.discovery import consul
from providers.discovery.adoption import approve
from providers.discovery.looking import discover
from providers.models import Credential, Discovered, Provider
from routing.discovery_settings import read_discovery_settings
from routing.table_loader import load_table
from tests.integration.configuration.conftest import Consul, Load, entry, served
from tests.unit.providers.test_discovery_sources import Source
from tests.upstreams.servers import run_asgi

pytestmark = pytest.mark.django_db(transaction=True)

LONG_URL = f"https://eu.example/{'x' * 500}"


def states() -> dict[str, str]:
    return dict(Discovered.objects.values_list("external_id", "state"))


# ------------------------------------------------------------------------------------------------------ wrong entries


@pytest.mark.parametrize(
    "broken", [{"kind": []}, {"api_key_env": {}}, {"api_key_env": ["KEY"]}, {"models": [{}]}, {"base_url": "ftp://x"}]
)
@pytest.mark.parametrize("was_live", [False, True])
def test_a_wrong_entry_is_refused_keeps_no_other_back_and_takes_nothing_away(
    load: Load, registry: tuple[Source, str], broken: dict[str, object], was_live: bool
):
    source, url = registry
    load(f"discovery: {{registry: '{url}', auto_approve: true, allow_env: [KEY], vanish_after: 1}}")
    if was_live:
        discover()
    source.answers["/"] = [entry("eu", **broken), entry("us")]
    report = discover()

    assert [refused["name"] for refused in report["sources"][0]["refused"]] == ["eu"]
    assert served() == ({"model-of-eu", "model-of-us"} if was_live else {"model-of-us"})
    if was_live:
        assert "cannot be used" in Discovered.objects.get(name="eu").note
        source.answers["/"] = [entry("eu"), entry("us")]
        assert discover()["changes"] == {}
        assert Discovered.objects.get(name="eu").note == ""


@pytest.mark.parametrize("others", [[], [entry("us", api_key_env=None)]])
def test_a_live_entry_that_the_operators_rules_no_longer_permit_drains(
    load: Load, registry: tuple[Source, str], others: list[dict[str, object]]
):
    source, url = registry
    source.answers["/"] = [entry("eu", api_key_env="KEY"), *others]
    rules = f"registry: '{url}', auto_approve: true, vanish_after: 1"
    load(f"discovery: {{{rules}, allow_env: [KEY]}}")
    discover()
    load(f"discovery: {{{rules}}}")
    discover()

    assert served() == {"model-of-us" for _ in others}


def test_a_live_entry_that_lists_no_models_any_more_keeps_them_until_somebody_approves(
    load: Load, registry: tuple[Source, str]
):
    source, url = registry
    load(f"discovery: {{registry: '{url}', auto_approve: true}}")
    discover()
    source.answers["/"] = [entry("eu", models=[]), entry("us")]
    for _ in range(2):
        assert discover(approve_all=True)["changes"] == {"differ": ["eu"], "approve": []}
        assert served() == {"model-of-eu", "model-of-us"}
    row = Discovered.objects.get(name="eu")
    assert "no models" in row.note
    approve(row, read_discovery_settings().addresses)
    assert served() == {"model-of-us"}


def test_more_than_anybody_has_is_a_failure_and_not_a_part_of_it(load: Load, registry: tuple[Source, str]):
    source, url = registry
    load(f"discovery: {{registry: '{url}', auto_approve: true, vanish_after: 1}}")
    discover()
    source.answers["/"] = [*(entry(f"n{number}") for number in range(4999)), entry("eu"), entry("us")]
    assert "5001 providers" in discover()["sources"][0]["error"]
    assert served() == {"model-of-eu", "model-of-us"}


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
    source.answers["/"] = [entry("eu", base_url=LONG_URL), entry("us")]
    source.answers["/v1/models"] = {"data": [{"id": "own"}, {"id": "huge", "context_length": 10**12}]}
    load(
        f"providers: [{{name: p, base_url: '{url}/v1', api_key_env: K, models: [own]}}]\n"
        f"discovery: {{registry: '{url}', model_lists: true, auto_approve: true}}"
    )
    for changes in ({"propose": ["eu", "p/huge"], "approve": ["us"]}, {"approve": []}):
        report = discover(approve_all=True)
        assert (report["proposed"], report["changes"]) == (["eu", "p/huge"], changes)
        assert served() == {"own", "model-of-us"}
    assert "500" in Discovered.objects.get(name="eu").note

    source.answers["/"] = [entry("eu"), entry("us", base_url=LONG_URL)]
    assert discover()["changes"] == {"approve": ["eu"], "differ": ["us"]}
    row = Discovered.objects.get(name="us")
    assert (row.state, row.difference["base_url"]) == ("approved", ["https://us.example/v1", LONG_URL])
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


# ------------------------------------------------------------------------------------------------- what is shown again


@pytest.mark.parametrize("times_away", [1, 2])
def test_what_comes_back_as_something_else_waits_for_approval_however_often_it_was_away(
    load: Load, registry: tuple[Source, str], times_away: int
):
    source, url = registry
    elsewhere = "https://elsewhere.example/v1"
    load(f"discovery: {{registry: '{url}', vanish_after: 1, allow_env: [KEY]}}")
    discover(approve_all=True)
    for _ in range(times_away):
        source.answers["/"] = [entry("us")]
        discover()
        source.answers["/"] = [entry("eu", base_url=elsewhere, api_key_env="KEY"), entry("us")]
        report = discover()

    assert (report["proposed"], served()) == (["eu"], {"model-of-us"})
    assert not Credential.objects.exists()
    assert Provider.objects.get(name="eu").base_url != elsewhere
    discover(approve_all=True)
    assert served() == {"model-of-eu", "model-of-us"}
    assert Provider.objects.get(name="eu").base_url == elsewhere


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


def test_looks_at_a_source_that_is_suddenly_empty_do_not_count_against_who_is_late(
    load: Load, registry: tuple[Source, str]
):
    source, url = registry
    load(f"discovery: {{registry: '{url}', auto_approve: true, vanish_after: 2}}")
    for shown in ([entry("eu"), entry("us")], [], [], [entry("us")]):
        source.answers["/"] = shown
        discover()
    assert served() == {"model-of-eu", "model-of-us"}


# ----------------------------------------------------------------------------------------------- one name, one provider


@pytest.mark.parametrize("vanish_after", [1, 2])
def test_an_instance_made_anew_on_another_node_stays_live(load: Load, nodes: Consul, vanish_after: int):
    load(f"discovery: {{{nodes.rules}, auto_approve: true, vanish_after: {vanish_after}, drain_seconds: 0}}")
    for shown in ("a", "b", "b", "b", "b"):
        nodes.show(shown)
        discover()
        assert served() == {"m"}
    assert states() == {"a/vllm": "disabled", "b/vllm": "approved"}
    assert [each.name for each in Provider.objects.all()] == ["vllm"]


def test_instances_of_one_id_on_two_nodes_are_two_providers_and_one_may_go(load: Load, nodes: Consul):
    load(f"discovery: {{{nodes.rules}, auto_approve: true, vanish_after: 1}}")
    for shown in (("a",), ("a", "b"), ("b",), ("a", "b")):
        nodes.show(*shown)
        discover()
        assert len(load_table().routes["m"].deployments) == len(shown)
    assert sorted(Provider.objects.values_list("name", flat=True)) == ["b-vllm", "vllm"]


@pytest.mark.parametrize("known_at", [0, 1])
def test_rows_that_an_earlier_version_knew_by_the_id_alone_stay_live(load: Load, nodes: Consul, known_at: int):
    load(f"discovery: {{{nodes.rules}, vanish_after: 1}}")
    nodes.show("ab"[known_at])
    discover(approve_all=True)
    Discovered.objects.update(external_id="vllm")
    nodes.show("a", "b")
    assert discover()["proposed"] == ["vllm"]
    assert states() == {f"{'ab'[known_at]}/vllm": "approved", f"{'ba'[known_at]}/vllm": "proposed"}
    assert served() == {"m"}


def test_two_sources_that_show_one_name_do_not_share_a_provider(load: Load, nodes: Consul):
    nodes.source.answers["/"] = [entry("vllm", models=["m"])]
    load(f"discovery: {{registry: '{nodes.url}', {nodes.rules}, auto_approve: true, vanish_after: 1}}")
    nodes.show("a")
    discover()
    taken = "a provider named vllm was found as vllm by registry as well; rename one of the two"
    assert Discovered.objects.get(source="consul").note == taken
    nodes.source.answers["/"] = [entry("other")]
    for _ in range(2):
        discover()
        assert served() == {"m", "model-of-other"}
    assert Discovered.objects.get(source="consul").state == "approved"
    nodes.source.answers["/"] = [entry("vllm", models=["m"]), entry("other")]
    for _ in range(2):
        discover()
    row = Discovered.objects.get(source="registry", name="vllm")
    assert (row.state, row.note) == (
        "proposed", "a provider named vllm was found as a/vllm by consul as well; rename one of the two"
    )  # fmt: skip


def test_who_is_seen_again_keeps_its_provider_before_another_of_its_name(load: Load, nodes: Consul):
    load(f"discovery: {{{nodes.rules}, auto_approve: true, vanish_after: 2, drain_seconds: 0}}")
    for shown in (("b",), (), ("a", "b")):
        nodes.show(*shown)
        discover()
    assert dict(Discovered.objects.values_list("external_id", "provider__name")) == {
        "b/vllm": "vllm",
        "a/vllm": "a-vllm",
    }


def test_a_range_that_is_allowed_later_holds_for_what_is_live_already(load: Load, nodes: Consul):
    nodes.show("a")
    place = f"consul: '{nodes.url}', auto_approve: true"
    for ranges in ([], ["10.96.0.0/12"], ["10.0.0.0/24"]):
        load(f"discovery: {{{place}, allow_cidrs: {ranges}}}")
        discover()
        assert list(load_table().providers["vllm"].endpoint.private_networks) == ranges
