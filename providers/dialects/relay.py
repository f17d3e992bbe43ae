"""An OpenAI stream on its way to an OpenAI client: the same bytes, with as little work per chunk as possible. Pure.

Most events of a stream are equal but for the text they carry. After an event was parsed, the bytes before its text
(the *head*) and after it (the *tail*) are remembered. Bytes that begin with the head, end with the tail and have only
printable text without quotes and backslashes in between (or such events in a row) are known, without parsing, to be
valid events that say nothing but that text: they pass as they are. Every other event is parsed. So nothing is ever
judged by a word that happens to occur in it.

Servers that are compatible only loosely (Ollama and others) give every chunk of a chat a role, or all calls one index. The
official client would read `assistantassistant` and one merged call, so a role passes once per choice, and calls are
numbered (`call_repair`). An event that says a role, or begins or names a call, is never a template: the next like it would
pass without being mended. Thoughts get the name that clients know (`thought_names`).

How a stream ends:

* `[DONE]`: complete. A choice that never got a finish reason is finished first.
* end of the body after every choice was finished: complete, whatever followed the finish in part.
* end of the body earlier: `StreamTruncated`. An event without its blank line does not count, `[DONE]` excepted.

Usage is taken off the stream and goes out, if the client asked for it, as a last chunk with empty `choices`.
"""

import io
from collections.abc import Callable
from typing import Any

import orjson

from providers.dialects.call_repair import CallRepair
from providers.dialects.chunk_texts import chat_content, completion_content, is_plain
from providers.dialects.content_parts import mend_parts
from providers.dialects.finish_reasons import openai_reason, reason_of_calls
from providers.dialects.openai_chat.usage import client_usage, read_usage, write_usage
from providers.dialects.plain_body import PlainBodyGuard
from providers.dialects.sse import DONE, BlockSplitter, load_data, parse_block, too_large
from providers.dialects.thought_names import ThoughtFrames, name_thought, says_only_thought
from providers.dialects.upstream_errors import error_of_object
from providers.errors import BadAnswer, StreamTruncated, UpstreamError
from providers.lenient import a_list
from providers.types import ClientRequest, JsonObject, Operation, Usage, told

Repair = Callable[[JsonObject], bool]
"""Corrects a parsed chunk in place; True when it changed something."""

_ROLE = b'"role":"assistant"'
"""Quotes inside a JSON string are escaped, so these bytes are a key and its value wherever they stand."""

_PROBE = b"~probe~"

_LESSONS = 4
"""After so many templates in a row that no event fitted (each event has, say, its own padding), no more are made."""

_IDENTITY = ("id", "object", "created", "model", "system_fingerprint", "service_tier")


