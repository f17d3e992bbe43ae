"""What an OpenAI-compatible adapter sends, and how quirks change it."""

import base64
import json
import struct
from dataclasses import replace
from typing import Any

import pytest

from providers.adapters import REGISTRY, UnknownKindError, adapter_for
from providers.adapters.base import Quirks
from providers.adapters.credential_headers import join_headers
from providers.adapters.model_quirks import is_openai_reasoning_model, thinking_tools
from providers.adapters.openai import OpenAIAdapter
from providers.adapters.request_quirks import apply_quirks
from providers.errors import BadAnswer, Unsupported
from providers.specs import DeploymentSpec, ProviderSpec
from providers.transport import Endpoint
from providers.types import ClientRequest, JsonObject, Operation

PROVIDER = ProviderSpec(
    id=1, name="up", kind="openai", endpoint=Endpoint(scheme="https", host="h", port=443), base_path="/v1"
)
DEPLOYMENT = DeploymentSpec(id=1, provider=PROVIDER, model="m", upstream_model="u")


def request(operation: Operation = Operation.CHAT, *, stream: bool = False, **body: Any) -> ClientRequest:
    return ClientRequest(operation=operation, model="m", body={"model": "m", **body}, stream=stream)


def quirky(body: JsonObject, **quirks: Any) -> JsonObject:
    changed = dict(body)
    apply_quirks(changed, Quirks(**quirks), "up")
    return changed


