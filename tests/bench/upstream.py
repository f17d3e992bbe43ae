"""A very fast upstream for measuring: any request is answered, with a stream when the body asks for one.

    python -m tests.bench.upstream PORT [EVENTS] [DELAY_S]

A raw asyncio protocol, so that what is measured is the proxy. It speaks OpenAI's dialect, and Anthropic's at `/messages`.
EVENTS content events make EVENTS + 4 events in all. It lists its models to who probes it: a provider that seems ill is looked
at every few seconds, which is no part of a call.
"""

import asyncio
import sys

import orjson
import uvloop

HEAD = {"id": "chatcmpl-1", "created": 1700000000, "model": "gpt-4o", "system_fingerprint": "fp_1"}
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"transfer-encoding: chunked\r\nx-request-id: req_1\r\n\r\n"
)


def chunked(data: bytes) -> bytes:
    line = b"data: " + data + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(line), line)


def delta(content: dict, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": content, "logprobs": None, "finish_reason": finish}
    return chunked(orjson.dumps({**HEAD, "object": "chat.completion.chunk", "choices": [choice]}))


def named(event: dict) -> bytes:
    """A server-sent event as Anthropic writes it."""
    block = b"event: %b\ndata: %b\n\n" % (event["type"].encode(), orjson.dumps(event))
    return b"%x\r\n%b\r\n" % (len(block), block)


def whole(answer: dict) -> bytes:
    body = orjson.dumps(answer)
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body


MODELS = whole(
    {"object": "list", "data": [{"id": "gpt-4o", "object": "model"}, {"id": "claude-bench", "type": "model"}]}
)


class Answers:
    def __init__(self, events: int, delay_s: float) -> None:
        usage = {"prompt_tokens": 20, "completion_tokens": events, "total_tokens": 20 + events}
        message = {"role": "assistant", "content": "Hello! How can I help you today? " * 8}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        self.delay_s = delay_s
        self.whole = whole({**HEAD, "object": "chat.completion", "choices": [choice], "usage": usage})
        self.pieces = [
            delta({"role": "assistant", "content": ""}),
            *[delta({"content": f" word{number}"}) for number in range(events)],
            delta({}, "stop"),
            chunked(orjson.dumps({**HEAD, "object": "chat.completion.chunk", "choices": [], "usage": usage})),
            chunked(b"[DONE]"),
        ]


class AnthropicAnswers(Answers):
    def __init__(self, events: int, delay_s: float) -> None:
        message = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-bench",
            "stop_sequence": None,
        }
        usage = {"input_tokens": 20, "output_tokens": events}
        text = {"type": "text", "text": "Hello! How can I help you today? " * 8}
        self.delay_s = delay_s
        self.whole = whole({**message, "content": [text], "stop_reason": "end_turn", "usage": usage})
        begun = {**message, "content": [], "stop_reason": None, "usage": {"input_tokens": 20, "output_tokens": 1}}
        stopped = {"stop_reason": "end_turn", "stop_sequence": None}
        texts = [{"type": "text_delta", "text": f" word{number}"} for number in range(events)]
        self.pieces = [
            named({"type": "message_start", "message": begun}),
            named({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
            *[named({"type": "content_block_delta", "index": 0, "delta": delta}) for delta in texts],
            named({"type": "content_block_stop", "index": 0})
            + named({"type": "message_delta", "delta": stopped, "usage": {"output_tokens": events}}),
            named({"type": "message_stop"}),
        ]


class Upstream(asyncio.Protocol):
    def __init__(self, answers: Answers, anthropic: Answers) -> None:
        self.openai, self.anthropic = answers, anthropic
        self.buffer = b""
        self.streams: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (body := self.next_body()) is not None:
            answers = self.anthropic if self.path.endswith(b"/messages") else self.openai
            if self.path.endswith(b"/models"):
                self.transport.write(MODELS)  # type: ignore[attr-defined]
            elif b'"stream":true' in body or b'"stream": true' in body:
                task = asyncio.get_running_loop().create_task(self.stream(answers))
                self.streams.add(task)
                task.add_done_callback(self.streams.discard)
            else:
                self.transport.write(answers.whole)  # type: ignore[attr-defined]

    def next_body(self) -> bytes | None:
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = self.buffer[:end].lower()
        self.path = head.split(b" ", 2)[1]
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self.buffer) < end + 4 + length:
            return None
        body, self.buffer = self.buffer[end + 4 : end + 4 + length], self.buffer[end + 4 + length :]
        return body

    async def stream(self, answers: Answers) -> None:
        transport = self.transport
        transport.write(STREAM_HEAD)  # type: ignore[attr-defined]
        for piece in answers.pieces:
            if transport.is_closing():
                return
            transport.write(piece)  # type: ignore[attr-defined]
            await asyncio.sleep(answers.delay_s)
        transport.write(b"0\r\n\r\n")  # type: ignore[attr-defined]


async def main(port: int, events: int, delay_s: float) -> None:
    answers, anthropic = Answers(events, delay_s), AnthropicAnswers(events, delay_s)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Upstream(answers, anthropic), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    given = sys.argv[1:]
    uvloop.run(main(int(given[0]), int(given[1]) if len(given) > 1 else 50, float(given[2]) if len(given) > 2 else 0.0))
