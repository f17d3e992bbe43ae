"""Reasoning of any provider in the `encrypted_content` of a reasoning item, and out of it again. Pure.

OpenAI's own is there as it is. Another vendor's signatures have no field in an item, so its blocks are packed: whoever
sends the item back has sent them back whole.
"""

import base64
import binascii
from collections.abc import Sequence

import orjson

from providers.dialects.json_limits import JsonRefusedError, loads_strict
from providers.dialects.openai_chat.reasoning import decode_block, encode_block
from providers.errors import ClientFault
from providers.types import ReasoningBlock

REASONING_FORMAT = "openai-responses-v1"
PACKED = "llmp1."


def pack(blocks: Sequence[ReasoningBlock]) -> str | None:
    """None when nothing is left to replay but text."""
    if not blocks:
        return None
    first = blocks[0]
    if len(blocks) == 1 and first.encrypted is not None and first.format == REASONING_FORMAT:
        return first.encrypted
    return packed(blocks)


def packed(blocks: Sequence[ReasoningBlock]) -> str:
    """Also what could be sent as it is, for a field that is another vendor's."""
    whole = orjson.dumps({"details": [encode_block(block) for block in blocks]})
    return PACKED + base64.urlsafe_b64encode(whole).decode()


def unpack(content: object, where: str = "input.", field: str = "encrypted_content") -> tuple[ReasoningBlock, ...]:
    """Empty for what was not packed. Raises `ClientFault` for what was, and is damaged."""
    if not isinstance(content, str) or not content.startswith(PACKED):
        return ()
    try:
        details = loads_strict(base64.b64decode(content[len(PACKED) :], altchars=b"-_", validate=True))["details"]
        blocks = [decode_block(detail) for detail in details]
    except (binascii.Error, JsonRefusedError, AttributeError, KeyError, TypeError, ValueError):
        blocks = []
    if not all(blocks) or not blocks:
        param = where + field
        raise ClientFault(f"'{param}' is not one that was sent from here.", param=param)
    return tuple(block for block in blocks if block is not None)
