"""How many objects a call leaves that only the garbage collector can free; run as a process of its own, in a gateway's
environment: `python -m tests.e2e.leftovers`, with cases as JSON on standard input: {name: [key, body], …}.

Prints {name: [answers other than 200, objects per call, the most common types], …}. Clients are objects in this process,
so that a collection sees the gateway's side of a call and nothing else; upstreams are elsewhere.
"""

import asyncio
import collections
import gc
import json
import sys
from typing import Any

import uvloop

from tests.bench.instructions import Load, gateway_protocol, request_of

CALLS = 40
END = (b"}", b"0\r\n\r\n")


async def leftovers(protocol: Any, key: str, body: Any) -> tuple[int, float, list[str]]:
    sent = body if isinstance(body, str) else json.dumps(body)
    load = Load(protocol, request_of(key, sent.encode()), END, rest_s=0.1)
    async with asyncio.timeout(30):
        await load.run(CALLS)
    refused = load.bad
    gc.collect()
    gc.disable()
    async with asyncio.timeout(30):
        await load.run(CALLS)
    gc.set_debug(gc.DEBUG_SAVEALL)
    found = gc.collect()
    gc.set_debug(0)
    kinds = collections.Counter(type(each).__qualname__ for each in gc.garbage)
    gc.garbage.clear()
    gc.enable()
    return load.bad - refused, found / CALLS, [name for name, _ in kinds.most_common(8)]


async def main() -> None:
    protocol = await gateway_protocol()
    cases = json.load(sys.stdin)
    found = {name: await leftovers(protocol, key, body) for name, (key, body) in cases.items()}
    await asyncio.to_thread(print, json.dumps(found), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
