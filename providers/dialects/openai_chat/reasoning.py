"""Reasoning on messages, as clients of OpenAI-like servers know it. Pure.

`reasoning_content` is the text to show; `reasoning_details` holds whole blocks, with signatures or encrypted, which a
client sends back unchanged (OpenRouter's shape).
"""

from collections.abc import Sequence
from typing import Any

from providers.types import JsonObject, ReasoningBlock

GOOGLE_FORMAT = "google-gemini-v1"


def decode_reasoning(message: JsonObject) -> tuple[ReasoningBlock, ...]:
    """Details win over text, because only they can be replayed; details of other types are left out."""
    details = message.get("reasoning_details")
    if isinstance(details, list):
        blocks = [decode_block(detail) for detail in details if isinstance(detail, dict)]
        if found := tuple([block for block in blocks if block is not None]):
            return found
    text = message.get("reasoning_content") or message.get("reasoning")
    return (ReasoningBlock(text=text),) if isinstance(text, str) and text else ()


def decode_block(detail: JsonObject) -> ReasoningBlock | None:
    text, signature, data = detail.get("text"), detail.get("signature"), detail.get("data")
    named = detail.get("format") if isinstance(detail.get("format"), str) else None
    if detail.get("type") == "reasoning.encrypted" and isinstance(data, str):
        return ReasoningBlock(encrypted=data, format=named)
    if detail.get("type") == "reasoning.text" and (text or signature):
        return ReasoningBlock(
            text=text if isinstance(text, str) else "",
            signature=signature if isinstance(signature, str) else None,
            format=named,
        )
    return None


def encode_block(block: ReasoningBlock) -> JsonObject:
    named: JsonObject = {} if block.format is None else {"format": block.format}
    if block.encrypted is not None:
        return {"type": "reasoning.encrypted", "data": block.encrypted, **named}
    detail: JsonObject = {"type": "reasoning.text", "text": block.text}
    return detail if block.signature is None else {**detail, "signature": block.signature, **named}


def encode_reasoning(blocks: Sequence[ReasoningBlock]) -> JsonObject:
    """The fields to add to a message; details only where there is more to replay than text."""
    encoded: JsonObject = {}
    if not blocks:
        return encoded
    text = "".join(block.text for block in blocks)
    if text:
        encoded["reasoning_content"] = text
    if len(blocks) > 1 or any(block.signature or block.encrypted for block in blocks):
        encoded["reasoning_details"] = [encode_block(block) for block in blocks]
    return encoded


def block_of_call(call: JsonObject) -> ReasoningBlock | None:
    """Gemini signs what it thought at the first call of a turn, and wants that back."""
    signature = _signature_of(call.get("extra_content"))
    return None if signature is None else ReasoningBlock(encrypted=signature, format=GOOGLE_FORMAT)


def _signature_of(extra: Any) -> str | None:
    match extra:
        case {"google": {"thought_signature": str(signature)}} if signature:
            return signature
    return None
