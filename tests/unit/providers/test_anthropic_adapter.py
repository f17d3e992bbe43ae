import json
from dataclasses import replace

import pytest

from providers import errors
from providers.adapters.anthropic import AnthropicAdapter, check_api_version, traits_of_model
from providers.specs import DeploymentSpec, ProviderSpec
from providers.transport import Endpoint
from providers.types import ClientRequest, Operation

ADAPTER = AnthropicAdapter()
PROVIDER = ProviderSpec(
    id=1,
    name="claude-main",
    kind="anthropic",
    endpoint=Endpoint(scheme="https", host="api.anthropic.com", port=443),
    base_path="",
)
SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object", "properties": {}}}}


def deployment(model="claude-sonnet-4-5", provider=PROVIDER, **fields):
    return DeploymentSpec(id=1, provider=provider, model="claude", upstream_model=model, **fields)


def with_options(**options):
    return replace(PROVIDER, options=options)


def request(operation=Operation.CHAT, **body):
    given = {"messages": [{"role": "user", "content": "hi"}]} if operation is Operation.CHAT else {"prompt": "hi"}
    return ClientRequest(
        operation=operation,
        model="claude",
        body={"model": "claude", **given, **body},
        stream=bool(body.get("stream")),
        include_usage=True,
    )


def prepared(asked=None, target=None, secret="sk-ant-x"):
    return ADAPTER.prepare(asked or request(), target or deployment(), secret)


def sent(asked=None, target=None):
    return json.loads(prepared(asked, target).body)


def test_the_headers_of_a_credential_are_made_once():
    target = deployment()
    first = prepared(target=target).headers
    assert prepared(target=target).headers is first
    assert prepared(target=deployment(provider=with_options(beta="b"))).headers != first
    assert prepared(target=target, secret="sk-ant-y").headers != first


class TestAddress:
    @pytest.mark.parametrize(
        ("base_path", "path"),
        [
            ("", "/v1/messages"),
            ("/v1", "/v1/messages"),
            ("/anthropic", "/anthropic/v1/messages"),
            ("/anthropic/v1", "/anthropic/v1/messages"),
        ],
    )
    def test_the_version_segment_is_completed_and_never_doubled(self, base_path, path):
        provider = replace(PROVIDER, base_path=base_path)
        assert prepared(target=deployment(provider=provider)).path == path
        assert ADAPTER.models_request(provider, "k").path == path.replace("messages", "models?limit=1000")

    def test_the_key_goes_in_its_own_header(self):
        headers = dict(prepared().headers)
        assert headers["x-api-key"] == "sk-ant-x"
        assert headers["anthropic-version"] == "2023-06-01"
        assert "authorization" not in headers

    def test_the_key_is_a_bearer_token_under_the_newer_version(self):
        headers = dict(prepared(target=deployment(provider=with_options(api_version="2026-10-21"))).headers)
        assert headers["authorization"] == "Bearer sk-ant-x"
        assert headers["anthropic-version"] == "2026-10-21"
        assert "x-api-key" not in headers

    def test_no_key_is_no_header(self):
        assert not {"x-api-key", "authorization"} & dict(prepared(secret="").headers).keys()

    @pytest.mark.parametrize("beta", ["a-1,b-2", ["a-1", "b-2"]])
    def test_beta_features_can_be_named(self, beta):
        assert (
            dict(prepared(target=deployment(provider=with_options(beta=beta))).headers)["anthropic-beta"] == "a-1,b-2"
        )

    @pytest.mark.parametrize("version", ["v1", "2026-10-21\r\nx-evil: 1", "latest"])
    def test_a_wrong_version_never_reaches_a_header(self, version):
        with pytest.raises(ValueError, match="api_version"):
            check_api_version(version)
        with pytest.raises(errors.ServerFailed, match="claude-main"):
            prepared(target=deployment(provider=with_options(api_version=version)))

    def test_the_request_names_the_upstreams_model(self):
        assert sent(target=deployment("claude-haiku-4-5"))["model"] == "claude-haiku-4-5"


class TestModelTable:
    @pytest.mark.parametrize(
        ("model", "prefill", "sampling", "forced", "adaptive", "structured"),
        [
            ("claude-3-5-sonnet-20241022", True, True, True, False, False),
            ("claude-3-opus-20240229", True, True, True, False, False),
            ("claude-2.1", True, True, True, False, False),
            ("claude-instant-1.2", True, True, True, False, False),
            ("claude-opus-4-20250514", True, True, True, False, False),
            ("claude-opus-4-1-20250805", True, True, True, False, False),
            ("claude-sonnet-4-5-20250929", True, True, True, False, True),
            ("claude-haiku-4-5", True, True, True, False, True),
            ("anthropic.claude-sonnet-4-5-v1:0", True, True, True, False, True),
            ("claude-opus-4-6", False, True, True, True, True),
            ("anthropic/claude-opus-4.6", False, True, True, True, True),
            ("claude-opus-4-7-20260416", False, False, True, True, True),
            ("claude-opus-4-8", False, False, True, True, True),
            ("claude-sonnet-5", False, False, True, True, True),
            ("claude-haiku-5-5", False, False, True, True, True),
            ("claude-mythos-preview", False, False, True, True, True),
            ("claude-fable-5", False, False, True, True, True),
            ("claude-fable-5-1", False, False, False, True, True),
            ("claude-opus-5-5", False, False, False, True, True),
            ("claude-opus-9", False, False, False, True, True),
            ("claude-latest", False, False, False, True, True),
            ("some-imitation", True, True, True, False, False),
        ],
    )
    def test_traits_follow_the_name(self, model, prefill, sampling, forced, adaptive, structured):
        traits = traits_of_model(model)
        assert (
            traits.prefill,
            traits.sampling,
            traits.forced_tools,
            traits.adaptive_thinking,
            traits.structured_output,
        ) == (prefill, sampling, forced, adaptive, structured)

    def test_thinking_that_cannot_be_switched_off(self):
        always = {"claude-fable-5", "claude-opus-5-5", "claude-mythos-preview"}
        models = {*always, "claude-opus-5", "claude-haiku-5-5", "claude-opus-4-8", "claude-opus-4-5"}
        assert {model for model in models if traits_of_model(model).always_thinking} == always

    def test_a_deployment_can_name_its_model_and_correct_the_table(self):
        asked = request(temperature=0.5)
        assert "temperature" in sent(asked, deployment("my-claude"))
        assert "temperature" not in sent(asked, deployment("my-claude", options={"base_model": "claude-opus-4-7"}))
        assert "temperature" in sent(asked, deployment("claude-opus-4-7", options={"traits": {"sampling": True}}))

    def test_a_correction_of_what_is_no_trait_is_told_as_such(self):
        with pytest.raises(errors.ServerFailed, match="traits"):
            prepared(target=deployment(options={"traits": {"telepathy": True}}))

    def test_sampling_goes_out_only_under_the_older_version(self):
        asked = request(temperature=0.5)
        assert sent(asked)["temperature"] == 0.5
        assert "temperature" not in sent(asked, deployment(provider=with_options(api_version="2026-10-21")))


