"""Blocks of Anthropic's whose place matters: where its clients are told them, and where they come back to."""

from typing import Any

import orjson
import pytest

from providers.dialects.anthropic_messages import StreamDecoder, decode_answer
from providers.dialects.openai_chat import StreamEncoder, encode_answer
from providers.dialects.served_messages import ServedMessage, to_chat
from providers.dialects.served_messages.own_fields import without_own
from providers.errors import ClientFault
from providers.types import Finish, JsonObject, OwnBlock, StreamEnd, StreamStart, TextDelta, Usage, UsageReport
from routing.replay import as_frames, assemble
from tests.unit.providers.message_frames import read, summed, tell
from tests.unit.providers.served_frames import DONE
from tests.unit.providers.test_served_messages_request import MARK, RESULT, USED, chat, to_anthropic, to_openai

RAN: JsonObject = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}}
RESULTS = [{"type": "web_search_result", "url": "https://a", "title": "A", "encrypted_content": "Eo", "page_age": None}]
FOUND: JsonObject = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": RESULTS}
PAGE: JsonObject = {
    "type": "char_location", "cited_text": "x", "document_index": 0, "document_title": None, "start_char_index": 0,
    "end_char_index": 1, "file_id": None,
}  # fmt: skip
PLACED = [
    TextDelta("I look."), OwnBlock(RAN), OwnBlock(FOUND), TextDelta("It is "), OwnBlock({"type": "text"}), TextDelta("so"),
    OwnBlock({"type": "citation", "citation": PAGE}), OwnBlock({"type": "text"}), TextDelta("."),
]  # fmt: skip


def frames_of(events: list[Any]) -> bytes:
    encoder = StreamEncoder(model="m", created=1, include_usage=True)
    return b"".join(map(encoder.encode, [StreamStart("msg_up", "m"), *events, Finish("stop"), StreamEnd()]))


def test_what_is_told_in_its_place_stays_there() -> None:
    texts = [{"type": "text", "text": text} for text in ("I look.", "It is ", "so", ".")]
    texts[2]["citations"] = [PAGE]
    assert summed(tell(frames_of(PLACED)))["content"] == [texts[0], RAN, FOUND, *texts[1:]]


def test_what_was_told_in_its_place_is_not_lost_when_the_stream_is_made_an_answer() -> None:
    """As from the cache, by somebody who wants no stream."""
    content = ServedMessage("msg_1", "m").whole(orjson.dumps(assemble(frames_of(PLACED), chat=True)))["content"]
    assert [block for block in content if block["type"] != "text"] == [RAN, FOUND]
    assert "".join(block["text"] for block in content if block["type"] == "text") == "I look.It is so."


def test_what_was_an_answer_is_not_lost_when_it_is_made_a_stream() -> None:
    own: JsonObject = {"content": [{"type": "text", "text": "I look."}, RAN, FOUND], "usage": {"input_tokens": 1}}
    chat = encode_answer(decode_answer(own, in_place=True), created=1, model="m")
    assert ServedMessage("msg_1", "m").whole(orjson.dumps(chat))["content"] == own["content"]
    again = summed(tell(as_frames(chat, chat=True) + DONE))
    assert again["content"] == own["content"]


def test_a_message_begins_with_the_prompt_as_anthropic_counts_it() -> None:
    """Some clients look for it there alone."""
    counts = {"input_tokens": 25, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 7, "output_tokens": 1}
    begun = {"type": "message_start", "message": {"id": "msg_1", "model": "claude", "usage": counts}}
    said = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}}
    for in_place, told in ((True, [25, 3, 7, 0]), (False, [0, 0, 0, 0])):
        decoder, encoder = StreamDecoder(in_place=in_place), StreamEncoder(model="m", created=1, include_usage=True)
        events = decoder.feed(b"".join(b"data: %b\n\n" % orjson.dumps(each) for each in (begun, said)))
        first, *_ = tell(b"".join(map(encoder.encode, events)))
        assert [first["message"]["usage"][name] for name in counts] == told


