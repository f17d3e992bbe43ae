"""Embeddings are cached for each input by itself: of a list, only what is new goes upstream."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from accounts.header_lines import HeaderLines
from providers.dialects import embeddings
from providers.types import JsonObject
from routing.answer_store import AnswerStore
from routing.cache_key import embedding_keys
from routing.cached_answers import CachedAnswer
from routing.call import Call
from routing.estimation import estimate
from routing.recording import PassingSink, is_regular


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """The keys of a request's inputs; `known` are those that were cached, `missing` the other inputs, each once."""

    keys: list[bytes]
    known: dict[bytes, JsonObject]
    missing: dict[bytes, Any]

    @property
    def is_all_new(self) -> bool:
        return len(self.missing) == len(self.keys)


class VectorCache:
    def __init__(self, store: AnswerStore) -> None:
        self._store = store

    async def answer(
        self,
        call: Call,
        run: Callable[[Call], Awaitable[None]],
        land: Callable[[CachedAnswer | None], None],
        hit: Callable[[Call], None],
    ) -> Sequence[tuple[bytes, CachedAnswer]]:
        """Replies from the cache, or has `run` ask for what is missing, and returns what of it to keep. `land` gets the
        whole answer."""
        asked = await self._look_up(call)
        if not asked.missing:
            body = _compose(asked, asked.known, call.request.model)
            land(CachedAnswer(tenant=call.principal.tenant, data=body))
            hit(call)
            await call.sink.reply(200, body, call.head)
            return ()
        call.cache = "miss"
        call.head = call.head + b"x-llm-proxy-cache: miss\r\n"
        call.sink = recorder = _VectorRecorder(call, asked, land)
        if not asked.is_all_new:
            smaller = {**call.request.body, "input": list(asked.missing.values())}
            call.request = replace(call.request, body=smaller, size_bytes=0)
            call.estimate = estimate(call.request)
        await run(call)
        return recorder.fresh

    async def _look_up(self, call: Call) -> _Asked:
        tenant = call.principal.tenant
        inputs = embeddings.inputs_of(call.request.body)
        keys = embedding_keys(
            call.request, inputs, tenant=tenant, revision=call.table.answers_revision, tags=call.options.tags
        )
        found = await self._store.get(keys)
        known = {
            key: orjson.loads(answer.data)
            for key, answer in zip(keys, found, strict=True)
            if answer is not None and answer.tenant == tenant
        }
        missing = {key: each for key, each in zip(keys, inputs, strict=True) if key not in known}
        return _Asked(keys=keys, known=known, missing=missing)


class _VectorRecorder(PassingSink):
    """Takes vectors out of the upstream's answer and puts the client's together. `fresh` is what to keep."""

    def __init__(self, call: Call, asked: _Asked, land: Callable[[CachedAnswer | None], None]) -> None:
        super().__init__(call.sink)
        self._call = call
        self._asked = asked
        self._land = land
        self.fresh: list[tuple[bytes, CachedAnswer]] = []

    async def reply(self, status: int, body: bytes, headers: HeaderLines = b"") -> None:
        await self._inner.reply(status, self._whole(body) if status == 200 else body, headers)

    def _whole(self, body: bytes) -> bytes:
        """The client's answer."""
        asked, tenant = self._asked, self._call.principal.tenant
        answer = orjson.loads(body)
        values = _read_vectors(answer, list(asked.missing))
        if is_regular(self._call):
            self.fresh = [
                (key, CachedAnswer(tenant=tenant, data=orjson.dumps(each)))
                for key, each in values.items()
                if each["embedding"]
            ]
        if not asked.is_all_new:
            body = _compose(asked, {**asked.known, **values}, self._call.request.model, usage=answer.get("usage"))
        self._land(CachedAnswer(tenant=tenant, data=body) if len(self.fresh) == len(values) else None)
        return body


def _read_vectors(answer: JsonObject, keys: Sequence[bytes]) -> dict[bytes, JsonObject]:
    """By key `{"embedding", "tokens", "model"}`, of an answer with as many embeddings as keys. They are taken in the order
    in which they stand where their indexes give none. Tokens of a list are shared out evenly, because providers count
    them for the whole."""
    data = answer["data"]
    by_index = {item["index"]: item.get("embedding") for item in data if isinstance(item.get("index"), int)}
    if by_index.keys() != set(range(len(keys))):
        by_index = {index: item.get("embedding") for index, item in enumerate(data)}
    usage = answer.get("usage")
    total = usage.get("prompt_tokens", 0) if isinstance(usage, dict) else 0
    each, more = divmod(total if isinstance(total, int) else 0, len(keys))
    return {
        key: {"embedding": by_index[index], "tokens": each + (index < more), "model": answer.get("model")}
        for index, key in enumerate(keys)
    }


def _compose(asked: _Asked, values: dict[bytes, JsonObject], model: str, usage: Any = None) -> bytes:
    if usage is None:
        tokens = sum(values[key]["tokens"] for key in asked.keys)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    data = [
        {"object": "embedding", "index": index, "embedding": values[key]["embedding"]}
        for index, key in enumerate(asked.keys)
    ]
    model = values[asked.keys[0]].get("model") or model
    return orjson.dumps({"object": "list", "data": data, "model": model, "usage": usage})
