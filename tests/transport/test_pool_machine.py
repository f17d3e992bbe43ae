"""The pool against a model, with one turn of the event loop at a time: what falls into the same turn, falls in any order."""

import asyncio
import selectors
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from providers.errors import ConnectFailed
from providers.http1.connection import Connection
from providers.http1.pool import Pool
from providers.resolution import system_resolve
from providers.transport import Endpoint

WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
HALF = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nok"
WHICH = st.integers(0, 3)
KEEPALIVE_S, PATIENCE_S = 20.0, 30.0


class Loop(asyncio.SelectorEventLoop):
    """Time stands still until it is moved."""

    now = 0.0

    def time(self) -> float:
        return self.now

    def turn(self) -> None:
        self.call_soon(self.stop)
        self.run_forever()


class Socket(asyncio.Transport):
    """Hears of its abortion in the next turn, as real ones do."""

    def __init__(self, loop: Loop, connection: Connection) -> None:
        super().__init__()
        self.loop, self.connection, self.closed = loop, connection, False
        connection.connection_made(self)

    def write(self, data: Any) -> None:
        assert not self.closed

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        if not self.closed:
            self.closed = True
            self.loop.call_soon(self.connection.connection_lost, None)


class Dialer:
    """Each dial waits for the test's word."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.dialing: list[asyncio.Future[bool]] = []
        self.sockets: list[Socket] = []

    async def dial(self, timeout_s: float) -> Connection:
        future: asyncio.Future[bool] = self.loop.create_future()
        self.dialing.append(future)
        try:
            answered = await future
        finally:
            self.dialing.remove(future)
        if not answered:
            raise ConnectFailed("refused")
        socket = Socket(self.loop, Connection(self.loop))
        self.sockets.append(socket)
        return socket.connection


class PoolMachine(RuleBasedStateMachine):
    """`calls` are callers by the order in which they came; `held` the connections that they have got."""

    @initialize(most=st.integers(1, 3))
    def begin(self, most: int) -> None:
        self.loop = Loop(selectors.SelectSelector())
        endpoint = Endpoint(
            scheme="http", host="127.0.0.1", port=1, max_connections=most,
            keepalive_s=KEEPALIVE_S, pool_timeout_s=PATIENCE_S,
        )  # fmt: skip
        self.most = most
        self.pool = Pool(endpoint, system_resolve, self.loop)
        self.dialer = self.pool._dialer = Dialer(self.loop)  # type: ignore[assignment]
        self.calls: list[asyncio.Task[None]] = []
        self.held: dict[asyncio.Task[None], Connection] = {}
        self.closed = False

    async def call(self) -> None:
        """As the client: one connection, one request; it is left to the test how it goes on."""
        connection = self.pool.take() or await self.pool.acquire(self.loop.time() + 1000)
        assert not connection.gone
        assert connection.complete
        assert connection not in self.held.values(), "given to two"
        connection.start(b"GET / HTTP/1.1\r\n\r\n", b"", head_only=False)
        task = asyncio.current_task()
        assert task is not None
        self.held[task] = connection

    # What these do happens in the next turn, in their order.

    @rule()
    def somebody_calls(self) -> None:
        self.calls.append(self.loop.create_task(self.call()))

    @rule()
    def a_turn_passes(self) -> None:
        self.loop.turn()

    @rule(seconds=st.sampled_from([1.0, KEEPALIVE_S, PATIENCE_S]))
    def time_passes(self, seconds: float) -> None:
        self.loop.now += seconds

    @precondition(lambda self: self.dialer.dialing)
    @rule(which=WHICH, answered=st.booleans())
    def a_dial_ends(self, which: int, answered: bool) -> None:
        future = self.dialer.dialing[which % len(self.dialer.dialing)]
        self.loop.call_soon(lambda: future.done() or future.set_result(answered))

    @precondition(lambda self: self.calls)
    @rule(which=WHICH)
    def somebody_leaves(self, which: int) -> None:
        task = self.calls[which % len(self.calls)]

        def leave() -> None:
            task.cancel()
            if task in self.held:
                self.held.pop(task).abort()

        self.loop.call_soon(leave)

    @precondition(lambda self: self.held)
    @rule(which=WHICH, answer=st.sampled_from([WHOLE, WHOLE, HALF]), closing=st.booleans())
    def a_call_ends(self, which: int, answer: bytes, closing: bool) -> None:
        """With the whole answer or not, and with an upstream that hangs up just after."""
        task = list(self.held)[which % len(self.held)]

        def end() -> None:
            connection = self.held.pop(task, None)
            if connection is None:
                return
            if not connection.gone:
                connection.data_received(answer)
            self.pool.release(connection)
            if closing:
                connection.eof_received()

        self.loop.call_soon(end)

    @precondition(lambda self: self.dialer.sockets)
    @rule(which=WHICH)
    def an_upstream_hangs_up(self, which: int) -> None:
        self.loop.call_soon(self.dialer.sockets[-1 - which % len(self.dialer.sockets)].connection.eof_received)

    @rule()
    def it_comes_to_rest(self) -> None:
        for _ in range(6):
            self.loop.turn()
        self.calls = [task for task in self.calls if not task.done()]
        idle = self.pool._idle
        waiting = len(self.calls) - len(self.dialer.dialing)
        assert waiting == 0 or not idle, "somebody waits beside an idle connection"
        assert waiting == 0 or self.pool.open == self.most, "somebody waits beside a free slot"
        assert self.pool.open == len(self.pool.connections) + len(self.dialer.dialing)
        live = {connection for connection in self.held.values() if not connection.gone}
        assert self.pool.connections == live | set(idle)
        assert len(idle) == len(set(idle))
        assert {s.connection for s in self.dialer.sockets if not s.closed} == self.pool.connections

    def teardown(self) -> None:
        if not hasattr(self, "loop"):
            return
        try:
            for task in self.calls:
                task.cancel()
            self.it_comes_to_rest()
            assert not self.calls
            for task in list(self.held):
                self.pool.release(self.held.pop(task))
            self.pool.close()
            self.it_comes_to_rest()
            assert self.pool.open == 0
            assert self.pool.unused
        finally:
            self.loop.close()


def test_who_was_handed_a_connection_that_is_closed_takes_the_one_that_came_back_meanwhile() -> None:
    machine = PoolMachine()
    machine.begin(most=2)
    try:
        machine.somebody_calls()
        machine.somebody_calls()
        machine.a_turn_passes()
        machine.a_dial_ends(0, answered=True)
        machine.a_dial_ends(1, answered=True)
        machine.it_comes_to_rest()
        machine.somebody_calls()
        machine.it_comes_to_rest()
        machine.a_call_ends(0, WHOLE, closing=True)
        machine.somebody_calls()
        machine.a_call_ends(1, WHOLE, closing=False)
        machine.it_comes_to_rest()
        assert len(machine.held) == 1
    finally:
        machine.teardown()


PoolMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestPool = PoolMachine.TestCase
