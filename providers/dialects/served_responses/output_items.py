"""The output items of a response while they grow: each one's events, in the order of OpenAI's own stream. Pure.

`item` is what the item is so far, and after `close` what it is.
"""

from collections.abc import Iterator
from dataclasses import replace

import orjson

from providers.dialects.openai_responses.carried_reasoning import pack
from providers.dialects.openai_responses.citations import encode_annotation
from providers.dialects.served_responses.added_tools import BY_CLIENT, SEARCH_CALL
from providers.types import Citation, JsonObject, ReasoningBlock


class OutputItem:
    def __init__(self, item: JsonObject, index: int) -> None:
        self.item = item
        self.place: JsonObject = {"output_index": index}
        self.where: JsonObject = {"item_id": item["id"], **self.place}

    def added(self, **empty: object) -> JsonObject:
        return {"type": "response.output_item.added", **self.place, "item": {**self.item, **empty}}

    def close(self, status: str) -> Iterator[JsonObject]:
        """`status` of the response: an item that was open when it was cut is incomplete, too."""
        self.item["status"] = status
        yield {"type": "response.output_item.done", **self.place, "item": self.item}


def empty_part(kind: str) -> JsonObject:
    if kind == "refusal":
        return {"type": kind, "refusal": ""}
    return {"type": kind, "text": "", "annotations": [], "logprobs": []}


class MessageItem(OutputItem):
    """A text, a refusal, or both: each a part of the message."""

    def __init__(self, item_id: str, index: int) -> None:
        item = {"type": "message", "id": item_id, "status": "in_progress", "role": "assistant", "content": []}
        super().__init__(item, index)
        self._part: JsonObject | None = None
        self._pieces: list[str] = []

    def added(self, **empty: object) -> JsonObject:
        return super().added(content=[])

    def text(self, delta: str, logprobs: list[JsonObject]) -> Iterator[JsonObject]:
        yield from self._turn_to("output_text")
        if logprobs:
            self.item["content"][-1]["logprobs"] += logprobs
        self._pieces.append(delta)
        yield {"type": "response.output_text.delta", **self._within(), "delta": delta, "logprobs": logprobs}

    def refusal(self, delta: str) -> Iterator[JsonObject]:
        yield from self._turn_to("refusal")
        self._pieces.append(delta)
        yield {"type": "response.refusal.delta", **self._within(), "delta": delta}

    def cite(self, citation: Citation) -> Iterator[JsonObject]:
        """Some providers tell their sources only when the text is over."""
        parts = self.item["content"]
        index = next((at for at, part in enumerate(parts) if part["type"] == "output_text"), None)
        if index is None:
            yield from self._turn_to("output_text")
            index = len(parts) - 1
        annotations = parts[index]["annotations"]
        annotations.append(encode_annotation(citation))
        yield {
            "type": "response.output_text.annotation.added",
            **self.where,
            "content_index": index,
            "annotation_index": len(annotations) - 1,
            "annotation": annotations[-1],
        }

    def close(self, status: str) -> Iterator[JsonObject]:
        yield from self._end_part()
        yield from super().close(status)

    def begin_text(self) -> Iterator[JsonObject]:
        yield from self._turn_to("output_text")

    def _within(self) -> JsonObject:
        return {**self.where, "content_index": len(self.item["content"]) - 1}

    def _turn_to(self, kind: str) -> Iterator[JsonObject]:
        if self._part is not None and self._part["type"] == kind:
            return
        yield from self._end_part()
        self._part = empty_part(kind)
        self.item["content"].append(self._part)
        yield {"type": "response.content_part.added", **self._within(), "part": empty_part(kind)}

    def _end_part(self) -> Iterator[JsonObject]:
        part, within = self._part, self._within()
        if part is None:
            return
        said = "".join(self._pieces)
        self._part, self._pieces = None, []
        if part["type"] == "output_text":
            part["text"] = said
            yield {"type": "response.output_text.done", **within, "text": said, "logprobs": part["logprobs"]}
        else:
            part["refusal"] = said
            yield {"type": "response.refusal.done", **within, "refusal": said}
        yield {"type": "response.content_part.done", **within, "part": part}


