"""What the gateway relies on, asked of every adapter in the registry."""

import copy
import json
import re
from typing import Any, ClassVar

import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from providers.adapters import REGISTRY
from providers.adapters.base import Adapter
from providers.adapters.openai_compatible import OpenAICompatibleAdapter
from providers.dialects.sse import DONE
from providers.errors import (
    BadAnswer,
    ClientFault,
    CredentialRejected,
    Overloaded,
    RateLimited,
    ServerFailed,
    StreamTruncated,
    Unsupported,
    UpstreamError,
)
from providers.types import Operation, Usage
from routing.errors import error_body
from tests.contract.asking import MODELS, SECRET, WEATHER, asked, deployed, fold, served, values
from tests.contract.exchanges import CALLS, EXCHANGES, INPUT, OUTPUT, TEXT

ZEROED = re.compile(rb'"((?:input|output|prompt|completion|total)_tokens)": ?[\d.]+')
UNSAID = re.compile(rb'"((?:output|completion|total)_tokens)": ?[\d.]+')


def test_every_kind_has_an_exchange_to_be_tested_with() -> None:
    assert set(EXCHANGES) == set(REGISTRY)


class TestRequests:
    def test_are_complete_and_private(self, adapter: Adapter) -> None:
        for operation in served(adapter):
            sent = adapter.prepare(asked(operation), deployed(adapter), SECRET)
            headers = dict(sent.headers)
            assert sent.method == "POST"
            assert sent.path.startswith("/")
            assert len(headers) == len(sent.headers)
            assert all(name == name.lower() for name in headers)
            assert headers["content-type"] == "application/json"
            assert headers["accept-encoding"] == "identity"
            assert headers["x-configured"] == "yes"
            assert not {"host", "content-length", "connection"} & headers.keys()
            assert sum(SECRET in value for value in headers.values()) == 1
            assert SECRET not in sent.path + sent.body.decode() + repr(sent)
            assert isinstance(json.loads(sent.body), dict)

    def test_leave_the_clients_body_as_it_was(self, adapter: Adapter) -> None:
        rich = {
            "messages": [
                {"role": "system", "content": [{"type": "text", "text": "s"}], "name": "n"},
                {"role": "user", "content": "Hi"},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {"id": "a", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
                    ],
                },
                {"role": "tool", "tool_call_id": "a", "content": "sun"},
            ],
            "temperature": 1.0,
        }
        for operation in served(adapter):
            request = asked(
                operation, stream=operation is not Operation.EMBEDDINGS, **(rich if operation is Operation.CHAT else {})
            )
            before = copy.deepcopy(request.body)
            adapter.prepare(request, deployed(adapter), SECRET)
            assert request.body == before

    def test_say_the_upstreams_model(self, adapter: Adapter) -> None:
        for operation in served(adapter):
            sent = adapter.prepare(asked(operation), deployed(adapter), SECRET)
            assert json.loads(sent.body).get("model", "up") == MODELS.get(adapter.kind, "up")

    def test_of_operations_it_lacks_are_refused_as_unsupported(self, adapter: Adapter) -> None:
        for operation in set(Operation) - adapter.operations:
            with pytest.raises(Unsupported) as caught:
                adapter.prepare(asked(operation), deployed(adapter), SECRET)
            assert caught.value.fails_over
            assert "the-provider" in caught.value.message

    def test_never_lose_the_clients_own_documents(self, adapter: Adapter) -> None:
        """Left out, Azure's `data_sources` would become an answer without them."""
        sources = [{"type": "azure_search", "parameters": {"index_name": "ours"}}]
        request = asked(data_sources=sources)
        if isinstance(adapter, OpenAICompatibleAdapter):
            assert json.loads(adapter.prepare(request, deployed(adapter), SECRET).body)["data_sources"] == sources
        else:
            with pytest.raises(Unsupported, match="data_sources"):
                adapter.prepare(request, deployed(adapter), SECRET)

    def test_never_lose_a_turn_that_was_spoken(self, adapter: Adapter) -> None:
        """Its text is where its recording is kept; left out, the next turn would answer nothing."""
        spoken = {"role": "assistant", "audio": {"id": "audio_1"}}
        request = asked(messages=[{"role": "user", "content": "a"}, spoken, {"role": "user", "content": "b"}])
        if isinstance(adapter, OpenAICompatibleAdapter):
            assert spoken in json.loads(adapter.prepare(request, deployed(adapter), SECRET).body)["messages"]
        else:
            with pytest.raises(Unsupported, match="messages"):
                adapter.prepare(request, deployed(adapter), SECRET)

    def test_go_to_the_same_place_with_and_without_the_version(self, adapter: Adapter) -> None:
        if not adapter.default_base_url:
            return
        path = (
            "/" + "/".join(adapter.default_base_url.split("/")[3:]) if adapter.default_base_url.count("/") > 2 else ""
        )
        paths = {adapter.prepare(asked(), deployed(adapter, base), SECRET).path for base in ("", path)}
        assert len(paths) == 1