class TestPrepare:
    def test_leaves_the_clients_body_alone(self) -> None:
        options = {"include_usage": False}
        asked = request(stream=True, messages=[], stream_options=options)
        OpenAIAdapter().prepare(asked, DEPLOYMENT, "sk")
        assert asked.body == {"model": "m", "messages": [], "stream_options": {"include_usage": False}}

    def test_sends_the_secret_in_one_header_only(self) -> None:
        sent = OpenAIAdapter().prepare(request(messages=[]), DEPLOYMENT, "sk-secret")
        assert [value for _, value in sent.headers if "sk-secret" in value] == ["Bearer sk-secret"]
        assert b"sk-secret" not in sent.body
        assert "sk-secret" not in repr(sent)

    @pytest.mark.parametrize(
        ("host", "sent"),
        [
            ("api.openai.com", {"reasoning_effort": "low"}),
            ("generativelanguage.googleapis.com", {"reasoning_effort": "low"}),
            ("api.groq.com", {"reasoning_effort": "low"}),
            ("api.mistral.ai", {"reasoning_effort": "high"}),
            ("llm.example", {"reasoning": {"effort": "low", "exclude": True}}),
        ],
    )
    def test_says_an_effort_in_the_word_that_the_host_takes(self, host: str, sent: JsonObject) -> None:
        """OpenRouter's clients say it in an object, which is refused where fields that are not known are."""
        there = replace(DEPLOYMENT, provider=replace(PROVIDER, endpoint=Endpoint(scheme="https", host=host, port=443)))
        asked = request(messages=[], reasoning={"effort": "low", "exclude": True})
        body = json.loads(OpenAIAdapter().prepare(asked, there, "sk").body)
        assert {name: value for name, value in body.items() if name.startswith("reasoning")} == sent

    @pytest.mark.parametrize(
        ("asked", "sent"),
        [
            ({"reasoning": {"effort": "low"}, "reasoning_effort": "high"}, {"reasoning_effort": "high"}),
            ({"reasoning": {"effort": "low"}, "reasoning_effort": None}, {"reasoning_effort": "low"}),
            ({"reasoning": {"max_tokens": 9}}, {}),
            ({"reasoning": None}, {}),
        ],
    )
    def test_of_two_efforts_openais_own_holds(self, asked: JsonObject, sent: JsonObject) -> None:
        body = json.loads(adapter_for("azure").prepare(request(messages=[], **asked), DEPLOYMENT, "sk").body)
        assert {name: value for name, value in body.items() if name.startswith("reasoning")} == sent

    @pytest.mark.parametrize(
        ("host", "store", "is_sent"),
        [
            ("api.openai.com", {}, False),
            ("eu.api.openai.com", {"store": False}, False),
            ("api.openai.com", {"store": None}, False),
            ("api.openai.com", {"store": True}, True),
            ("llm.example", {}, True),
        ],
    )
    def test_openai_is_not_sent_labels_of_what_it_does_not_store(
        self, host: str, store: JsonObject, is_sent: bool
    ) -> None:
        """400 "The 'metadata' parameter is only allowed when 'store' is enabled."; LiteLLM's clients send tags so."""
        there = replace(DEPLOYMENT, provider=replace(PROVIDER, endpoint=Endpoint(scheme="https", host=host, port=443)))
        asked = request(messages=[], metadata={"tags": ["a"]}, **store)
        assert ("metadata" in json.loads(OpenAIAdapter().prepare(asked, there, "sk").body)) is is_sent

    def test_tools_beside_an_effort_in_either_word_go_where_both_are_taken(self) -> None:
        endpoint = Endpoint(scheme="https", host="api.openai.com", port=443)
        model = replace(DEPLOYMENT, provider=replace(PROVIDER, endpoint=endpoint), upstream_model="gpt-5.4")
        tools = [{"type": "function", "function": {"name": "f"}}]
        for effort in ({"reasoning_effort": "low"}, {"reasoning": {"effort": "low"}}):
            adapter = OpenAIAdapter()
            assert adapter.serving(request(messages=[], tools=tools, **effort), model) is not adapter

    def test_options_that_are_no_quirks_apply_nothing_to_each_call(self) -> None:
        priced = replace(DEPLOYMENT, provider=replace(PROVIDER, options={"list_prices": True}))
        assert OpenAIAdapter().quirks_for(priced) is OpenAIAdapter().quirks_for(DEPLOYMENT)

    def test_sends_no_authorization_without_a_secret(self) -> None:
        assert "authorization" not in dict(OpenAIAdapter().prepare(request(messages=[]), DEPLOYMENT, "").headers)

    def test_asks_for_an_uncompressed_answer_whatever_is_configured(self) -> None:
        headers = join_headers(
            (("authorization", "a"),), (("Accept-Encoding", "gzip"), ("X-Org", "o"), ("Authorization", "b"))
        )
        assert dict(headers)["accept-encoding"] == "identity"
        assert dict(headers)["x-org"] == "o"
        assert dict(headers)["authorization"] == "b"
        assert len(headers) == len(dict(headers))

    @pytest.mark.parametrize(
        ("base_path", "path"),
        [
            ("", "/v1/embeddings"),
            ("/v1", "/v1/embeddings"),
            ("/openai/v1", "/openai/v1/embeddings"),
            ("/api", "/api/embeddings"),
        ],
    )
    def test_completes_the_base_path(self, base_path: str, path: str) -> None:
        deployment = replace(DEPLOYMENT, provider=replace(PROVIDER, base_path=base_path))
        sent = OpenAIAdapter().prepare(request(Operation.EMBEDDINGS, input="x"), deployment, "")
        assert sent.path == path
        assert json.loads(sent.body) == {"model": "u", "input": "x"}

    def test_lets_a_deployment_override_its_provider(self) -> None:
        provider = replace(PROVIDER, options={"max_tokens_field": "max_tokens"})
        deployment = replace(DEPLOYMENT, provider=provider, options={"max_tokens_field": "max_new_tokens"})
        sent = OpenAIAdapter().prepare(request(messages=[], max_completion_tokens=3), deployment, "")
        assert json.loads(sent.body)["max_new_tokens"] == 3


