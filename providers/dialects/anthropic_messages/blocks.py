"""Content parts → Anthropic content blocks, one at a time. Pure.

Media types are taken from the first bytes of the data, not from the label: the upstream refuses an image whose label
is wrong. Blocks that have no typed form travel as `OpaquePart` and are given back unchanged.
"""

import base64
import binascii
import re
from collections.abc import Iterable

from providers.errors import ClientFault, Unsupported
from providers.types import AudioPart, FilePart, ImagePart, JsonObject, OpaquePart, Part, RefusalPart, TextPart

_DATA_URI = re.compile(r"data:([^;,]*)((?:;[^;,]*)*),", re.ASCII)
_IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_OPAQUE_TYPES = frozenset(
    {
        "document",
        "image",
        "search_result",
        "container_upload",
        "server_tool_use",
        "mcp_tool_use",
        "mcp_tool_result",
        "compaction",
        "tool_reference",
        "web_search_tool_result",
        "web_fetch_tool_result",
        "code_execution_tool_result",
        "bash_code_execution_tool_result",
        "text_editor_code_execution_tool_result",
        "tool_search_tool_result",
    }
)


def blocks_from_parts(parts: Iterable[Part], provider: str) -> list[JsonObject]:
    """Blank text is left out, because the upstream refuses empty and whitespace-only text blocks."""
    return [block for part in parts if (block := _block(part, provider)) is not None]


def _block(part: Part, provider: str) -> JsonObject | None:
    match part:
        case TextPart():
            return text_block(part.text, part.cache_control)
        case RefusalPart():
            return text_block(part.text)
        case ImagePart():
            return _marked(_image_block(part.url), part.cache_control)
        case FilePart():
            return _marked(_document_block(part, provider), part.cache_control)
        case AudioPart():
            raise Unsupported(field="input_audio", provider=provider, why="the provider takes no audio")
        case OpaquePart():
            return _opaque_block(part.raw, provider)


def text_block(text: str, cache_control: JsonObject | None = None) -> JsonObject | None:
    if not text.strip():
        return None
    block: JsonObject = {"type": "text", "text": text}
    if cache_control is not None:
        block["cache_control"] = cache_control
    return block


def _marked(block: JsonObject, cache_control: JsonObject | None) -> JsonObject:
    return block if cache_control is None else {**block, "cache_control": cache_control}


def _image_block(url: str) -> JsonObject:
    if not url.startswith("data:"):
        return {"type": "image", "source": {"type": "url", "url": url}}
    label, data = _split_data_uri(url)
    media_type = _sniff(data) or label
    if media_type not in _IMAGE_TYPES:
        raise ClientFault(
            f"Image type '{media_type}' is not supported; use JPEG, PNG, GIF or WebP.",
            code="invalid_image_format",
            param="messages",
        )
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}


def _document_block(part: FilePart, provider: str) -> JsonObject:
    if part.data is None:
        if part.file_id is None or not part.file_id.startswith("file_"):
            raise Unsupported(field="file_id", provider=provider, why="files have to be sent with their data")
        source: JsonObject = {"type": "file", "file_id": part.file_id}
    elif part.data.startswith(("https://", "http://")):
        source = {"type": "url", "url": part.data}
    else:
        source = _document_source(part.data, provider)
    block: JsonObject = {"type": "document", "source": source}
    if part.filename is not None:
        block["title"] = part.filename
    return block


def _document_source(text: str, provider: str) -> JsonObject:
    label, data = _split_data_uri(text) if text.startswith("data:") else ("", text)
    media_type = _sniff(data) or label
    if media_type == "application/pdf":
        return {"type": "base64", "media_type": media_type, "data": data}
    if media_type.startswith("text/"):
        try:
            plain = base64.b64decode(data, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise ClientFault("A text file is not base64 of UTF-8.", param="messages") from None
        return {"type": "text", "media_type": "text/plain", "data": plain}
    raise Unsupported(field="file", provider=provider, why="only PDF and plain text files are taken")


def _split_data_uri(uri: str) -> tuple[str, str]:
    match = _DATA_URI.match(uri)
    if match is None or "base64" not in match.group(2):
        raise ClientFault("A data URI must have the form data:<type>;base64,<data>.", param="messages")
    return match.group(1).strip().lower().replace("image/jpg", "image/jpeg"), uri[match.end() :]


def _sniff(data: str) -> str | None:
    """The media type by the first bytes of base64 text; None when they say nothing."""
    try:
        head = base64.b64decode(data[:16] + "=" * (-len(data[:16]) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ClientFault("The data of an image or file is not base64.", param="messages") from None
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    magics = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG", "image/png"), (b"GIF8", "image/gif"))
    for magic, media_type in (*magics, (b"%PDF", "application/pdf")):
        if head.startswith(magic):
            return media_type
    return None


def _opaque_block(raw: JsonObject, provider: str) -> JsonObject:
    if raw.get("type") not in _OPAQUE_TYPES:
        raise Unsupported(field="messages", provider=provider, why=f"content part of type {raw.get('type')!r}")
    return raw