class ReasoningItem(OutputItem):
    """What a provider shows of its reasoning is a summary to OpenAI's clients, which show nothing else."""

    def __init__(self, item_id: str, index: int) -> None:
        super().__init__({"type": "reasoning", "id": item_id, "summary": []}, index)
        self._pieces: list[str] = []
        self._blocks: list[ReasoningBlock] = []
        self._kept = 0

    def added(self, **empty: object) -> JsonObject:
        return super().added(summary=[])

    def text(self, delta: str) -> Iterator[JsonObject]:
        within = {**self.where, "summary_index": 0}
        if not self._pieces:
            part = {"type": "summary_text", "text": ""}
            yield {"type": "response.reasoning_summary_part.added", **within, "part": part}
        self._pieces.append(delta)
        yield {"type": "response.reasoning_summary_text.delta", **within, "delta": delta}

    def keep(self, block: ReasoningBlock) -> None:
        """A signature that comes by itself (OpenRouter's does) signs the text since the block before."""
        if block.signature and not block.text:
            block = replace(block, text="".join(self._pieces[self._kept :]))
        self._kept = len(self._pieces)
        self._blocks.append(block)

    def close(self, status: str) -> Iterator[JsonObject]:
        within = {**self.where, "summary_index": 0}
        if self._pieces:
            part = {"type": "summary_text", "text": "".join(self._pieces)}
            self.item["summary"] = [part]
            yield {"type": "response.reasoning_summary_text.done", **within, "text": part["text"]}
            yield {"type": "response.reasoning_summary_part.done", **within, "part": part}
        packed = pack(self._blocks)
        if packed is not None:
            self.item["encrypted_content"] = packed
        yield {"type": "response.output_item.done", **self.place, "item": self.item}


class CallItem(OutputItem):
    """A call of a function, or of a custom tool, whose input is free text."""

    def __init__(
        self, item_id: str, index: int, *, call_id: str, name: str, namespace: str | None, custom: bool
    ) -> None:
        self._field, self._events = (
            ("input", "response.custom_tool_call_input")
            if custom
            else ("arguments", "response.function_call_arguments")
        )
        kind = "custom_tool_call" if custom else "function_call"
        item = {"type": kind, "id": item_id, "call_id": call_id, "name": name, self._field: "", "status": "in_progress"}
        if namespace is not None:
            item["namespace"] = namespace
        super().__init__(item, index)
        self._pieces: list[str] = []

    def arguments(self, delta: str) -> Iterator[JsonObject]:
        self._pieces.append(delta)
        yield {"type": f"{self._events}.delta", **self.where, "delta": delta}

    def close(self, status: str) -> Iterator[JsonObject]:
        """No arguments are `{}`: an empty string is no JSON."""
        if not self._pieces and self._field == "arguments":
            yield from self.arguments("{}")
        said = "".join(self._pieces)
        self.item[self._field] = said
        named = {"name": self.item["name"]} if self._field == "arguments" else {}
        yield {"type": f"{self._events}.done", **self.where, **named, self._field: said}
        yield from super().close(status)


class SearchCallItem(OutputItem):
    """A search for tools, which the client runs. Its arguments are no text, and come when they are whole."""

    def __init__(self, item_id: str, index: int, *, call_id: str) -> None:
        item = {"type": SEARCH_CALL, "id": item_id, "call_id": call_id, "execution": BY_CLIENT, "arguments": {}}
        super().__init__({**item, "status": "in_progress"}, index)
        self._pieces: list[str] = []

    def arguments(self, delta: str) -> Iterator[JsonObject]:
        self._pieces.append(delta)
        yield from ()

    def close(self, status: str) -> Iterator[JsonObject]:
        said = "".join(self._pieces)
        try:
            self.item["arguments"] = orjson.loads(said or b"{}")
        except orjson.JSONDecodeError:
            # The client can tell the model what is wrong with it.
            self.item["arguments"] = said
        yield from super().close(status)
