"""Embeddings of more inputs than a provider takes at once: asked for in several requests, and put together. Pure."""

from collections.abc import Sequence
from dataclasses import replace

import orjson

from providers.adapters.base import Delivered
from providers.dialects.embeddings import inputs_of
from providers.types import ClientRequest, Usage


def parts_of(request: ClientRequest, most: int | None) -> list[ClientRequest]:
    """The request itself where it has at most so many inputs (None: any number), else one for each so many."""
    inputs = inputs_of(request.body) if most is not None else ()
    if most is None or len(inputs) <= most:
        return [request]
    starts = range(0, len(inputs), most)
    return [replace(request, body={**request.body, "input": inputs[at : at + most]}, size_bytes=0) for at in starts]


def join(parts: Sequence[Delivered]) -> Delivered:
    """One answer, its embeddings numbered through. Usage is unknown where that of one part is."""
    answers = [orjson.loads(part.body) for part in parts]
    rows = [row for answer in answers for row in answer["data"]]
    data = [{**row, "index": index} for index, row in enumerate(rows)]
    known = [part.usage for part in parts if part.usage is not None]
    usage = sum_of(known)
    counts = {"prompt_tokens": usage.input_tokens, "total_tokens": usage.total_tokens}
    body = orjson.dumps({**answers[0], "data": data, "usage": counts})
    return Delivered(body=body, usage=usage if len(known) == len(parts) else None)


def sum_of(usages: Sequence[Usage]) -> Usage:
    costs = [usage.cost_nano_usd for usage in usages if usage.cost_nano_usd is not None]
    charged = [usage.billed or (usage.input_tokens, usage.output_tokens) for usage in usages]
    return Usage(
        input_tokens=sum(usage.input_tokens for usage in usages),
        output_tokens=sum(usage.output_tokens for usage in usages),
        cached_tokens=sum(usage.cached_tokens for usage in usages),
        cost_nano_usd=sum(costs) if len(costs) == len(usages) else None,
        billed=None
        if not any(usage.billed for usage in usages)
        else (sum(read for read, _ in charged), sum(written for _, written in charged)),
    )
