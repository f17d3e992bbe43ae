"""Calls with an `Idempotency-Key`: the first one is answered and its answer kept, a repetition gets the same again, free."""

import asyncio

from accounts.admission import Accounts
from accounts.header_lines import HeaderLines, header_lines, header_pairs
from accounts.idempotency import Claim, StoredAnswer
from accounts.records import Principal
from providers.types import ClientRequest
from routing.call import CallOptions
from routing.endpoints.exchange import HttpExchange
from routing.endpoints.fronts import Front
from routing.errors import ClientFacing
from routing.gateway import Gateway
from routing.recording import PassingSink

REPLAYED: HeaderLines = b"idempotent-replayed: true\r\n"
# What a limit had left then says nothing about now.
FORGOTTEN = b"x-ratelimit-"


async def answer_once(
    gateway: Gateway,
    exchange: HttpExchange,
    request: ClientRequest,
    *,
    body: bytes,
    principal: Principal,
    options: CallOptions,
    front: Front | None = None,
) -> None:
    """Raises UnusableIdempotencyKey, IdempotencyMismatch, IdempotencyInFlight, AccountsUnavailable, and what
    `gateway.answer` raises."""
    assert options.idempotency_key is not None
    claim = Claim(
        key_id=principal.key_id,
        idempotency_key=options.idempotency_key,
        body=options.endpoint.encode() + b"\n" + body,
        request_id=exchange.request_id,
    )
    stored = await gateway.accounts.claim(claim)
    if stored is not None:
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in stored.headers]
        return await exchange.reply(stored.status, stored.body, header_lines(headers) + REPLAYED)
    keeping = _KeepingSink(exchange, gateway.accounts, claim)
    sink = keeping if front is None else front(keeping)
    try:
        await gateway.answer(request, request_id=exchange.request_id, principal=principal, options=options, sink=sink)
    finally:
        if not keeping.settled:
            await asyncio.shield(gateway.accounts.abandon_claim(claim))


class _KeepingSink(PassingSink):
    """The client's sink for one complete answer, which is kept, or its claim given up, before it is sent: a client that
    hears of a failure may repeat its call at once."""

    def __init__(self, exchange: HttpExchange, accounts: Accounts, claim: Claim) -> None:
        super().__init__(exchange)
        self._body_of = exchange.body_of
        self._accounts = accounts
        self._claim = claim
        self.settled = False

    async def reply(self, status: int, body: bytes, headers: HeaderLines = b"") -> None:
        self.settled = True
        if status < 500 and status != 429:
            pairs = [
                (name.decode("latin-1"), value.decode("latin-1"))
                for name, value in header_pairs(headers)
                if not name.startswith(FORGOTTEN)
            ]
            answer = StoredAnswer(request_id=self._claim.request_id, status=status, headers=tuple(pairs), body=body)
            # Shielded: a client that leaves now has paid, and may ask for its answer again.
            await asyncio.shield(self._accounts.keep_answer(self._claim, answer))
        else:
            await asyncio.shield(self._accounts.abandon_claim(self._claim))
        await self._inner.reply(status, body, headers)

    async def fail(self, error: ClientFacing, headers: HeaderLines = b"") -> None:
        await self.reply(error.status, self._body_of(error), headers)
