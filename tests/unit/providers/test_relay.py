"""The same-dialect stream: same bytes, honest ends, usage where it belongs."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from providers.dialects.sse import DONE
from providers.errors import (
    BadAnswer,
    StreamTruncated,
)
from providers.types import Usage
from tests.unit.providers.relay_events import COUNTS, NAMES, ROLE, STOP, USAGE, chunk, frame, open_stream, values, words


class TestOrdinaryEvents:
    def test_pass_as_the_same_bytes(self) -> None:
        stream = open_stream()
        for event in (ROLE, *words(5), chunk({"content": 'é\u2028\n"quoted" \\ 😀'}), *words(3), STOP):
            assert stream.feed(event) == event
        assert stream.feed(frame("[DONE]")) == DONE
        assert stream.ended
        assert stream.finish_reason == "stop"

    def test_pass_as_the_same_bytes_when_many_come_at_once(self) -> None:
        body = b"".join([ROLE, *words(7), STOP])
        stream = open_stream()
        assert stream.feed(body) == body
        burst = b"".join(words(9))
        stream = open_stream()
        stream.feed(ROLE + words(1)[0])
        assert stream.feed(burst) == burst
        assert stream.delivered_text() == " word0" + "".join(f" word{n}" for n in range(9))

    def test_collect_their_text(self) -> None:
        stream = open_stream()
        for event in (ROLE, *words(3), chunk({"content": 'a"b\\c\nd'}), chunk({"reasoning_content": "think"})):
            stream.feed(event)
        call = {"index": 0, "id": "x", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
        stream.feed(chunk({"tool_calls": [call]}))
        assert stream.delivered_text() == ' word0 word1 word2a"b\\c\ndthinkf{"a":1}'

    def test_start_the_stream_only_when_they_say_something(self) -> None:
        stream = open_stream()
        assert stream.feed(ROLE) == ROLE
        assert not stream.started
        stream.feed(words(1)[0])
        assert stream.started

    @pytest.mark.parametrize(
        "delta", [{"reasoning_content": "x"}, {"tool_calls": [{"index": 0}]}, {"refusal": "no"}, {"audio": {"id": "a"}}]
    )
    def test_start_the_stream_with_anything_generated(self, delta: Any) -> None:
        stream = open_stream()
        stream.feed(chunk(delta))
        assert stream.started

    def test_start_the_stream_with_a_finish(self) -> None:
        stream = open_stream()
        stream.feed(ROLE + STOP)
        assert stream.started

    def test_may_contain_every_word_that_means_something_elsewhere(self) -> None:
        text = '"error": {"code": 500}, "usage": {"x": 1}, "finish_reason": "stop" data: [DONE] [DONE]'
        stream = open_stream()
        events = [ROLE, *words(2), chunk({"content": text}), chunk({"content": "[DONE]"}), chunk({"content": "error"})]
        events += [chunk({"content": "data: [DONE]"}), chunk({"content": "finish_reason"}), chunk({"content": "usage"})]
        for event in events:
            assert stream.feed(event) == event
        assert stream.failure is None
        assert not stream.ended

    def test_are_checked_even_when_they_resemble_the_template(self) -> None:
        head, tail = words(1)[0].split(b" word0")
        for middle in (b'x","finish_reason":"stop', b"x\\", b"\xff\xfe", b"a\nb", b"a\x00b", b"a\n\nb"):
            stream = open_stream()
            stream.feed(ROLE + words(1)[0])
            data = head + middle + tail
            sent = stream.feed(data)
            if stream.failure is None:
                assert values(sent)
            else:
                assert isinstance(stream.failure, BadAnswer)

    def test_never_pass_bytes_that_are_not_utf8(self) -> None:
        stream = open_stream()
        stream.feed(ROLE + words(1)[0])
        bad = words(1)[0].replace(b" word0", b"\xc3")
        assert stream.feed(bad + bad.replace(b"\xc3", b"\xa9")) == b""
        assert isinstance(stream.failure, BadAnswer)

    @pytest.mark.parametrize("padding", ["x", "abc", "", "KJH'§"])
    def test_may_be_padded(self, padding: str) -> None:
        stream = open_stream()
        events = [ROLE, *(chunk({"content": f"w{n}"}, obfuscation=padding + "p" * n) for n in range(6))]
        for event in events:
            assert stream.feed(event) == event
        assert stream.delivered_text() == "w0w1w2w3w4w5"

    def test_need_their_padding_when_the_template_had_one(self) -> None:
        stream = open_stream()
        padded = chunk({"content": "w0"}, obfuscation="ppp")
        stream.feed(ROLE + padded)
        head, rest = padded.split(b"w0")
        assert stream.feed(head + b"w1" + rest.split(b"ppp")[1]) == b""
        assert isinstance(stream.failure, BadAnswer)

    def test_lose_comments_and_names_on_the_way(self) -> None:
        stream = open_stream()
        assert stream.feed(b": OPENROUTER PROCESSING\n\n") == b""
        assert stream.feed(b": ping\n" + words(1)[0]) == words(1)[0]
        assert stream.feed(b"id: 4\nevent: message\n" + words(1)[0]) == words(1)[0]

    def test_come_out_with_plain_line_ends(self) -> None:
        stream = open_stream()
        crlf = b"".join(words(3)).replace(b"\n", b"\r\n")
        assert stream.feed(crlf) == b"".join(words(3))
        text = json.dumps({**NAMES, "choices": [{"index": 0, "delta": {"content": "x"}}]}, indent=1)
        pretty = b"".join(b"data: " + line.encode() + b"\n" for line in text.splitlines()) + b"\n"
        assert values(stream.feed(pretty)) == [json.loads(text)]


class TestUsage:
    def test_is_hidden_from_clients_that_did_not_ask(self) -> None:
        stream = open_stream()
        sent = stream.feed(b"".join([ROLE, *words(2), STOP, USAGE, frame("[DONE]")]))
        assert b"prompt_tokens" not in sent
        assert all(value == "[DONE]" or value["choices"] for value in values(sent))
        assert stream.usage == Usage(input_tokens=9, output_tokens=2)

    def test_goes_last_to_clients_that_asked(self) -> None:
        stream = open_stream(include_usage=True)
        sent = values(stream.feed(b"".join([ROLE, *words(2), STOP, USAGE, frame("[DONE]")])))
        assert sent[-1] == "[DONE]"
        assert sent[-2] == {**NAMES, "choices": [], "usage": COUNTS}

    def test_is_moved_off_chunks_that_have_choices(self) -> None:
        stream = open_stream(include_usage=True)
        stops = chunk({}, "stop", usage=COUNTS)
        sent = values(stream.feed(b"".join([ROLE, chunk({"content": "a"}, usage={"prompt_tokens": 9}), stops])))
        assert [value.get("usage") for value in sent] == [None, None, None]
        assert values(stream.close())[0]["usage"] == COUNTS

    def test_on_a_repeated_finish_does_not_finish_twice(self) -> None:
        stream = open_stream(include_usage=True)
        again = chunk({"role": "assistant", "content": ""}, "stop", usage=COUNTS)
        sent = values(stream.feed(b"".join([ROLE, *words(1), STOP, again, frame("[DONE]")])))
        finishes = [v for v in sent if v != "[DONE]" and v["choices"] and v["choices"][0]["finish_reason"]]
        assert len(finishes) == 1
        assert sent[-2]["usage"] == COUNTS

    def test_corrects_sums_that_leave_reasoning_out(self) -> None:
        raw = {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 35,
            "completion_tokens_details": {"reasoning_tokens": 20},
            "cost_in_usd_ticks": 12345,
        }
        stream = open_stream(include_usage=True)
        sent = values(stream.feed(ROLE + STOP + frame({**NAMES, "choices": [], "usage": raw}) + frame("[DONE]")))
        assert sent[-2]["usage"]["completion_tokens"] == 25
        assert stream.usage == Usage(input_tokens=10, output_tokens=25, reasoning_tokens=20, cost_nano_usd=1235)

    def test_can_be_put_before_the_end_by_whoever_counted_it(self) -> None:
        stream = open_stream(include_usage=True)
        sent = stream.feed(b"".join([ROLE, *words(2), STOP, frame("[DONE]")]))
        assert stream.usage is None
        assert sent.endswith(DONE)
        counted = values(stream.usage_frame(Usage(input_tokens=3, output_tokens=4)))[0]
        assert counted["choices"] == []
        assert counted["id"] == "c-1"
        assert counted["usage"]["total_tokens"] == 7

    def test_of_zeros_is_no_count(self) -> None:
        zeros = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
        stream = open_stream(include_usage=True)
        sent = values(stream.feed(ROLE + chunk({"content": "x"}, usage=zeros) + STOP + frame("[DONE]")))
        assert stream.usage is None
        assert not any(each.get("usage") for each in sent[:-1])

    def test_of_zeros_does_not_replace_a_count(self) -> None:
        zeros = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
        stream = open_stream()
        stream.feed(ROLE + chunk({"content": "x"}) + STOP + USAGE + frame({**NAMES, "choices": [], "usage": zeros}))
        assert stream.usage == Usage(9, 2)

    @pytest.mark.parametrize("garbage", ["None", 5, [], {}, True])
    def test_of_a_wrong_shape_counts_as_absent(self, garbage: Any) -> None:
        stream = open_stream()
        stream.feed(chunk({"content": "x"}, usage=garbage))
        assert stream.usage is None
        assert stream.failure is None


class TestEnds:
    def test_without_done_but_finished_is_complete(self) -> None:
        stream = open_stream()
        stream.feed(ROLE + words(1)[0] + STOP)
        assert stream.close() == DONE
        assert stream.ended

    def test_with_done_and_no_newline_is_complete(self) -> None:
        stream = open_stream()
        stream.feed(ROLE + words(1)[0] + STOP + b"data: [DONE]")
        assert not stream.ended
        assert stream.close() == DONE
        assert stream.failure is None

    def test_finished_with_half_an_event_pending_is_complete(self) -> None:
        stream = open_stream()
        stream.feed(ROLE + words(1)[0] + STOP + USAGE[:40])
        assert stream.close() == DONE
        assert stream.usage is None

    def test_anywhere_before_the_finish_is_complete_is_a_failure(self) -> None:
        body = ROLE + words(1)[0] + STOP
        for at in range(len(body)):
            stream = open_stream()
            stream.feed(body[:at])
            assert stream.close() == b""
            assert isinstance(stream.failure, StreamTruncated)
            assert not stream.ended

    def test_with_done_before_any_finish_reason_gets_one(self) -> None:
        stream = open_stream()
        sent = values(stream.feed(ROLE + words(1)[0] + frame("[DONE]")))
        assert sent[-2]["choices"][0]["finish_reason"] == "stop"
        assert stream.finish_reason == "stop"

    def test_with_an_empty_finish_reason_after_tool_calls_says_tool_calls(self) -> None:
        call = {"index": 0, "id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        stream = open_stream()
        sent = values(stream.feed(chunk({"tool_calls": [call]}, "") + chunk({}, "") + frame("[DONE]")))
        assert [v["choices"][0]["finish_reason"] for v in sent if v != "[DONE]"] == [None, None, "tool_calls"]

    def test_without_any_answer_is_a_failure(self) -> None:
        stream = open_stream()
        assert stream.feed(frame("[DONE]")) == b""
        assert isinstance(stream.failure, BadAnswer)
        assert not stream.ended

    def test_needs_a_finish_for_every_choice(self) -> None:
        stream = open_stream(n=2)
        stream.feed(chunk({"content": "a"}) + chunk({"content": "b"}, index=1) + STOP)
        stream.close()
        assert isinstance(stream.failure, StreamTruncated)
        stream = open_stream(n=2)
        stream.feed(chunk({"content": "a"}) + chunk({"content": "b"}, index=1) + STOP + chunk({}, "stop", index=1))
        assert stream.close() == DONE

    def test_says_nothing_more_after_it(self) -> None:
        stream = open_stream()
        stream.feed(ROLE + STOP + frame("[DONE]"))
        assert stream.feed(words(1)[0]) == b""
        assert stream.close() == b""

    def test_of_nothing_at_all_is_a_failure(self) -> None:
        stream = open_stream()
        assert stream.close() == b""
        assert isinstance(stream.failure, StreamTruncated)


TEXTS = st.text(max_size=6)
EVENTS = st.one_of(
    TEXTS.map(lambda text: chunk({"content": text})),
    TEXTS.map(lambda text: chunk({"reasoning_content": text})),
    TEXTS.map(lambda text: frame(json.loads(chunk({"content": text})[6:]), compact=False)),
    st.sampled_from([ROLE, STOP, USAGE, b": ping\n\n", chunk({"content": "a"}, usage=COUNTS), chunk({"content": '"'})]),
    st.sampled_from([frame("[DONE]"), frame({"error": {"message": "x"}}), frame("garbage"), b"data: [DONE]"]),
)


@example(events=[ROLE, ROLE, STOP, ROLE], step=1, asked=False)
@example(events=[ROLE, ROLE, STOP, ROLE, ROLE], step=40, asked=False)
@example(events=[ROLE, ROLE, STOP + ROLE], step=40, asked=False)
@settings(max_examples=150, deadline=None)
@given(events=st.lists(EVENTS, max_size=10), step=st.integers(min_value=1, max_value=60), asked=st.booleans())
def test_tells_the_same_however_the_bytes_are_cut(events: list[bytes], step: int, asked: bool) -> None:
    body = b"".join(events)
    assert (
        run([body], asked) == run(events, asked) == run([body[a : a + step] for a in range(0, len(body), step)], asked)
    )


def run(pieces: list[bytes], asked: bool) -> tuple[Any, ...]:
    stream = open_stream(include_usage=asked)
    sent = b"".join(stream.feed(piece) for piece in pieces if piece)
    sent += stream.close()
    return (
        sent,
        stream.started,
        stream.ended,
        type(stream.failure),
        stream.usage,
        stream.finish_reason,
        stream.delivered_text(),
    )