class TestAnswers:
    def test_come_out_as_openai_says_them(self, adapter: Adapter) -> None:
        delivered = adapter.read_answer(asked(), deployed(adapter), {}, EXCHANGES[adapter.kind].answer)
        answer = json.loads(delivered.body)
        assert {"id", "object", "created", "model", "choices", "usage"} <= answer.keys()
        assert answer["object"] == "chat.completion"
        choice = answer["choices"][0]
        assert choice["finish_reason"] == delivered.finish_reason == "tool_calls"
        assert choice["message"]["role"] == "assistant"
        assert choice["message"]["content"] == "".join(TEXT)
        calls = [
            (c["id"], c["function"]["name"], json.loads(c["function"]["arguments"]))
            for c in choice["message"]["tool_calls"]
        ]
        assert calls == [(identifier, name, json.loads(arguments)) for identifier, name, arguments in CALLS]
        assert delivered.usage is not None
        assert (delivered.usage.input_tokens, delivered.usage.output_tokens) == (INPUT, OUTPUT)
        assert answer["usage"]["total_tokens"] == INPUT + OUTPUT

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"[]",
            b"{}",
            b"null",
            b"<html>",
            b"\xff",
            b'"text"',
            b"5",
            b'{"choices":5}',
            b'{"choices":[5]}',
            b'{"content":5}',
            b'{"message":5}',
            b'{"output":5}',
            b'{"error":{"message":"x"}}',
            b'{"error":"x"}',
            b'{"message":"x"}',
        ],
    )
    def test_of_a_wrong_shape_are_upstream_errors(self, adapter: Adapter, body: bytes) -> None:
        for operation in served(adapter):
            with pytest.raises(UpstreamError) as caught:
                adapter.read_answer(asked(operation), deployed(adapter), {}, body)
            assert caught.value.message


