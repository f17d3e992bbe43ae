"""What discovery finds again under its name or its id, changed or not, and what it finds twice."""

from collections.abc import Iterator

import pytest

from providers.discovery.adoption import approve
from providers.discovery.looking import discover
from providers.models import Credential, Discovered, Provider
from routing.discovery_settings import read_discovery_settings
from routing.table_loader import load_table
from tests.integration.configuration.conftest import Load, entry, served
from tests.unit.providers.test_discovery_sources import Source
from tests.upstreams.servers import run_asgi

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_comes_back_as_something_else_waits_for_approval(load: Load, registry: tuple[Source, str]):
    source, url = registry
    load(f"discovery: {{registry: '{url}', vanish_after: 1, allow_env: [KEY]}}")
    discover(approve_all=True)
    source.answers["/"] = [entry("us")]
    discover()
    source.answers["/"] = [entry("eu", base_url="https://elsewhere.example", api_key_env="KEY"), entry("us")]
    report = discover()

    assert (report["proposed"], served()) == (["eu"], {"model-of-us"})
    assert not Credential.objects.exists()
    approve(Discovered.objects.get(name="eu"), read_discovery_settings().addresses)
    assert served() == {"model-of-eu", "model-of-us"}
    assert Provider.objects.get(name="eu").base_url == "https://elsewhere.example"


def test_a_change_that_nobody_approved_is_not_live_for_having_been_away(load: Load, registry: tuple[Source, str]):
    source, url = registry
    load(f"discovery: {{registry: '{url}', vanish_after: 1}}")
    discover(approve_all=True)
    for _ in range(2):
        source.answers["/"] = [entry("us")]
        discover()
        source.answers["/"] = [entry("eu", base_url="https://elsewhere.example"), entry("us")]
        report = discover()

    assert (report["proposed"], served()) == (["eu"], {"model-of-us"})
    assert Provider.objects.get(name="eu").base_url != "https://elsewhere.example"


def services(*uids: str) -> dict[str, object]:
    named = {"name": "vllm", "namespace": "ai", "annotations": {"llm-proxy/models": "m"}}
    return {"items": [{"metadata": {**named, "uid": uid}, "spec": {"ports": [{"port": 80}]}} for uid in uids]}


@pytest.fixture
def kubernetes() -> Iterator[tuple[Source, str, str]]:
    source = Source()
    with run_asgi(source) as url:
        yield source, url, "/api/v1/namespaces/ai/services"


@pytest.mark.parametrize("vanish_after", [1, 2])
def test_a_service_made_anew_under_its_name_stays_live(
    load: Load, kubernetes: tuple[Source, str, str], vanish_after: int
):
    source, url, path = kubernetes
    of_cluster = f"kubernetes: {{api_url: '{url}', namespace: ai}}"
    load(f"discovery: {{{of_cluster}, auto_approve: true, vanish_after: {vanish_after}, drain_seconds: 0}}")
    source.answers[path] = services("u-1")
    discover()
    source.answers[path] = services("u-2")
    for _ in range(4):
        discover()
        assert served() == {"m"}
    assert dict(Discovered.objects.values_list("external_id", "state")) == {"u-1": "disabled", "u-2": "approved"}


def test_two_that_are_shown_under_one_name_do_not_share_a_provider(load: Load, kubernetes: tuple[Source, str, str]):
    source, url, path = kubernetes
    load(f"discovery: {{kubernetes: {{api_url: '{url}', namespace: ai}}, auto_approve: true, vanish_after: 1}}")
    source.answers[path] = services("u-1", "u-2")
    discover()
    assert "found as u-1 by kubernetes as well" in Discovered.objects.get(external_id="u-2").note
    for left in ("u-1", "u-2"):
        source.answers[path] = services(left)
        discover()
        discover()
        assert served() == {"m"}


def test_a_range_that_is_allowed_later_holds_for_what_is_live_already(load: Load, kubernetes: tuple[Source, str, str]):
    source, url, path = kubernetes
    source.answers[path] = services("u-1")
    place = f"kubernetes: {{api_url: '{url}', namespace: ai}}"
    for ranges in ([], ["10.96.0.0/12"], ["10.0.0.0/24"]):
        load(f"discovery: {{{place}, auto_approve: true, allow_cidrs: {ranges}}}")
        discover()
        assert list(load_table().providers["vllm"].endpoint.private_networks) == ranges


def test_who_lost_its_name_to_another_while_unseen_asks_for_it_again(load: Load, kubernetes: tuple[Source, str, str]):
    source, url, path = kubernetes
    of_cluster = f"kubernetes: {{api_url: '{url}', namespace: ai}}"
    load(f"discovery: {{{of_cluster}, auto_approve: true, vanish_after: 2, drain_seconds: 0}}")
    for shown in (("u-1",), ("u-1", "u-2"), ("u-2",), ("u-1", "u-2"), ("u-1", "u-2")):
        source.answers[path] = services(*shown)
        discover()
    first = Discovered.objects.get(external_id="u-1")
    assert (first.state, first.note) == (
        "proposed", "a provider named vllm was found as u-2 by kubernetes as well; rename one of the two"
    )  # fmt: skip
    source.answers[path] = services("u-1")
    for _ in range(3):
        discover()
        assert served() == {"m"}


def test_who_is_seen_again_keeps_its_provider_before_another_of_its_name(
    load: Load, kubernetes: tuple[Source, str, str]
):
    source, url, path = kubernetes
    of_cluster = f"kubernetes: {{api_url: '{url}', namespace: ai}}"
    load(f"discovery: {{{of_cluster}, auto_approve: true, vanish_after: 2, drain_seconds: 0}}")
    for shown in (("u-1",), (), ("u-2", "u-1")):
        source.answers[path] = services(*shown)
        discover()
    assert dict(Discovered.objects.values_list("external_id", "state")) == {"u-1": "approved", "u-2": "proposed"}
    source.answers[path] = services("u-1")
    for _ in range(4):
        discover()
        assert served() == {"m"}
