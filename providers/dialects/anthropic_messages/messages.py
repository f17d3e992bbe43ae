"""Messages → Anthropic's `system` and `messages`. Pure.

The upstream's rules that OpenAI does not have: turns of one role are one message; the first is the user's; results of
tools come first in the message that directly follows the calls, one for every call; text is never blank; thinking
comes back with its signature or not at all; a later `system`, where there is one, follows the user's turn and is the
last or before the assistant's; ids are made of letters, digits, `_` and `-`, and no call has another's.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from providers.dialects.anthropic_messages.arguments import object_from_arguments
from providers.dialects.anthropic_messages.blocks import blocks_from_parts
from providers.dialects.anthropic_messages.traits import ModelTraits
from providers.errors import ClientFault
from providers.types import JsonObject, Message, ReasoningBlock, ToolCall

FIRST_USER_TEXT = "."
CONTINUATION_TEXT = "Continue."
_SYSTEM_ROLES = frozenset({"system", "developer"})
_GOOD_ID = re.compile(r"[a-zA-Z0-9_-]+")
_BAD_ID_CHARACTER = re.compile(r"[^a-zA-Z0-9_-]")
REASONING_FORMAT = "anthropic-claude-v1"
BLOCK_ORDER = "block_order"
"""A turn of the assistant says here which of its blocks is a thought (`t`) and which a part (`p`), if not all thoughts come
first."""
_RESULT_FIELDS = ("is_error", "cache_control")


@dataclass(slots=True)
class _Turn:
    role: str
    blocks: list[JsonObject] = field(default_factory=list)

    def ids(self, kind: str, key: str) -> list[str]:
        return [block[key] for block in self.blocks if block["type"] == kind]


def encode_messages(
    messages: Sequence[Message], *, traits: ModelTraits, keep_reasoning: bool, provider: str
) -> tuple[list[JsonObject], list[JsonObject]]:
    """Returns the system blocks and the messages. Raises `ClientFault` for calls and results that do not pair."""
    leading = 0
    while leading < len(messages) and messages[leading].role in _SYSTEM_ROLES:
        leading += 1
    system = [block for message in messages[:leading] for block in _blocks(message, provider)]
    turns: list[_Turn] = []
    speak_of_calls = has_late_system = False
    for message in messages[leading:]:
        turn = _turn(message, turns, traits, keep_reasoning, provider)
        _append(turns, turn)
        if turn.role == "system":
            has_late_system = True
        if message.tool_calls or message.role == "tool":
            speak_of_calls = True
    if has_late_system:
        turns = _with_system_in_its_place(turns)
    if speak_of_calls:
        # Most do not, and need no pairs looked for.
        _order_results(turns)
        _tell_calls_apart(turns)
    _close_ends(turns, traits)
    return system, [{"role": turn.role, "content": _compact(turn.blocks)} for turn in turns]


def _turn(message: Message, turns: list[_Turn], traits: ModelTraits, keep_reasoning: bool, provider: str) -> _Turn:
    if message.role == "tool":
        return _Turn("user", [_result_block(message, blocks_from_parts(message.parts, provider))])
    blocks = _blocks(message, provider)
    if message.role == "assistant":
        if (order := message.extra.get(BLOCK_ORDER)) is not None:
            return _Turn("assistant", _in_order(message, str(order), keep_reasoning, provider))
        reasoning = _reasoning_blocks(message.reasoning) if keep_reasoning else []
        return _Turn("assistant", reasoning + blocks + [_call_block(call) for call in message.tool_calls])
    if message.role in _SYSTEM_ROLES:
        results_are_due = bool(turns) and bool(turns[-1].ids("tool_use", "id"))
        if traits.late_system and turns and not results_are_due:
            return _Turn("system", blocks)
        return _Turn("user", [labelled(block) for block in blocks])
    return _Turn("user", blocks)


def _in_order(message: Message, order: str, keep_reasoning: bool, provider: str) -> list[JsonObject]:
    """As the upstream gave them, which refuses thoughts that have moved. Calls are the last."""
    thoughts = [_reasoning_blocks([each]) if keep_reasoning else [] for each in message.reasoning]
    waiting = {"t": iter(thoughts), "p": iter([blocks_from_parts([part], provider) for part in message.parts])}
    told = [found for kind in order if kind in waiting for found in next(waiting[kind], ())]
    # Where the conversation was shortened there may be other parts.
    rest = [found for each in waiting.values() for left in each for found in left]
    return told + rest + [_call_block(call) for call in message.tool_calls]


def _blocks(message: Message, provider: str) -> list[JsonObject]:
    """A message's own cache mark, which LiteLLM's clients give where the content is a string, is of its last block."""
    blocks = blocks_from_parts(message.parts, provider)
    mark = message.extra.get("cache_control")
    if blocks and isinstance(mark, dict):
        blocks[-1] = {**blocks[-1], "cache_control": mark}
    return blocks


def labelled(block: JsonObject) -> JsonObject:
    """A later system message for a model that has no such role: moving it to the top would invalidate the cached
    prefix and change its place in the conversation."""
    return {**block, "text": f"<system>\n{block['text']}\n</system>"} if block["type"] == "text" else block


def _with_system_in_its_place(turns: list[_Turn]) -> list[_Turn]:
    placed: list[_Turn] = []
    for at, turn in enumerate(turns):
        stands = at + 1 == len(turns) or turns[at + 1].role == "assistant"
        if turn.role != "system" or (stands and placed and placed[-1].role == "user"):
            _append(placed, turn)
        else:
            _append(placed, _Turn("user", [labelled(block) for block in turn.blocks]))
    return placed


def _append(turns: list[_Turn], turn: _Turn) -> None:
    if not turn.blocks:
        return
    if turns and turns[-1].role == turn.role:
        turns[-1].blocks.extend(turn.blocks)
    else:
        turns.append(turn)


def _order_results(turns: list[_Turn]) -> None:
    called: list[str] = []
    for turn in turns:
        answered = turn.ids("tool_result", "tool_use_id")
        _check_pairs(called, answered)
        if answered:
            turn.blocks.sort(key=lambda block: block["type"] != "tool_result")  # stable: results first
        called = turn.ids("tool_use", "id")
    _check_pairs(called, [])


def _tell_calls_apart(turns: list[_Turn]) -> None:
    """Ids come back in later answers of servers that number the calls of each one anew, and the old functions had only
    names. The first keeps its id, and what the others get does not change when the conversation goes on: it is cached."""
    taken: set[str] = set()
    given: dict[str, list[str]] = {}
    for turn in turns:
        for block in turn.blocks:
            if block["type"] == "tool_result":
                same = given[block["tool_use_id"]]
                block["tool_use_id"] = same.pop(0) if len(same) > 1 else same[0]
        given = {}
        for block in turn.blocks:
            if block["type"] == "tool_use":
                identifier = block["id"]
                block["id"] = _free_id(identifier, taken)
                taken.add(block["id"])
                given.setdefault(identifier, []).append(block["id"])


def _free_id(identifier: str, taken: set[str]) -> str:
    free, number = identifier, 1
    while free in taken:
        number += 1
        free = f"{identifier}_{number}"
    return free


def _check_pairs(called: Iterable[str], answered: Iterable[str]) -> None:
    if missing := sorted(set(called) - set(answered)):
        raise ClientFault(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. Without a response: {', '.join(missing)}.",
            param="messages",
        )
    if orphans := sorted(set(answered) - set(called)):
        raise ClientFault(
            "Messages with role 'tool' must be a response to a preceding message with 'tool_calls'. "
            f"Without a call: {', '.join(orphans)}.",
            param="messages",
        )


def _close_ends(turns: list[_Turn], traits: ModelTraits) -> None:
    if not turns or turns[0].role != "user":
        turns.insert(0, _Turn("user", [{"type": "text", "text": FIRST_USER_TEXT}]))
    last = turns[-1]
    if last.role != "assistant":
        return
    if not traits.prefill:
        turns.append(_Turn("user", [{"type": "text", "text": CONTINUATION_TEXT}]))
    elif last.blocks[-1]["type"] == "text":
        last.blocks[-1] = {**last.blocks[-1], "text": last.blocks[-1]["text"].rstrip()}


def _compact(blocks: list[JsonObject]) -> str | list[JsonObject]:
    """A single plain text block is written as a string, the form that every compatible server understands."""
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        return str(blocks[0]["text"])
    return blocks


def _call_block(call: ToolCall) -> JsonObject:
    return {
        "type": "tool_use",
        "id": safe_id(call.id),
        "name": call.name,
        "input": object_from_arguments(call.arguments),
    }


def _result_block(message: Message, blocks: list[JsonObject]) -> JsonObject:
    result: JsonObject = {"type": "tool_result", "tool_use_id": safe_id(message.tool_call_id or "")}
    if blocks:
        result["content"] = _compact(blocks)
    for name in _RESULT_FIELDS:
        if name in message.extra:
            result[name] = message.extra[name]
    return result


def _reasoning_blocks(reasoning: Iterable[ReasoningBlock]) -> list[JsonObject]:
    return [
        {"type": "thinking", "thinking": block.text, "signature": block.signature}
        if block.encrypted is None
        else {"type": "redacted_thinking", "data": block.encrypted}
        for block in reasoning
        if can_be_replayed(block)
    ]


def can_be_replayed(block: ReasoningBlock) -> bool:
    """A block without a signature, or of another format, came from another provider; the upstream would refuse it."""
    return bool(block.signature or block.encrypted is not None) and block.format in (None, REASONING_FORMAT)


def safe_id(identifier: str) -> str:
    """The same id for the same input, different ids for different inputs: calls and results still find each other."""
    if _GOOD_ID.fullmatch(identifier):
        return identifier
    digest = hashlib.sha256(identifier.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{_BAD_ID_CHARACTER.sub('_', identifier) or 'toolu'}_{digest}"
