"""The same-dialect stream where something is broken or odd."""

from typing import Any

import pytest

from providers.dialects.relay import RelayStream
from providers.dialects.sse import DONE
from providers.errors import (
    BadAnswer,
    ContextOverflow,
    CredentialRejected,
    Overloaded,
    RateLimited,
    ServerFailed,
    StreamTruncated,
)
from providers.types import ClientRequest, Operation, Usage
from tests.unit.providers.relay_events import COUNTS, NAMES, ROLE, frame, open_stream, values, words


class TestFailures:
    @pytest.mark.parametrize(
        ("event", "kind"),
        [
            ({"error": {"message": "boom", "type": "server_error", "code": None}}, ServerFailed),
            ({**NAMES, "error": {"code": 502, "message": "gone"}, "choices": []}, ServerFailed),
            ({"error": {"code": 429, "message": "slow down"}}, RateLimited),
            ({"error": {"message": "x", "type": "overloaded_error"}}, Overloaded),
            ({"code": "The service is currently unavailable", "error": "down"}, Overloaded),
            ({"error": {"message": "x", "code": "context_length_exceeded"}}, ContextOverflow),
            ({"error": "a mere text"}, ServerFailed),
            ({**NAMES, "choices": [{"index": 0, "delta": {}, "finish_reason": "error"}]}, ServerFailed),
        ],
    )
    def test_are_recognised_in_events(self, event: Any, kind: type[Exception]) -> None:
        stream = open_stream()
        sent = stream.feed(ROLE + words(1)[0] + frame(event) + words(1)[0])
        assert sent == ROLE + words(1)[0]
        assert type(stream.failure) is kind
        assert stream.feed(words(1)[0]) == b""
        assert stream.close() == b""

    def test_are_recognised_by_the_name_of_an_event(self) -> None:
        stream = open_stream()
        stream.feed(b'event: error\ndata: {"message":"slow down","code":429}\n\n')
        assert isinstance(stream.failure, RateLimited)

    @pytest.mark.parametrize("data", ["hello", "[1]", "{", "1", "null", '{"a":NaN}', '{"choices":["x"]}', '"s"'])
    def test_are_garbage_in_events(self, data: str) -> None:
        stream = open_stream()
        assert stream.feed(words(1)[0] + frame(data)) == words(1)[0]
        assert isinstance(stream.failure, BadAnswer)

    def test_are_events_that_are_not_utf8(self) -> None:
        stream = open_stream()
        stream.feed(ROLE + b'data: {"choices":[{"delta":{"content":"\xff"}}]}\n\n')
        assert isinstance(stream.failure, BadAnswer)

    def test_are_events_that_never_end(self) -> None:
        stream = open_stream()
        for _ in range(20):
            stream.feed(b"data: " + b"x" * 65536)
        assert isinstance(stream.failure, BadAnswer)

    @pytest.mark.parametrize(
        ("body", "kind"),
        [
            (b'{"error":{"message":"Too many","code":429}}', RateLimited),
            (b' \n{"code":"The service is currently unavailable","error":"down"}', Overloaded),
            (b'{"message":"invalid api token"}', CredentialRejected),
            (b'{"message":"no idea"}', ServerFailed),
            (
                b'{"error":{"message":"Incorrect API key provided: sk-abcdefgh","type":"invalid_request_error"}}',
                CredentialRejected,
            ),
            (b'{"id":"x","choices":[{"message":{"content":"whole answer"}}]}', BadAnswer),
            (b'[{"error":{"code":503,"message":"x"}}]', Overloaded),
            (b"[]", BadAnswer),
            (b'{"error":{"message":"cut', StreamTruncated),
            (b"<!DOCTYPE html><html></html>", BadAnswer),
        ],
    )
    def test_are_bodies_that_are_no_stream(self, body: bytes, kind: type[Exception]) -> None:
        for at in range(len(body)):
            stream = open_stream()
            sent = stream.feed(body[:at]) if at else b""
            sent += stream.feed(body[at:]) + stream.close()
            assert sent == b""
            assert type(stream.failure) is kind

    def test_keep_no_endless_plain_body(self) -> None:
        stream = open_stream()
        for _ in range(20):
            stream.feed(b'{"a":"' + b"x" * 65536)
        assert isinstance(stream.failure, BadAnswer)

    def test_show_no_secret(self) -> None:
        stream = open_stream()
        stream.feed(frame({"error": {"message": "Bearer sk-proj-abcdef1234567890 was refused", "type": "api_error"}}))
        assert stream.failure is not None
        assert "abcdef" not in stream.failure.message