class TestRequests:
    def test_max_tokens_is_the_deployments_without_the_clients(self):
        assert sent()["max_tokens"] == 4096
        assert sent(target=deployment(max_output_tokens=64000))["max_tokens"] == 64000
        assert sent(request(max_completion_tokens=5), deployment(max_output_tokens=64000))["max_tokens"] == 5

    def test_refusals_name_the_provider(self):
        with pytest.raises(errors.Unsupported, match="claude-main"):
            prepared(request(n=2))

    def test_embeddings_are_refused(self):
        with pytest.raises(errors.Unsupported):
            prepared(request(Operation.EMBEDDINGS))

    def test_a_text_completion_is_one_user_message(self):
        assert sent(request(Operation.COMPLETIONS))["messages"] == [{"role": "user", "content": "hi"}]

    @pytest.mark.parametrize("model", ["claude-sonnet-4-5", "claude-3-opus-20240229"])
    def test_structured_output_comes_back_as_text_whichever_way_it_was_asked(self, model):
        target = deployment(model)
        asked = request(response_format=SCHEMA)
        uses_tool = "tools" in sent(asked, target)
        assert uses_tool == (model == "claude-3-opus-20240229")
        block = {"type": "text", "text": '{"a":1}'}
        if uses_tool:
            name = sent(asked, target)["tools"][0]["name"]
            block = {"type": "tool_use", "id": "toolu_1", "name": name, "input": {"a": 1}}
        body = {"id": "msg_1", "model": model, "content": [block], "stop_reason": "tool_use", "usage": {}}
        answer = json.loads(ADAPTER.read_answer(asked, target, {}, json.dumps(body).encode()).body)
        assert answer["choices"][0]["message"]["content"] == '{"a":1}'
        assert answer["choices"][0]["finish_reason"] == "stop"


class TestModels:
    def test_the_list_gives_sizes_where_they_are_known(self):
        rows = [
            {"type": "model", "id": "claude-x", "max_input_tokens": 200000, "max_tokens": 64000},
            {"type": "model", "id": "claude-y", "max_input_tokens": None, "max_tokens": 0},
            {"no": "id"},
            "nothing",
        ]
        models = ADAPTER.read_models(json.dumps({"data": rows, "has_more": False}).encode())
        assert [(each.id, each.context_window, each.max_output_tokens) for each in models] == [
            ("claude-x", 200000, 64000),
            ("claude-y", None, None),
        ]

    @pytest.mark.parametrize("body", [b"{}", b"[]", b"nothing"])
    def test_what_is_no_list_is_a_bad_answer(self, body):
        with pytest.raises(errors.BadAnswer):
            ADAPTER.read_models(body)

    def test_errors_are_read_in_the_dialect(self):
        body = b'{"type":"error","error":{"type":"request_too_large","message":"Request exceeds the maximum size"}}'
        assert isinstance(ADAPTER.read_error(413, {}, body, provider="p"), errors.ContextOverflow)

    def test_a_refusal_names_the_provider_as_operators_do(self):
        message = "This model does not support assistant message prefill."
        error = {"type": "error", "error": {"type": "invalid_request_error", "message": message}}
        body = json.dumps(error).encode()
        told = [ADAPTER.read_error(400, {}, body, provider="claude-main")]
        with pytest.raises(errors.Unsupported) as caught:
            ADAPTER.read_answer(request(), deployment(), {}, body)
        told.append(caught.value)
        stream = ADAPTER.open_stream(request(stream=True), deployment())
        stream.feed(b"event: error\ndata: " + body + b"\n\n")
        told.append(stream.failure)
        for each in told:
            assert each.message.startswith("Provider 'claude-main' does not support 'messages'")

    @pytest.mark.parametrize(
        "body", [b'{"type":"error","error":{"type":"overloaded_error","message":"x"}}', b' \n{"error":"x"}']
    )
    def test_json_instead_of_a_stream_is_its_error(self, body):
        stream = ADAPTER.open_stream(request(stream=True), deployment())
        assert stream.feed(body) + stream.close() == b""
        assert isinstance(stream.failure, errors.Overloaded if b"overloaded" in body else errors.ServerFailed)
