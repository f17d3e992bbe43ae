"""Typed events ↔ OpenAI's chunks: what client libraries need, and that a stream says what an answer says."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from providers.dialects.openai_chat import StreamDecoder, StreamEncoder, encode_answer, generated_text
from providers.dialects.openai_chat.answer import decode_citations
from providers.dialects.openai_chat.messages import decode_call
from providers.dialects.openai_chat.reasoning import decode_reasoning
from providers.dialects.openai_chat.usage import read_usage
from providers.errors import BadAnswer, ServerFailed
from providers.types import (
    ChatAnswer,
    Choice,
    Citation,
    CitationFound,
    ExtraFields,
    Finish,
    Heartbeat,
    ReasoningBlock,
    ReasoningDelta,
    ReasoningDone,
    RefusalDelta,
    StreamEnd,
    StreamEvent,
    StreamFailed,
    StreamStart,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallStart,
    Usage,
    UsageReport,
)


def encode(*events: StreamEvent, include_usage: bool = False) -> list[Any]:
    encoder = StreamEncoder(model="m", created=5, include_usage=include_usage)
    return values(b"".join(encoder.encode(event) for event in events))


def values(data: bytes) -> list[Any]:
    found = [part.removeprefix("data: ") for part in data.decode().split("\n\n") if part]
    return [part if part == "[DONE]" else json.loads(part) for part in found]


def deltas(chunks: list[Any]) -> list[Any]:
    return [chunk["choices"][0]["delta"] for chunk in chunks if chunk != "[DONE]" and chunk["choices"]]


START = StreamStart("id-1", "up", 7)


class TestEncoder:
    def test_says_the_role_once_and_first(self) -> None:
        chunks = encode(START, TextDelta("a"), TextDelta("b"), Finish("stop"), StreamEnd())
        assert deltas(chunks) == [{"role": "assistant", "content": ""}, {"content": "a"}, {"content": "b"}, {}]
        assert chunks[-1] == "[DONE]"

    def test_says_the_role_even_without_a_start(self) -> None:
        assert deltas(encode(TextDelta("a")))[0]["role"] == "assistant"

    def test_names_every_chunk_alike(self) -> None:
        chunks = encode(START, TextDelta("a"), ReasoningDelta("r"), Finish("stop"), StreamEnd())
        names = [{key: chunk[key] for key in ("id", "created", "model", "object")} for chunk in chunks[:-1]]
        assert names == [{"id": "id-1", "created": 7, "model": "up", "object": "chat.completion.chunk"}] * 4

    def test_fills_in_what_the_provider_does_not_say(self) -> None:
        chunk = encode(StreamStart("", "", None), TextDelta("a"))[0]
        assert (chunk["id"], chunk["created"], chunk["model"]) == ("chatcmpl-5", 5, "m")

    def test_sends_id_and_name_of_a_call_once(self) -> None:
        chunks = encode(START, ToolCallStart(0, "c", "f"), ToolCallDelta(0, '{"a"'), ToolCallDelta(0, ":1}"))
        assert [delta.get("tool_calls") for delta in deltas(chunks)[1:]] == [
            [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}],
            [{"index": 0, "function": {"arguments": '{"a"'}}],
            [{"index": 0, "function": {"arguments": ":1}"}}],
        ]

    def test_gives_a_call_without_arguments_an_empty_object(self) -> None:
        chunks = encode(START, ToolCallStart(0, "c", "f"), Finish("tool_calls"))
        assert deltas(chunks)[2]["tool_calls"] == [{"index": 0, "function": {"arguments": "{}"}}]

    def test_writes_custom_calls_as_free_text(self) -> None:
        chunks = encode(START, ToolCallStart(0, "c", "f", custom=True), ToolCallDelta(0, "free"), Finish("tool_calls"))
        assert [delta["tool_calls"][0]["custom"] for delta in deltas(chunks)[1:3]] == [
            {"name": "f", "input": ""},
            {"input": "free"},
        ]
        assert len(chunks) == 4

    def test_sends_reasoning_citations_refusals_and_extra_fields(self) -> None:
        citation = Citation(url="u", title="t", start_index=1, end_index=2)
        block = ReasoningBlock(text="t", signature="s")
        chunks = encode(
            START,
            ReasoningDelta("t"),
            ReasoningDone(block),
            RefusalDelta("no"),
            CitationFound(citation),
            ExtraFields({"citations": ["u"]}),
            TextDelta("a"),
            TextDelta("b"),
        )
        assert deltas(chunks)[1:5] == [
            {"reasoning_content": "t"},
            {"reasoning_details": [{"index": 0, "type": "reasoning.text", "text": "t", "signature": "s"}]},
            {"refusal": "no"},
            {
                "annotations": [
                    {
                        "index": 0,
                        "type": "url_citation",
                        "url_citation": {"start_index": 1, "end_index": 2, "title": "t", "url": "u"},
                    }
                ]
            },
        ]
        assert chunks[5]["citations"] == ["u"]
        assert "citations" not in chunks[6]

    def test_numbers_what_comes_in_lists_so_that_the_official_client_can_add_it_up(self) -> None:
        links = [Citation(url=url) for url in ("a", "b", "c")]
        blocks = [ReasoningBlock(text="t", signature="s"), ReasoningBlock(encrypted="e")]
        said: list[StreamEvent] = [*map(CitationFound, links[:2]), *map(ReasoningDone, blocks), CitationFound(links[2])]
        state = ChatCompletionStreamState()
        for chunk in encode(START, *said, TextDelta("x"), Finish("stop")):
            state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
        message = state.get_final_completion().choices[0].message.model_dump()
        assert [each["url_citation"]["url"] for each in message["annotations"]] == ["a", "b", "c"]
        assert [each["type"] for each in message["reasoning_details"]] == ["reasoning.text", "reasoning.encrypted"]

    def test_numbers_the_lists_of_each_choice_on_their_own(self) -> None:
        link = Citation(url="a")
        chunks = encode(START, CitationFound(link), CitationFound(link, 1), CitationFound(link, 1))
        found = [entry["index"] for delta in deltas(chunks) for entry in delta.get("annotations", ())]
        assert found == [0, 0, 1]

    def test_sends_nothing_for_what_says_nothing(self) -> None:
        silent = (TextDelta(""), ReasoningDelta(""), RefusalDelta(""), Heartbeat(), ToolCallDelta(3, "x"))
        assert encode(START, *silent) == encode(START)

    def test_puts_usage_last_and_only_when_asked(self) -> None:
        events = (START, TextDelta("a"), UsageReport(Usage(input_tokens=1)), Finish("stop"))
        events += (UsageReport(Usage(input_tokens=1, output_tokens=2, cached_tokens=1)), StreamEnd())
        chunks = encode(*events, include_usage=True)
        assert chunks[-1] == "[DONE]"
        assert chunks[-2]["choices"] == []
        assert chunks[-2]["usage"]["total_tokens"] == 3
        assert chunks[-2]["usage"]["prompt_tokens_details"]["cached_tokens"] == 1
        assert all("usage" not in chunk for chunk in encode(*events)[:-1])

    def test_finishes_once_and_always(self) -> None:
        chunks = encode(START, TextDelta("a"), Finish("length"), Finish("stop"), StreamEnd())
        assert [chunk["choices"][0]["finish_reason"] for chunk in chunks[:-1]] == [None, None, "length"]
        chunks = encode(START, ToolCallStart(0, "c", "f"), StreamEnd())
        assert chunks[-2]["choices"][0]["finish_reason"] == "tool_calls"

    def test_flushes_extra_fields_that_came_last(self) -> None:
        chunks = encode(START, TextDelta("a"), Finish("stop"), ExtraFields({"search_results": [1]}), StreamEnd())
        assert chunks[-2]["search_results"] == [1]


class TestDecoder:
    def decode(self, *chunks: Any, close: bool = True) -> list[StreamEvent]:
        decoder = StreamDecoder()
        data = b"".join(b"data: " + (c if isinstance(c, bytes) else json.dumps(c).encode()) + b"\n\n" for c in chunks)
        events = decoder.feed(data)
        return events + (decoder.close() if close else [])

    def call(self, **fields: Any) -> Any:
        return {"id": "i", "choices": [{"index": 0, "delta": {"tool_calls": [fields]}}]}

    def test_opens_a_new_call_for_a_new_id_at_a_used_index(self) -> None:
        events = self.decode(
            self.call(index=0, id="a", function={"name": "f", "arguments": "1"}),
            self.call(index=0, id="b", function={"name": "g", "arguments": "2"}),
            self.call(index=0, function={"arguments": "3"}),
        )
        assert events[1:] == [
            ToolCallStart(0, "a", "f"),
            ToolCallDelta(0, "1"),
            ToolCallStart(1, "b", "g"),
            ToolCallDelta(1, "2"),
            ToolCallDelta(1, "3"),
        ]

    def test_takes_ids_and_names_that_come_again_once(self) -> None:
        again = self.call(index=0, id="a", function={"name": "f", "arguments": "1"})
        assert self.decode(again, again)[1:] == [
            ToolCallStart(0, "a", "f"),
            ToolCallDelta(0, "1"),
            ToolCallDelta(0, "1"),
        ]

    def test_numbers_calls_without_an_index_by_arrival(self) -> None:
        events = self.decode(
            self.call(id="a", function={"name": "f", "arguments": "{}"}),
            self.call(id="b", function={"name": "g"}),
            self.call(function={"arguments": "{}"}),
        )
        assert [event for event in events if isinstance(event, ToolCallDelta)] == [
            ToolCallDelta(0, "{}"),
            ToolCallDelta(1, "{}"),
        ]

    def test_ends_with_done_or_after_every_finish(self) -> None:
        text = {"id": "i", "choices": [{"index": 0, "delta": {"content": "a"}}]}
        stop = {"id": "i", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        assert self.decode(text, stop)[-2:] == [Finish("stop"), StreamEnd()]
        assert self.decode(text, b"[DONE]")[-2:] == [Finish("stop"), StreamEnd()]
        assert self.decode(text)[-1] == TextDelta("a")

    @pytest.mark.parametrize(
        ("chunk", "kind"),
        [
            (b"{", BadAnswer),
            (b"[]", BadAnswer),
            (b"\xff", BadAnswer),
            ({"choices": [5]}, BadAnswer),
            ({"error": {"message": "x"}}, ServerFailed),
            ({"choices": [{"delta": {}, "finish_reason": "error"}]}, ServerFailed),
        ],
    )
    def test_fails_on_errors_and_garbage(self, chunk: Any, kind: type[Exception]) -> None:
        failed = self.decode(chunk)[-1]
        assert isinstance(failed, StreamFailed)
        assert type(failed.error) is kind


# -------------------------------------------------------------------------------------- answers and streams agree

TEXT = st.text(min_size=1, max_size=6)
ANSWER = st.builds(
    ChatAnswer,
    id=TEXT,
    model=TEXT,
    created=st.integers(1, 10),
    choices=st.tuples(
        st.builds(
            Choice,
            text=st.none() | TEXT,
            refusal=st.none() | TEXT,
            reasoning=st.just(()) | st.tuples(st.builds(ReasoningBlock, text=TEXT, signature=TEXT)),
            tool_calls=st.lists(st.builds(ToolCall, id=st.uuids().map(str), name=TEXT, arguments=TEXT), max_size=2).map(
                tuple
            ),
            finish_reason=st.sampled_from(["stop", "length", "tool_calls", "content_filter"]),
            citations=st.lists(st.builds(Citation, url=TEXT, title=TEXT), max_size=2).map(tuple),
        )
    ),
    usage=st.none() | st.builds(lambda prompt, cached: Usage(prompt, 0, cached), st.integers(5, 9), st.integers(0, 5)),
    extra=st.just({}) | st.just({"citations": ["u"]}),
)


@settings(max_examples=60, deadline=None)
@given(answer=ANSWER)
def test_an_answer_loses_nothing_there_and_back(answer: ChatAnswer) -> None:
    body = json.loads(json.dumps(encode_answer(answer, created=1, model="m")))
    message = body["choices"][0]["message"]
    choice = Choice(
        text=message["content"],
        refusal=message["refusal"],
        reasoning=decode_reasoning(message),
        tool_calls=tuple(decode_call(call, "") for call in message.get("tool_calls", ())),
        finish_reason=body["choices"][0]["finish_reason"],
        citations=tuple(decode_citations(message.get("annotations"))),
    )
    assert (body["id"], body["model"], body["created"]) == (answer.id, answer.model, answer.created)
    assert (choice, read_usage(body.get("usage"))) == (answer.choices[0], answer.usage)
    assert body.get("citations") == answer.extra.get("citations")


@settings(max_examples=60, deadline=None)
@given(answer=ANSWER)
def test_a_stream_says_what_the_answer_says(answer: ChatAnswer) -> None:
    encoder = StreamEncoder(model="m", created=1, include_usage=True)
    data = b"".join(encoder.encode(event) for event in as_events(answer))
    decoder = StreamDecoder()
    assert fold([*decoder.feed(data), *decoder.close()]) == answer
    assert generated_text(answer) == generated_text(fold(StreamDecoder().feed(data)))


def as_events(answer: ChatAnswer) -> list[StreamEvent]:
    choice = answer.choices[0]
    events: list[StreamEvent] = [StreamStart(answer.id, answer.model, answer.created), ExtraFields(answer.extra)]
    for block in choice.reasoning:
        events += [ReasoningDelta(block.text), ReasoningDone(block)]
    events += [TextDelta(character) for character in choice.text or ""]
    events += [RefusalDelta(choice.refusal)] if choice.refusal else []
    for number, call in enumerate(choice.tool_calls):
        events += [ToolCallStart(number, call.id, call.name), ToolCallDelta(number, call.arguments)]
    events += [CitationFound(citation) for citation in choice.citations]
    events += [Finish(choice.finish_reason)]
    events += [UsageReport(answer.usage)] if answer.usage else []
    return [*events, StreamEnd()]


def fold(events: list[StreamEvent]) -> ChatAnswer:
    start = next(event for event in events if isinstance(event, StreamStart))
    calls: dict[int, ToolCall] = {}
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    refusal = "".join(event.text for event in events if isinstance(event, RefusalDelta))
    for event in events:
        if isinstance(event, ToolCallStart):
            calls[event.index] = ToolCall(id=event.id, name=event.name, arguments="")
        elif isinstance(event, ToolCallDelta):
            known = calls[event.index]
            calls[event.index] = ToolCall(id=known.id, name=known.name, arguments=known.arguments + event.arguments)
    return ChatAnswer(
        id=start.id,
        model=start.model,
        created=start.created,
        choices=(
            Choice(
                text=text or None,
                refusal=refusal or None,
                reasoning=tuple(event.block for event in events if isinstance(event, ReasoningDone)),
                tool_calls=tuple(calls.values()),
                finish_reason=next(event.reason for event in events if isinstance(event, Finish)),
                citations=tuple(event.citation for event in events if isinstance(event, CitationFound)),
            ),
        ),
        usage=next((event.usage for event in events if isinstance(event, UsageReport)), None),
        extra=next((event.fields for event in events if isinstance(event, ExtraFields)), {}),
    )