def test_elsewhere_it_begins_with_an_estimate_until_it_is_counted() -> None:
    stream = ServedMessage("msg_1", "m", likely_input=12)
    events = read(stream.feed(frames_of([TextDelta("Hi"), UsageReport(Usage(input_tokens=9, output_tokens=1))])))
    assert events[0]["message"]["usage"]["input_tokens"] == 12
    assert summed(events)["usage"]["input_tokens"] == 9


THOUGHTS = [{"type": "thinking", "thinking": text, "signature": f"sig {text}"} for text in ("One", "Two", "Three")]
HI = {"role": "user", "content": "Hi"}
SAYS = {"type": "text", "text": "Let me see."}


@pytest.mark.parametrize(
    "blocks",
    [
        [THOUGHTS[0], SAYS, THOUGHTS[1], USED],
        [SAYS, THOUGHTS[0]],
        [THOUGHTS[0], RAN, THOUGHTS[1], {"type": "redacted_thinking", "data": "abc"}, SAYS, THOUGHTS[2], SAYS],
        [THOUGHTS[0], THOUGHTS[1], SAYS, USED],
    ],
)
def test_thoughts_between_the_rest_go_back_to_where_they_were(blocks: list[JsonObject]) -> None:
    """Claude refuses a turn of its own in which they have moved."""
    told = {"role": "assistant", "content": blocks}
    after = [RESULT] if USED in blocks else [{"type": "text", "text": "And?"}]
    body = to_chat({"model": "m", "max_tokens": 9, "messages": [HI, told, {"role": "user", "content": after}]})
    assert to_anthropic(body, adaptive_thinking=True)["messages"][1]["content"] == blocks
    if RAN not in blocks:
        assert "block_order" not in to_openai(body)["messages"][1]


@pytest.mark.parametrize("order", ["pt", "", 5, "ppppp", ["p"], {}, "tptptptp"])
def test_an_order_that_does_not_fit_loses_nothing(order: Any) -> None:
    """As after a conversation was shortened, or in a chat."""
    told = {"role": "assistant", "content": [THOUGHTS[0], SAYS, THOUGHTS[1], SAYS]}
    body = to_chat({"model": "m", "max_tokens": 9, "messages": [HI, told, HI]})
    body["messages"][1]["block_order"] = order
    sent = to_anthropic(body, adaptive_thinking=True)["messages"][1]["content"]
    assert [block["type"] for block in sent].count("text") == 2
    assert len(sent) == 4


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQK"},
            "title": "a",
        },
    ],
)
def test_marks_beside_pictures_and_documents_reach_anthropic_alone(block: JsonObject) -> None:
    """What is worth keeping is mostly a long document."""
    marked = {**block, "cache_control": MARK}
    body = chat(marked, {"type": "text", "text": "x"})
    assert to_anthropic(body)["messages"][0]["content"][0] == marked
    assert "cache_control" not in str(to_openai(body))
    assert "cache_control" not in str(without_own(body, provider="openrouter", reasons=True, marked=True))
    plain = {"type": "document", "source": {"type": "text", "data": "Long."}, "cache_control": MARK}
    assert to_anthropic(chat(plain))["messages"][0]["content"] == [
        {"type": "text", "text": "Long.", "cache_control": MARK}
    ]


def test_tools_that_change_in_the_midst_are_refused_in_words_that_claude_code_knows() -> None:
    """It goes on without, where another 400 would end its turn."""
    change = {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "f"}}
    said = [{"role": "user", "content": "Hi"}, {"role": "system", "content": [{"type": "text", "text": "x"}, change]}]
    with pytest.raises(ClientFault) as caught:
        to_chat({"model": "m", "max_tokens": 9, "messages": said})
    assert caught.value.message.startswith(
        "messages.1.content.1: Input tag 'tool_addition' found using 'type' does not match"
    )
    assert caught.value.param == "messages[1].content[1].type"
