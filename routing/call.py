"""One call on its way through the gateway: its request, its client, and what has happened to it so far."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from accounts.admission import Admission
from accounts.header_lines import HeaderLines
from accounts.records import Principal
from providers.specs import CredentialSpec, DeploymentSpec
from providers.types import ClientRequest, Usage
from providers.values import positional_value
from routing.condensation import Receipt
from routing.decisions import Decision
from routing.errors import ClientFacing
from routing.estimation import Estimate
from routing.table import Route, RoutingTable

if TYPE_CHECKING:
    from routing.attempts import Won

CLOCK_SLACK_S = 0.05
"""The event loop's clock stands still within one turn of it."""

Interruption = Literal["client_gone", "deadline", "shutdown"]


class ClientSink(Protocol):
    """Where an answer goes: an HTTP response or frames of a WebSocket. `started` once a stream has been committed.

    `push` is `write` for those who must not wait: it writes at once, or nothing at all and returns False because the
    client is slow to read. None where every frame has to go by `write`."""

    started: bool

    @property
    def push(self) -> Callable[[bytes], bool] | None: ...

    def watch(self, gone: Callable[[], None]) -> Callable[[], None]:
        """Calls `gone` should the client leave; the returned callable ends that."""

    async def reply(self, status: int, body: bytes, headers: HeaderLines = b"") -> None: ...
    async def start(self, headers: HeaderLines) -> None: ...
    async def write(self, frames: bytes) -> None: ...
    async def finish(self, frames: bytes = b"") -> None: ...
    async def fail(self, error: ClientFacing, headers: HeaderLines = b"") -> None: ...


@positional_value
class CallOptions:
    """What a client said beside the body. `timeout_s` may only shorten the gateway's own deadline; `trace` are the ids of
    the client's trace and of its span."""

    endpoint: str
    client_ip: str | None = None
    tags: frozenset[str] = frozenset()
    no_cache: bool = False
    timeout_s: float | None = None
    idempotency_key: str | None = None
    trace: tuple[str | None, str | None] = (None, None)


@dataclass(slots=True)
class Attempt:
    """One try at one deployment. `started_at` and `first_token_s` are seconds since the call began; `outcome` is
    `success` or the error's reason; `then` what followed; `spent` what it is known to have used although it failed."""

    number: int
    deployment: DeploymentSpec
    credential: CredentialSpec
    started_at: float
    outcome: str = "running"
    status: int | None = None
    duration_s: float = 0.0
    first_token_s: float | None = None
    message: str = ""
    then: str | None = None
    spent: Usage | None = None


@dataclass(slots=True, eq=False)
class Call:
    """The only mutable thing of the pipeline. Clock values are `time.monotonic()` seconds."""

    request: ClientRequest
    request_id: str
    principal: Principal
    admission: Admission
    table: RoutingTable
    route: Route
    options: CallOptions
    estimate: Estimate
    sink: ClientSink
    started_at: float
    deadline: float
    written_at: float
    decision: Decision
    task: "asyncio.Task[object] | None" = None
    attempts: list[Attempt] = field(default_factory=list)
    interrupted: Interruption | None = None
    head: HeaderLines = b""
    concluded: bool = False
    won: "Won | None" = None
    cache: str = ""
    """`hit`, `miss` or `bypass`; empty when no cache was asked."""
    condensed: Receipt | None = None

    def interrupt(self, reason: Interruption) -> None:
        """Cancels the call's task; the gateway turns the cancellation into what `reason` asks for."""
        if self.interrupted is None and self.task is not None:
            self.interrupted = reason
            self.task.cancel()

    @property
    def ran_out_of_its_own_time(self) -> bool:
        """Whether the time that its client set, shorter than the gateway's own, has passed."""
        return self._has_its_own_time and time.monotonic() >= self.deadline - CLOCK_SLACK_S

    @property
    def told_too_late(self) -> str:
        """What its client is told when its time has passed."""
        if self._has_its_own_time:
            return f"The request was not answered within the {self.options.timeout_s:g} s of its x-llm-proxy-timeout."
        return f"The request was not answered within {self.table.policy.request_timeout_s:g} s."

    @property
    def _has_its_own_time(self) -> bool:
        own = self.options.timeout_s
        return own is not None and own < self.table.policy.request_timeout_s

    def answered(self) -> None:
        """Its client has the whole answer: nothing is left that an interruption could end."""
        self.task = None

    def client_gone(self) -> None:
        self.interrupt("client_gone")