class TestQuirks:
    def test_drop_and_refuse_fields(self) -> None:
        assert quirky({"a": 1, "b": 2}, dropped=frozenset({"a"})) == {"b": 2}
        for absent in (None, [], {}, False):
            assert quirky({"a": absent}, refused=frozenset({"a"})) == {}
        assert quirky({"presence_penalty": 0}, refused=frozenset({"presence_penalty"})) == {}
        with pytest.raises(Unsupported, match="'up' does not support 'a'") as caught:
            quirky({"a": 0}, refused=frozenset({"a"}))
        assert caught.value.param == "a"

    def test_a_search_without_options_is_still_a_search(self):
        refused = frozenset({"web_search_options"})
        assert quirky({"web_search_options": None}, refused=refused) == {}
        with pytest.raises(Unsupported):
            quirky({"web_search_options": {}}, refused=refused)

    def test_rename_the_token_limit(self) -> None:
        both = {"max_tokens": 1, "max_completion_tokens": 2}
        assert quirky(both, max_tokens_field="max_tokens") == {"max_tokens": 2}
        assert quirky({"max_tokens": 1}, max_tokens_field="max_completion_tokens") == {"max_completion_tokens": 1}
        assert quirky({"max_tokens": None}, max_tokens_field="max_tokens") == {}
        assert quirky({}, max_tokens_field="max_tokens") == {}

    def test_simplify_messages_without_touching_the_clients(self) -> None:
        message = {
            "role": "user",
            "name": "n",
            "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        }
        body = {"messages": [message, {"role": "user", "content": [{"type": "image_url"}]}, "junk"]}
        changed = quirky(body, accepts_name_in_messages=False, flattens_text_parts=True)
        assert changed["messages"][0] == {"role": "user", "content": "a\nb"}
        assert changed["messages"][1:] == body["messages"][1:]
        assert message["name"] == "n"

    def test_take_strict_off_tools(self) -> None:
        tools = [{"type": "function", "function": {"name": "f", "strict": True}}, {"type": "custom", "custom": {}}]
        assert quirky({"tools": tools}, accepts_strict_tools=False)["tools"] == [
            {"type": "function", "function": {"name": "f"}},
            {"type": "custom", "custom": {}},
        ]
        assert tools[0]["function"]["strict"] is True


@pytest.mark.parametrize(
    "model",
    [
        "o1",
        "o1-mini",
        "o3",
        "o4-mini-2025",
        "gpt-5",
        "gpt-5-mini",
        "gpt-5.4",
        "gpt-6-sol",
        "openai/gpt-5",
        "codex-mini",
    ],
)
def test_knows_models_that_reason(model: str) -> None:
    assert is_openai_reasoning_model(model)


@pytest.mark.parametrize(
    "model", ["gpt-4o", "gpt-4.1", "gpt-3.5-turbo", "gpt-5-chat-latest", "gpt-oss-120b", "foo1", "llama-o1x", "o10x"]
)
def test_knows_models_that_do_not(model: str) -> None:
    assert not is_openai_reasoning_model(model)


class TestModels:
    def test_are_listed_with_the_sizes_that_servers_add(self) -> None:
        rows = [
            {"id": "a", "context_length": 8192, "top_provider": {"max_completion_tokens": 100}},
            {"id": "b", "max_model_len": 4096.0},
            {"id": "c", "context_window": None, "max_output_tokens": 5},
            {"id": "d", "max_context_length": 32768},
            {"id": 5},
            "junk",
        ]
        models = OpenAIAdapter().read_models(json.dumps({"data": rows}).encode())
        found = [(model.id, model.context_window, model.max_output_tokens) for model in models]
        assert found == [("a", 8192, 100), ("b", 4096, None), ("c", None, 5), ("d", 32768, None)]

    @pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"data":5}', b"5"])
    def test_that_are_no_list_are_refused(self, body: bytes) -> None:
        with pytest.raises(BadAnswer):
            OpenAIAdapter().read_models(body)


def test_the_registry_names_every_kind_once() -> None:
    assert all(adapter.kind == kind for kind, adapter in REGISTRY.items())
    assert {"openai", "anthropic", "grok", "perplexity", "blackbox", "openrouter", "cohere", "azure"} <= set(REGISTRY)
    with pytest.raises(UnknownKindError, match="openai"):
        adapter_for("nonesuch")


