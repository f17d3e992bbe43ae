"""What makes two requests the same for the response cache: everything that could change the answer. Pure.

Left out are only fields that no model sees: how the answer travels (`stream`, `stream_options`), and who asks or how the
provider files it (`user`, `safety_identifier`, `metadata`, `prompt_cache_key`, `prompt_cache_retention`). Unknown fields
count. Keys of objects may come in any order; 1 and 1.0 are different, and so are texts that only look alike.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

import orjson

from providers.types import ClientRequest, JsonObject

VERSION = 1
WITHOUT_INFLUENCE = frozenset(
    {
        "stream",
        "stream_options",
        "user",
        "safety_identifier",
        "metadata",
        "prompt_cache_key",
        "prompt_cache_retention",
    }
)


def cache_key(request: ClientRequest, *, tenant: str, revision: int, tags: Iterable[str] = ()) -> bytes:
    """32 bytes. `revision` is the configuration's: the same name may lead elsewhere after a change. One JSON array is
    hashed, so that no two lists of parts can run together into the same text."""
    return _digest(["answer", *_context(request, tenant, revision, tags), _relevant(request.body)])


def embedding_keys(
    request: ClientRequest, inputs: Iterable[Any], *, tenant: str, revision: int, tags: Iterable[str] = ()
) -> list[bytes]:
    """One key for each input, whatever list it came in."""
    rest = _relevant(request.body)
    del rest["input"]
    context = hashlib.blake2b(_canonical(["vector", *_context(request, tenant, revision, tags), rest]), digest_size=32)
    keys: list[bytes] = []
    for each in inputs:
        state = context.copy()
        state.update(_canonical(each))
        keys.append(state.digest())
    return keys


def _context(request: ClientRequest, tenant: str, revision: int, tags: Iterable[str]) -> list[Any]:
    return [VERSION, tenant, request.operation.value, request.model, revision, sorted(tags)]


def _relevant(body: JsonObject) -> JsonObject:
    return {name: value for name, value in body.items() if name not in WITHOUT_INFLUENCE}


def _canonical(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _digest(value: Any) -> bytes:
    return hashlib.blake2b(_canonical(value), digest_size=32).digest()