class TestStreams:
    def test_say_what_the_answer_says(self, adapter: Adapter) -> None:
        stream = adapter.open_stream(asked(stream=True, include_usage=True), deployed(adapter))
        sent = stream.feed(EXCHANGES[adapter.kind].stream) + stream.close()
        chunks = values(sent)
        assert chunks[-1] == "[DONE]"
        assert chunks[-2]["choices"] == []
        assert chunks[-2]["usage"]["total_tokens"] == INPUT + OUTPUT
        text, calls, roles, reasons = fold(chunks[:-2])
        assert text == "".join(TEXT)
        assert [(i, n, json.loads(a)) for i, n, a in calls] == [(i, n, json.loads(a)) for i, n, a in CALLS]
        assert roles == ["assistant"]
        assert reasons == ["tool_calls"]
        assert stream.ended
        assert stream.failure is None
        assert stream.usage is not None
        assert (stream.usage.input_tokens, stream.usage.output_tokens) == (INPUT, OUTPUT)
        assert stream.delivered_text().startswith("".join(TEXT))

    def test_name_every_chunk_alike(self, adapter: Adapter) -> None:
        stream = adapter.open_stream(asked(stream=True, include_usage=True), deployed(adapter))
        chunks = values(stream.feed(EXCHANGES[adapter.kind].stream))[:-1]
        assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks}) == 1

    def test_hide_usage_from_clients_that_did_not_ask(self, adapter: Adapter) -> None:
        stream = adapter.open_stream(asked(stream=True), deployed(adapter))
        chunks = values(stream.feed(EXCHANGES[adapter.kind].stream) + stream.close())
        assert all(chunk == "[DONE]" or (chunk["choices"] and not chunk.get("usage")) for chunk in chunks)
        assert stream.usage is not None

    def test_start_with_the_first_thing_said(self, adapter: Adapter) -> None:
        stream = adapter.open_stream(asked(stream=True), deployed(adapter))
        for event in EXCHANGES[adapter.kind].events:
            has_text = TEXT[0].encode() in event
            stream.feed(event)
            assert stream.started == has_text
            if has_text:
                break

    def test_cut_anywhere_never_look_complete(self, adapter: Adapter) -> None:
        body = EXCHANGES[adapter.kind].stream
        for at in range(0, len(body), 7):
            stream = adapter.open_stream(asked(stream=True), deployed(adapter))
            sent = (stream.feed(body[:at]) if at else b"") + stream.close()
            if stream.ended:
                assert stream.finish_reason == "tool_calls"
                assert sent.endswith(DONE)
            else:
                assert isinstance(stream.failure, StreamTruncated)
                assert not sent.endswith(DONE)

    @pytest.mark.parametrize(
        "body",
        [
            b'{"error":{"message":"x"}}',
            b'{"message":"x"}',
            b"<html></html>",
            b"data: nonsense\n\n",
            b"data: \xff\n\n",
            b"data: [1]\n\n",
            b"",
        ],
    )
    def test_that_are_none_fail(self, adapter: Adapter, body: bytes) -> None:
        stream = adapter.open_stream(asked(stream=True), deployed(adapter))
        sent = (stream.feed(body) if body else b"") + stream.close()
        assert sent == b""
        assert stream.failure is not None
        assert stream.failure.fails_over
        assert not stream.ended
        assert not stream.started

    def test_that_never_end_an_event_fail(self, adapter: Adapter) -> None:
        stream = adapter.open_stream(asked(stream=True), deployed(adapter))
        for _ in range(17):
            stream.feed(b"data: " + b"x" * (1 << 20))
        assert isinstance(stream.failure, BadAnswer)

    def test_can_be_given_a_usage_that_was_counted(self, adapter: Adapter) -> None:
        stream: Any = adapter.open_stream(asked(stream=True, include_usage=True), deployed(adapter))
        stream.feed(b"".join(EXCHANGES[adapter.kind].events[:4]))
        frame = values(stream.usage_frame(Usage(input_tokens=1, output_tokens=2)))[0]
        assert frame["choices"] == []
        assert frame["usage"]["total_tokens"] == 3
        assert frame["id"] == "c-1"


class TestFunctions:
    """The interface before tools. Upstreams of OpenAI's own dialect are asked in it, and answer in it themselves."""

    OLD: ClassVar[Any] = {"tools": None, "functions": [WEATHER["function"]]}

    def test_are_answered_as_they_were_asked_for(self, adapter: Adapter) -> None:
        if isinstance(adapter, OpenAICompatibleAdapter):
            return
        delivered = adapter.read_answer(asked(**self.OLD), deployed(adapter), {}, EXCHANGES[adapter.kind].answer)
        (choice,) = json.loads(delivered.body)["choices"]
        assert choice["finish_reason"] == "function_call"
        assert "tool_calls" not in choice["message"]
        _, name, arguments = CALLS[0]
        called = choice["message"]["function_call"]
        assert (called["name"], json.loads(called["arguments"])) == (name, json.loads(arguments))

    def test_are_streamed_so_that_the_official_client_reads_them(self, adapter: Adapter) -> None:
        if isinstance(adapter, OpenAICompatibleAdapter):
            return
        stream = adapter.open_stream(asked(stream=True, **self.OLD), deployed(adapter))
        state = ChatCompletionStreamState()
        for chunk in values(stream.feed(EXCHANGES[adapter.kind].stream) + stream.close())[:-1]:
            state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
        choice = state.current_completion_snapshot.choices[0]
        assert choice.finish_reason == "function_call"
        assert choice.message.tool_calls is None
        assert choice.message.content == "".join(TEXT)
        _, name, arguments = CALLS[0]
        called = choice.message.function_call
        assert called is not None
        assert (called.name, json.loads(called.arguments)) == (name, json.loads(arguments))

    def test_beside_tools_are_not_asked_for(self, adapter: Adapter) -> None:
        both = {"functions": [WEATHER["function"]]}
        delivered = adapter.read_answer(asked(**both), deployed(adapter), {}, EXCHANGES[adapter.kind].answer)
        assert json.loads(delivered.body)["choices"][0]["message"]["tool_calls"]


