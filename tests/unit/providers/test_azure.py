"""Azure's names, versions and lists; what goes over the wire is in the golden cases."""

import orjson
import pytest

from providers.adapters.azure import AzureAdapter, check_api_version, check_deployment_name
from providers.errors import BadAnswer, ClientFault, Misconfigured, ServerFailed
from providers.specs import DeploymentSpec, ProviderSpec
from providers.transport import Endpoint
from providers.types import ClientRequest, Operation

ADAPTER = AzureAdapter()


def provider(base_path="", **options):
    endpoint = Endpoint(scheme="https", host="r.openai.azure.com", port=443)
    return ProviderSpec(id=1, name="azure", kind="azure", endpoint=endpoint, base_path=base_path, options=options)


@pytest.mark.parametrize("name", ["gpt-4o", "my_model.v2", "A", "x" * 64])
def test_takes_the_names_that_azure_takes(name):
    assert check_deployment_name(name) == name


@pytest.mark.parametrize("name", ["", "x" * 65, "a/b", "a b", "a?b", "a%2Fb", "..", ".", "é", "a\n"])
def test_refuses_names_that_must_not_reach_a_path(name):
    with pytest.raises(ValueError, match="deployment name"):
        check_deployment_name(name)


@pytest.mark.parametrize(
    ("version", "date"), [("2024-10-21", "2024-10-21"), ("2025-02-01-preview", "2025-02-01-preview")]
)
def test_a_date_chooses_the_dated_surface(version, date):
    assert check_api_version(version) == date


@pytest.mark.parametrize("version", ["", "v1", "latest", "preview"])
def test_everything_else_that_is_known_chooses_v1(version):
    assert check_api_version(version) is None


@pytest.mark.parametrize("version", ["2024", "2024-10-21&x=1", "v2", "2024-10-21-Preview!"])
def test_refuses_versions_that_are_none(version):
    with pytest.raises(ValueError, match="api_version"):
        check_api_version(version)


@pytest.mark.parametrize(
    ("configured", "path"),
    [
        (provider(), "/openai/v1/models"),
        (provider("/openai"), "/openai/v1/models"),
        (provider("/openai/v1"), "/openai/v1/models"),
        (provider(api_version="preview"), "/openai/v1/models?api-version=preview"),
        (provider(api_version="2024-10-21"), "/openai/models?api-version=2024-10-21"),
        (provider("/apim/openai", api_version="2024-10-21"), "/apim/openai/models?api-version=2024-10-21"),
    ],
)
def test_asks_for_models_on_the_surface_it_uses(configured, path):
    sent = ADAPTER.models_request(configured, "key")
    assert sent.path == path
    assert ("api-key", "key") in sent.headers


@pytest.mark.parametrize(
    ("of_provider", "of_deployment", "query"),
    [("preview", None, "?api-version=preview"), (None, "preview", "?api-version=preview"), ("preview", "v1", "")],
)
def test_a_deployments_own_version_chooses_the_preview(of_provider, of_deployment, query):
    deployment = DeploymentSpec(
        id=1, provider=provider(api_version=of_provider), model="m", upstream_model="d",
        options={"api_version": of_deployment} if of_deployment else {},
    )  # fmt: skip
    assert ADAPTER.path(Operation.CHAT, deployment) == f"/openai/v1/chat/completions{query}"


@pytest.mark.parametrize(("name", "version"), [("gpt-4o", "v2"), ("gpt 4o", "2024-10-21")])
def test_what_the_operator_entered_wrongly_is_not_the_clients_fault_and_goes_elsewhere(name, version):
    deployment = DeploymentSpec(id=1, provider=provider(api_version=version), model="m", upstream_model=name)
    with pytest.raises(Misconfigured, match="Provider 'azure' is not configured rightly") as raised:
        ADAPTER.path(Operation.CHAT, deployment)
    assert raised.value.fails_over
    assert raised.value.status == 502


def test_the_list_of_a_wrong_version_says_so():
    with pytest.raises(Misconfigured, match="'v2' is no Azure api_version"):
        ADAPTER.models_request(provider(api_version="v2"), "key")


def test_base_models_are_not_offered_as_deployments():
    assert ADAPTER.read_models(b'{"data": [{"id": "gpt-4o"}]}') == ()
    with pytest.raises(BadAnswer):
        ADAPTER.read_models(b"<html>")


def test_sends_no_header_without_a_key():
    assert ADAPTER.auth_headers("", provider()) == ()


@pytest.mark.parametrize(
    "choice",
    [
        {"index": 0, "delta": {"content": "x"}},
        {"index": 0, "delta": None},
        {"index": 0, "message": {"content": "x"}},
        {"index": 0, "text": "x"},
    ],
)
def test_only_a_chunk_that_lacks_its_delta_is_touched(choice):
    before = dict(choice)
    assert not ADAPTER.repair({"choices": [choice, None]})
    assert choice == before


def test_long_waits_are_capped_and_short_ones_are_not():
    body = b'{"error":{"code":"429","message":"x"}}'
    waits = [
        ADAPTER.read_error(429, {"retry-after": after}, body, provider="p").retry_after_s for after in ("86400", "7")
    ]
    assert waits == [120.0, 7.0]
    assert ADAPTER.read_error(429, {"retry-after-ms": "900000"}, body, provider="p").retry_after_s == 120.0


def test_messages_of_any_shape_pass():
    odd = [None, {"role": "user", "content": [None, {"type": "text"}, {"type": "image_url", "image_url": 3}]}]
    odd.append({"role": "assistant", "tool_calls": [None, {"function": {"arguments": "{}"}}]})
    asked = ClientRequest(operation=Operation.CHAT, model="m", body={})
    assert ADAPTER.shape({"messages": odd}, asked, None) == {"messages": odd}


def test_a_configured_path_wins():
    custom = provider(paths={"chat/completions": "/own/path"})
    deployment = DeploymentSpec(id=1, provider=custom, model="m", upstream_model="m")
    assert ADAPTER.path(Operation.CHAT, deployment) == "/own/path"


@pytest.mark.parametrize(
    "error",
    [
        {"message": "No such File object: file-abc", "type": "invalid_request_error", "param": "id", "code": None},
        {"message": "The previous response was not found.", "param": None, "code": "previous_response_not_found"},
    ],
)
def test_what_a_client_named_and_nobody_has_does_not_count_against_the_deployment(error):
    assert type(ADAPTER.read_error(404, {}, orjson.dumps({"error": error}), provider="p")) is ClientFault


def test_a_wrong_address_does():
    body = b'{"error":{"code":"404","message":"Resource not found"}}'
    assert type(ADAPTER.read_error(404, {}, body, provider="p")) is ServerFailed