class RelayStream:
    """`ClientStream` for upstreams that speak the client's own dialect (chat and text completions)."""

    __slots__ = (
        "_armed", "_asked", "_choices", "_expected", "_floor", "_guard", "_head", "_identity", "_include_usage",
        "_is_chat", "_is_pattern", "_last_usage", "_lessons", "_padding", "_parsed_chars", "_passed_chars", "_repair",
        "_seam", "_splitter", "_start", "_stop", "_strips_roles", "_tail", "_text", "_thoughts", "ended",
        "failure", "finish_reason", "started", "usage",
    )  # fmt: skip

    def __init__(self, request: ClientRequest, *, repair: Repair | None = None) -> None:
        self.started = False
        self.ended = False
        self.failure: UpstreamError | None = None
        self.usage: Usage | None = None
        self.finish_reason: str | None = None
        self._is_chat = request.operation is Operation.CHAT
        self._include_usage = request.include_usage
        self._expected = expected_choices(request.body)
        self._asked = request.body
        self._repair = repair
        self._splitter = BlockSplitter()
        self._guard = PlainBodyGuard()
        self._text = io.StringIO()
        self._choices: dict[int, _Choice] = {}
        self._identity: JsonObject = {}
        self._last_usage: JsonObject | None = None
        self._armed = self._strips_roles = False
        self._is_pattern = True
        self._head = self._tail = b""
        self._seam = self._padding = ""
        self._start = self._stop = self._floor = 0
        self._lessons = _LESSONS
        self._thoughts: ThoughtFrames | None = None
        self._parsed_chars = 0
        self._passed_chars = 0

    def feed(self, data: bytes) -> bytes:
        if self._armed and self._fits(data):
            return data
        return self._feed_slowly(data)

    def close(self) -> bytes:
        if self.ended or self.failure is not None:
            return b""
        frames: list[bytes] = []
        rest = parse_block(self._splitter.rest())
        if (rest is not None and rest.data.strip() == b"[DONE]") or self._all_finished():
            self._end(frames)
        else:
            self.failure = self._guard.error(complete=True) or StreamTruncated("The provider's stream ended too early.")
        return b"".join(frames)

    def delivered_text(self) -> str:
        return self._text.getvalue()

    def usage_frame(self, usage: Usage) -> bytes:
        """The usage chunk for a client that asked, when the upstream gave none; it goes before the final `DONE`."""
        return self._frame({**self._identity, "choices": [], "usage": write_usage(usage)})

    # ------------------------------------------------------------------------------------------- the long way

    def _feed_slowly(self, data: bytes) -> bytes:
        if self.ended or self.failure is not None:
            return b""
        if self._strips_roles and self._splitter.idle and _ROLE in data and not _may_finish(data):
            # Spares the parsing of chunks whose only fault it is. Where a read cuts it apart, they are parsed.
            data = data.replace(_ROLE + b",", b"").replace(b"," + _ROLE, b"")
            if self._armed and self._fits(data):
                return data
        if not self._guard.settled and self._guard.take(data):
            self.failure = self._guard.error(complete=False)
            return b""
        frames: list[bytes] = []
        try:
            self._take_blocks(self._splitter.feed(data), frames)
            if self._splitter.overflowed and not self.ended:
                raise too_large()
        except UpstreamError as error:
            self.failure = error
        self._armed = self._floor > 0 and self._splitter.idle and not self.ended and self.failure is None
        return b"".join(frames)

    def _take_blocks(self, blocks: list[bytes], frames: list[bytes]) -> None:
        for block in blocks:
            frame = block + b"\n\n"
            if self._floor and self._fits(frame):
                frames.append(frame)
                continue
            if self._thoughts is not None and (thought := self._thoughts.write(frame)) is not None:
                self._parsed_chars += self._text.write(thought[0])
                frames.append(thought[1])
                continue
            if frame.startswith(b"data: {") and b"\n" not in block:
                self._take_data(block[6:], frame, frames)
            elif (event := parse_block(block)) is not None:
                if event.data.startswith(b"[DONE]"):
                    self._end(frames)
                    return
                if event.event == "error":
                    raise error_of_object(load_data(event.data))
                self._take_data(event.data, b"data: " + event.data.replace(b"\n", b" ") + b"\n\n", frames)

    def _take_data(self, data: bytes, frame: bytes, frames: list[bytes]) -> None:
        chunk = load_data(data)
        if chunk.get("error"):
            raise error_of_object(chunk)
        self._take_chunk(chunk, frame, frames)

    def _take_chunk(self, chunk: JsonObject, frame: bytes, frames: list[bytes]) -> None:
        changed = self._repair is not None and isinstance(chunk.get("choices"), list) and self._repair(chunk)
        choices = chunk.get("choices")
        usage = chunk.get("usage")
        if usage is not None:
            # Also what is none, such as an empty object: clients take it for one.
            self._note_usage(usage)
            chunk["usage"] = None
            changed = True
        if not isinstance(choices, list) or not choices:
            return
        if not self._identity:
            self._identity = {key: chunk[key] for key in _IDENTITY if chunk.get(key)}
        elif chunk.get("id") == "" and "id" in self._identity:
            # Azure's notes of its asynchronous filter; clients that put a stream together go by its id.
            chunk.update(self._identity)
            changed = True
        text, told, rewritten = self._take_choices(choices)
        if (usage is not None or rewritten) and not told and self._choices_finished():
            return
        if changed or rewritten:
            frames.append(self._frame(chunk))
            self._learn_thought(frame, frames[-1], chunk, "" if changed else text)
            return
        frames.append(frame)
        if text and self._is_pattern:
            self._learn(frame, chunk, text)

    def _note_usage(self, usage: Any) -> None:
        if (counted := told(read_usage(usage))) is not None:
            self.usage = counted
            self._last_usage = client_usage(usage, counted)

    def _take_choices(self, choices: list[Any]) -> tuple[str, bool, bool]:
        """The text in these choices, whether they tell the client anything, and whether one had to be rewritten."""
        texts: list[str] = []
        told = rewritten = False
        self._is_pattern = True
        for raw in choices:
            if not isinstance(raw, dict):
                raise BadAnswer("The provider sent a stream chunk with malformed choices.")
            index = raw.get("index")
            number = index if isinstance(index, int) else 0
            if (choice := self._choices.get(number)) is None:
                choice = self._choices[number] = _Choice()
            delta = raw.get("delta")
            if type(delta) is dict and (
                "role" in delta or "tool_calls" in delta or "reasoning" in delta or type(delta.get("content")) is list
            ):
                rewritten = self._mend(delta, choice) or rewritten
            elif delta is None and self._is_chat:
                # Some servers finish without one; clients look into it unasked.
                raw["delta"] = {}
                rewritten = True
            content = chat_content(delta, texts) if self._is_chat else completion_content(raw, texts)
            choice.has_tools = choice.has_tools or content == "tools"
            reason = raw.get("finish_reason")
            if reason is not None and (meant := self._meant(reason, choice)) != reason:
                raw["finish_reason"] = reason = meant
                rewritten = True
            if reason:
                rewritten = self._complete(raw, reason, choice) or rewritten
                choice.finished = True
                self._strips_roles = False
                self.finish_reason = self.finish_reason or str(reason)
            told = told or bool(content) or bool(reason)
        self.started = self.started or told
        text = "".join(texts)
        self._parsed_chars += self._text.write(text)
        return text, told, rewritten

    def _meant(self, reason: Any, choice: "_Choice") -> Any:
        """In OpenAI's words; a choice finishes once, and with its calls where it has some."""
        meant = openai_reason(reason) if isinstance(reason, str) else reason
        if meant == "" or (meant and choice.finished):
            return None
        return meant if choice.calls is None else reason_of_calls(meant, self._asked)

    def _complete(self, raw: JsonObject, reason: Any, choice: "_Choice") -> bool:
        """Adds to a choice's last chunk what its calls lack; True when they did. Those of an answer that was cut may."""
        delta = raw.get("delta")
        if choice.calls is None or type(delta) is not dict or reason not in ("tool_calls", "stop"):
            return False
        if missing := choice.calls.complete():
            delta["tool_calls"] = [*a_list(delta.get("tool_calls")), *missing]
        return bool(missing)

    def _mend(self, delta: JsonObject, choice: "_Choice") -> bool:
        """Brings a role, content in parts, thoughts and calls to the rules of clients; True when that changed something."""
        changed = mend_parts(delta) | name_thought(delta)
        if delta.get("role"):
            self._is_pattern = False
            if choice.has_role:
                del delta["role"]
                # What comes after the finish is looked at: a chunk that said nothing but its role is left out there.
                self._strips_roles = self._expected == 1 and not choice.finished
                changed = True
            choice.has_role = True
        calls = delta.get("tool_calls")
        if calls and isinstance(calls, list):
            choice.calls = numbered = choice.calls or CallRepair()
            changed = numbered.mend(calls) or changed
            self._is_pattern = self._is_pattern and numbered.continues
            if numbered.renumbers:
                # What was a template by upstream's index is of another call now.
                self._floor = 0
        return changed

    def _end(self, frames: list[bytes]) -> None:
        if not self._choices:
            self.failure = BadAnswer("The provider's stream ended without any answer.")
            return
        unfinished = [(index, choice) for index, choice in sorted(self._choices.items()) if not choice.finished]
        for index, choice in unfinished:
            frames.append(self._finish_frame(index, choice))
        if self._include_usage and self._last_usage is not None:
            frames.append(self._frame({**self._identity, "choices": [], "usage": self._last_usage}))
        frames.append(DONE)
        self.ended = True

    def _finish_frame(self, index: int, choice: "_Choice") -> bytes:
        self.started = True
        reason = "tool_calls" if choice.has_tools else "stop"
        self.finish_reason = self.finish_reason or reason
        said: JsonObject = {"delta": {}} if self._is_chat else {"text": ""}
        self._complete(said, reason, choice)
        told = {"index": index, **said, "logprobs": None, "finish_reason": reason}
        return self._frame({**self._identity, "choices": [told]})

    def _choices_finished(self) -> bool:
        return all(choice.finished for choice in self._choices.values())

    def _all_finished(self) -> bool:
        return len(self._choices) >= self._expected and self._choices_finished()

    def _frame(self, chunk: JsonObject) -> bytes:
        return b"data: " + orjson.dumps(chunk) + b"\n\n"

    # --------------------------------------------------------------------------------------- the short way

    def _fits(self, data: bytes) -> bool:
        """True, and the text noted, when `data` is one or more events like the template."""
        if len(data) < self._floor or not data.startswith(self._head) or not data.endswith(self._tail):
            return False
        try:
            text = data[self._start : self._stop].decode()
        except UnicodeDecodeError:
            return False
        if self._padding:
            text, found, padding = text.partition(self._padding)
            if not found or not is_plain(padding):
                return False
        elif '"' in text:
            text = text.replace(self._seam, "")
        if '"' in text or "\\" in text or not text.isprintable():
            return False
        self._text.write(text)
        return True

    def _learn(self, frame: bytes, chunk: JsonObject, text: str) -> None:
        """Tries to make `frame` the template; a parse with another text in its place proves that it is one."""
        if len(chunk["choices"]) != 1 or not is_plain(text):
            return
        token = b'"' + text.encode() + b'"'
        if frame.count(token) != 1:
            return
        if not self._worth_learning():
            return
        start = frame.index(token) + 1
        head, tail = frame[:start], frame[start + len(token) - 2 :]
        padding, tail = _find_padding(chunk, tail)
        if not self._proves(head + _PROBE + (padding and padding + _PROBE) + tail, padded=bool(padding)):
            return
        self._padding = padding.decode()
        self._head, self._tail = head, tail
        self._start, self._stop = len(head), -len(tail)
        self._seam = (tail + head).decode()
        self._floor = len(head) + len(tail) + 1

    def _learn_thought(self, frame: bytes, written: bytes, chunk: JsonObject, text: str) -> None:
        if says_only_thought(chunk, text):
            self._thoughts = self._thoughts or ThoughtFrames()
            self._thoughts.learn(frame, written, text)

    def _proves(self, frame: bytes, *, padded: bool) -> bool:
        """True when the probe in `frame` is the text of its event (and its padding), and nothing else."""
        try:
            probed = orjson.loads(frame[6:])
        except orjson.JSONDecodeError:
            return False
        texts: list[str] = []
        choice = probed["choices"][0]
        if self._is_chat:
            chat_content(choice.get("delta"), texts)
        else:
            completion_content(choice, texts)
        return texts == [_PROBE.decode()] and (not padded or probed["obfuscation"] == _PROBE.decode())

    def _worth_learning(self) -> bool:
        passed = self._text.tell() - self._parsed_chars
        self._lessons = _LESSONS if passed > self._passed_chars else self._lessons - 1
        self._passed_chars = passed
        return self._lessons > 0


class _Choice:
    __slots__ = ("calls", "finished", "has_role", "has_tools")

    def __init__(self) -> None:
        self.finished = self.has_role = self.has_tools = False
        self.calls: CallRepair | None = None


def expected_choices(body: JsonObject) -> int:
    """How many choices the client asked for: `n` for each prompt."""
    n = body.get("n")
    prompt = body.get("prompt")
    prompts = len(prompt) if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int) else 1
    return prompts * (n if type(n) is int and n > 0 else 1)


def _may_finish(data: bytes) -> bool:
    return data.count(b"finish_reason") != data.count(b'"finish_reason":null')


def _find_padding(chunk: JsonObject, tail: bytes) -> tuple[bytes, bytes]:
    """OpenAI pads its events to hide their lengths: what lies between text and padding, and what follows the padding."""
    padding = chunk.get("obfuscation")
    key = tail.rfind(b'"obfuscation"')
    if not isinstance(padding, str) or not padding or not is_plain(padding) or key < 0:
        return b"", tail
    start = tail.find(b'"' + padding.encode() + b'"', key + 13) + 1
    return tail[:start], tail[start + len(padding.encode()) :]