class TestZeros:
    """Of servers that did not count. No answer uses nothing: there is text to be counted from, and no usage."""

    def test_are_no_usage_of_an_answer(self, adapter: Adapter) -> None:
        answer = ZEROED.sub(rb'"\1": 0', EXCHANGES[adapter.kind].answer)
        delivered = adapter.read_answer(asked(), deployed(adapter), {}, answer)
        assert delivered.usage is None
        assert "".join(TEXT) in delivered.text

    def test_are_no_usage_of_a_stream(self, adapter: Adapter) -> None:
        stream = adapter.open_stream(asked(stream=True, include_usage=True), deployed(adapter))
        chunks = values(stream.feed(ZEROED.sub(rb'"\1": 0', EXCHANGES[adapter.kind].stream)) + stream.close())
        assert stream.ended
        assert stream.usage is None
        assert not any(chunk.get("usage") for chunk in chunks[:-1])
        assert "".join(TEXT) in stream.delivered_text()


class TestNoOutput:
    """Of servers that counted the prompt alone: there is text to be counted from."""

    def test_of_an_answer_with_text_can_be_counted(self, adapter: Adapter) -> None:
        answer = UNSAID.sub(rb'"\1": 0', EXCHANGES[adapter.kind].answer)
        delivered = adapter.read_answer(asked(), deployed(adapter), {}, answer)
        assert delivered.usage is not None
        assert (delivered.usage.input_tokens > 0, delivered.usage.output_tokens) == (True, 0)
        assert "".join(TEXT) in delivered.text


class TestErrors:
    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (400, ClientFault),
            (401, CredentialRejected),
            (403, CredentialRejected),
            (422, ClientFault),
            (429, RateLimited),
            (500, ServerFailed),
            (502, ServerFailed),
            (503, Overloaded),
        ],
    )
    @pytest.mark.parametrize(
        "body",
        [
            b'{"error":{"message":"no","type":null,"code":null}}',
            b'{"message":"no"}',
            b'{"type":"error","error":{"type":"x","message":"no"}}',
            b"",
            b"<html>",
            b"[]",
            b"null",
            b"\xff",
        ],
    )
    def test_have_the_consequence_of_their_status(
        self, adapter: Adapter, status: int, kind: type[UpstreamError], body: bytes
    ) -> None:
        error = adapter.read_error(status, {}, body, provider=adapter.kind)
        assert isinstance(error, kind)
        assert error.upstream_status == status
        assert error.message
        assert len(json.dumps(error_body(error))) < 10_000

    def test_carry_the_wait(self, adapter: Adapter) -> None:
        assert adapter.read_error(429, {"retry-after": "7"}, b"{}", provider=adapter.kind).retry_after_s == 7

    def test_show_no_secret(self, adapter: Adapter) -> None:
        for status in (400, 401, 404, 429, 500):
            text = json.dumps({"error": {"message": f"key {SECRET} refused"}, "message": f"Bearer {SECRET}"}).encode()
            error = adapter.read_error(status, {}, text, provider=adapter.kind)
            assert SECRET not in json.dumps(error_body(error)) + str(error.detail)


class TestModelLists:
    def test_are_asked_for_with_the_credential(self, adapter: Adapter) -> None:
        sent = adapter.models_request(deployed(adapter).provider, SECRET)
        if sent is not None:
            assert sent.method == "GET"
            assert sent.path.startswith("/")
            assert SECRET not in sent.path
            assert any(SECRET in value for _, value in sent.headers)

    @pytest.mark.parametrize("body", [b"", b"{}", b"<html>", b"5", b'{"data":5,"models":5}'])
    def test_of_a_wrong_shape_are_bad_answers(self, adapter: Adapter, body: bytes) -> None:
        with pytest.raises(BadAnswer):
            adapter.read_models(body)