class TestOddities:
    def test_of_azure_the_empty_first_chunk_is_dropped(self) -> None:
        stream = open_stream()
        first = frame({"choices": [], "created": 0, "id": "", "model": "", "prompt_filter_results": []})
        assert stream.feed(first + words(1)[0]) == words(1)[0]
        assert values(stream.usage_frame(Usage()))[0]["id"] == "c-1"

    def test_of_filters_a_missing_delta_is_an_empty_one(self) -> None:
        """Clients look into it unasked."""
        stream = open_stream()
        choice = {"index": 0, "content_filter_offsets": {}, "finish_reason": None}
        _, noted = values(stream.feed(words(1)[0] + frame({**NAMES, "choices": [choice]})))
        assert noted == {**NAMES, "choices": [{**choice, "delta": {}}]}

    def test_of_azures_filter_what_bears_no_name_gets_the_streams(self) -> None:
        stream = open_stream()
        nameless = {"id": "", "object": "", "created": 0, "model": ""}
        event = frame({**nameless, "choices": [{"index": 0, "content_filter_offsets": {}, "finish_reason": None}]})
        _, noted = values(stream.feed(words(1)[0] + event))
        assert {name: noted[name] for name in nameless} == {name: NAMES[name] for name in nameless}
        assert noted["choices"][0]["content_filter_offsets"] == {}

    def test_repairs_are_applied_and_never_become_the_template(self) -> None:
        def shout(value: dict[str, Any]) -> bool:
            delta = value["choices"][0]["delta"]
            delta["content"] = delta.get("content", "").upper()
            return True

        request = ClientRequest(operation=Operation.CHAT, model="m", body={}, stream=True)
        stream = RelayStream(request, repair=shout)
        for number in range(3):
            assert values(stream.feed(words(3)[number]))[0]["choices"][0]["delta"]["content"] == f" WORD{number}"

    def test_text_completions_are_relayed_too(self) -> None:
        names = {**NAMES, "object": "text_completion"}

        def event(text: str, finish: str | None = None) -> bytes:
            return frame({**names, "choices": [{"text": text, "index": 0, "logprobs": None, "finish_reason": finish}]})

        stream = open_stream(operation=Operation.COMPLETIONS, prompt="x", include_usage=True)
        events = [event("a"), event("b"), event("c"), event("", "length")]
        assert b"".join(stream.feed(each) for each in events) == b"".join(events)
        assert stream.delivered_text() == "abc"
        sent = values(stream.feed(frame({**names, "choices": [], "usage": COUNTS}) + frame("[DONE]")))
        assert sent == [{**names, "choices": [], "usage": COUNTS}, "[DONE]"]

    def test_text_completions_end_when_every_prompt_is_answered(self) -> None:
        def event(index: int) -> bytes:
            return frame({**NAMES, "choices": [{"text": "x", "index": index, "finish_reason": "stop"}]})

        stream = open_stream(operation=Operation.COMPLETIONS, prompt=["a", "b"])
        stream.feed(event(0))
        stream.close()
        assert isinstance(stream.failure, StreamTruncated)
        stream = open_stream(operation=Operation.COMPLETIONS, prompt=["a", "b"])
        stream.feed(event(0) + event(1))
        assert stream.close() == DONE