class TestCallsOfAnAnswer:
    @pytest.mark.parametrize("id", [{}, {"id": ""}, {"id": None}])
    def test_without_ids_get_those_they_would_have_in_a_stream(self, id: JsonObject) -> None:
        """Without ids nobody could tell which result is whose."""
        calls = [{**id, "function": {"name": name, "arguments": "{}"}} for name in "fg"]
        body = json.dumps({"choices": [{"message": {"tool_calls": [*calls, {"id": "own"}]}}]}).encode()
        read = OpenAIAdapter().read_answer(request(messages=[]), DEPLOYMENT, {}, body)
        named = json.loads(read.body)["choices"][0]["message"]["tool_calls"]
        assert [call["id"] for call in named] == ["call_0", "call_1", "own"]

    @pytest.mark.parametrize(
        ("calls", "choice", "reason"),
        [
            ([{"id": "a", "function": {"name": "f", "arguments": "{}"}}], "auto", "tool_calls"),
            ([{"id": "a", "function": {"name": "f", "arguments": "{}"}}], {"type": "function"}, "stop"),
            ("None", "auto", "stop"),
            ([], "auto", "stop"),
        ],
    )
    def test_are_why_it_ended_where_the_client_named_no_tool(self, calls: object, choice: object, reason: str) -> None:
        body = json.dumps({"choices": [{"message": {"tool_calls": calls}, "finish_reason": "stop"}]}).encode()
        read = OpenAIAdapter().read_answer(request(messages=[], tool_choice=choice), DEPLOYMENT, {}, body)
        assert read.finish_reason == json.loads(read.body)["choices"][0]["finish_reason"] == reason

    @pytest.mark.parametrize("calls", [None, {}, "None", [None], [{"id": "a"}]])
    def test_other_answers_pass_as_they_came(self, calls: object) -> None:
        over = {"finish_reason": "length"}
        body = json.dumps({"choices": [{"message": {"tool_calls": calls}, **over}, {"text": "x", **over}]}).encode()
        assert OpenAIAdapter().read_answer(request(messages=[]), DEPLOYMENT, {}, body).body == body


class TestEmbeddings:
    """OpenAI's client for JavaScript decodes what it asked for as base64, whatever came."""

    @staticmethod
    def answered(vector: object, **asked: Any) -> Any:
        body = json.dumps({"data": [{"index": 0, "embedding": vector}]}).encode()
        read = OpenAIAdapter().read_answer(request(Operation.EMBEDDINGS, input="x", **asked), DEPLOYMENT, {}, body)
        return json.loads(read.body)["data"][0]["embedding"]

    def test_numbers_are_packed_where_base64_was_asked_for(self) -> None:
        packed = self.answered([0.5, -2, 1], encoding_format="base64")
        assert struct.unpack("<3f", base64.b64decode(packed)) == (0.5, -2.0, 1.0)

    def test_what_comes_as_asked_stays_as_it_is(self) -> None:
        assert self.answered("AAAAPw==", encoding_format="base64") == "AAAAPw=="
        assert self.answered([0.5]) == self.answered([0.5], encoding_format="float") == [0.5]

    @pytest.mark.parametrize("wrong", [["x"], [None], [1e300], [[1]]])
    def test_what_is_no_list_of_numbers_is_no_answer(self, wrong: list[Any]) -> None:
        with pytest.raises(BadAnswer):
            self.answered(wrong, encoding_format="base64")


@pytest.mark.parametrize(
    ("model", "where"),
    [
        ("gpt-4o", "chat"),
        ("gpt-5-mini", "chat"),
        ("gpt-5.2", "chat"),
        ("gpt-5.4-mini", "responses for an effort"),
        ("ft:gpt-5.5:org::1", "responses for an effort"),
        ("gpt-5.6-Luna", "responses"),
        ("gpt-5.10", "responses"),
        ("openai/gpt-6", "responses"),
        ("gpt-60-sol", "responses"),
        ("gpt-6-chat-latest", "chat"),
        ("mygpt-6", "chat"),
        ("o3", "chat"),
    ],
)
def test_where_a_model_that_thinks_is_given_tools(model: str, where: str) -> None:
    assert thinking_tools(model) == where
