"""Whatever a source answers, it is findings or a failure of that source: never an error that ends the look at all of them."""

import asyncio
import contextlib
import copy
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.control_plane import Answer
from providers.discovery import consul, kubernetes, registry
from providers.discovery.found import AddressRules, Findings, SourceFailed
from providers.discovery.settings import ConsulPlace, KubernetesPlace, RegistryPlace
from providers.transport import Endpoint, UpstreamRequest
from tests.unit.providers.test_discovery_sources import INSTANCE, SERVICE, SLICE

RULES = AddressRules(allow_cidrs=("10.0.0.0/8",), allow_env=frozenset({"KEY"}))
ENTRY = {
    "name": "eu", "base_url": "https://eu.example/v1", "kind": "openai", "models": ["m", {"name": "n"}], "priority": 1,
    "tags": ["eu"], "api_key_env": "KEY",
}  # fmt: skip
NOTED = {**SERVICE["metadata"]["annotations"], "llm-proxy/priority": "2", "llm-proxy/api-key-env": "KEY"}
ANSWERS: dict[str, Any] = {
    "/registry": {"providers": [ENTRY, {**ENTRY, "name": "us"}]},
    "/v1/catalog/services": {"llm": ["llm-proxy"]},
    "/v1/health/service/llm": [INSTANCE, {**INSTANCE, "Service": {**INSTANCE["Service"], "ID": "llm-2"}}],
    "/api/v1/namespaces/ai/services": {
        "items": [{**SERVICE, "metadata": {**SERVICE["metadata"], "annotations": NOTED}}]
    },
    "/apis/discovery.k8s.io/v1/namespaces/ai/endpointslices": {"items": [SLICE]},
}
JUNK = st.sampled_from([None, True, 0, -1, 1.5, "", "x", "²", "9" * 5000, "\x00", [], [None], {}, {"a": 1}, [[]], "🂡"])


class Client:
    """Answers from memory."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers

    async def send(self, endpoint: Endpoint, request: UpstreamRequest) -> Answer:
        return Answer(status=200, headers={}, body=orjson.dumps(self.answers[request.path.partition("?")[0]]))


def of_kubernetes(resource: str) -> Callable[[Any], Any]:
    place = KubernetesPlace(api_url="http://10.0.0.1", namespace="ai", resource=resource)
    return lambda client: kubernetes.look(client, place, RULES)


LOOKS: dict[str, Callable[[Any], Any]] = {
    "registry": lambda client: registry.look(client, RegistryPlace(url="http://10.0.0.1/registry"), RULES),
    "consul": lambda client: consul.look(client, ConsulPlace(url="http://10.0.0.1"), RULES),
    "services": of_kubernetes("services"),
    "endpointslices": of_kubernetes("endpointslices"),
}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        yield (*path, name)
        yield from places(inner, (*path, name))


def spoilt(place: tuple[Any, ...], junk: Any) -> dict[str, Any]:
    answers = copy.deepcopy(ANSWERS)
    inner: Any = answers
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = junk
    return answers


@pytest.mark.parametrize("source", LOOKS)
def test_the_answers_are_understood_as_they_are(source: str) -> None:
    findings: Findings = asyncio.run(LOOKS[source](Client(ANSWERS)))
    assert (len(findings.found) > 0, findings.refused) == (True, ())


@pytest.mark.parametrize("source", LOOKS)
@settings(max_examples=150, deadline=None)
@given(place=st.sampled_from(list(places(ANSWERS))), junk=JUNK)
def test_no_answer_ends_the_look_at_the_other_sources(source: str, place: tuple[Any, ...], junk: Any) -> None:
    with contextlib.suppress(SourceFailed):
        findings: Findings = asyncio.run(LOOKS[source](Client(spoilt(place, junk))))
        assert "\x00" not in "".join(item.external_id for item in findings.found)
