"""Where an answer's statements come from: annotations, search results, and `[n]` marks in the text. Pure.

Perplexity's clients know `citations` (addresses) and `search_results` at the top level of an answer; everybody
else's know `annotations` of the message. Both are served.
"""

import re
from collections.abc import Iterable, Mapping

from providers.types import Citation, JsonObject

MARK = re.compile(r"\[(\d{1,3})\]")


def decode_annotations(annotations: object, *, offset: int) -> tuple[Citation, ...]:
    """Annotations with an address. `offset` is where the part's text starts in the whole text, in characters."""
    if not isinstance(annotations, list):
        return ()
    return tuple(decode_annotation(item, offset=offset) for item in annotations if has_address(item))


def has_address(annotation: object) -> bool:
    return isinstance(annotation, dict) and isinstance(annotation.get("url"), str) and bool(annotation["url"])


def decode_annotation(annotation: JsonObject, *, offset: int) -> Citation:
    start, end = annotation.get("start_index"), annotation.get("end_index")
    placed = isinstance(start, int) and isinstance(end, int)
    return Citation(
        url=annotation["url"],
        title=str(annotation.get("title") or ""),
        start_index=int(start or 0) + offset if placed else 0,
        end_index=int(end or 0) + offset if placed else 0,
    )


def encode_annotation(citation: Citation) -> JsonObject:
    return {
        "type": "url_citation",
        "start_index": citation.start_index,
        "end_index": citation.end_index,
        "title": citation.title,
        "url": citation.url,
    }


def marked_citations(text: str, sources: Mapping[int, tuple[str, str]]) -> tuple[Citation, ...]:
    """Every `[n]` in `text` for which `sources` has an address and a title."""
    marks = ((mark, sources.get(int(mark.group(1)))) for mark in MARK.finditer(text))
    return tuple(
        Citation(url=source[0], title=source[1], start_index=mark.start(), end_index=mark.end())
        for mark, source in marks
        if source is not None
    )


def numbered(results: Iterable[JsonObject]) -> dict[int, tuple[str, str]]:
    """Search results by the number the text refers to: their own id, else their place in the list."""
    sources: dict[int, tuple[str, str]] = {}
    for place, result in enumerate(results, 1):
        number = result.get("id")
        key = number if isinstance(number, int) and not isinstance(number, bool) else place
        if isinstance(result.get("url"), str):
            sources.setdefault(key, (result["url"], str(result.get("title") or "")))
    return sources


def search_fields(results: list[JsonObject]) -> JsonObject:
    """The top-level fields of Perplexity's own answers; empty when nothing was searched."""
    if not results:
        return {}
    urls = [result["url"] for result in results if isinstance(result.get("url"), str)]
    return {"citations": list(dict.fromkeys(urls)), "search_results": results}
