"""Where limits are counted. This is the store in memory: exact in one process, and the fallback of the shared one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from accounts.limits import RuleState, SlidingWindow, divided
from accounts.records import LimitRule

REMEMBERED_AT_MOST = 20_000
"""Keys whose rules have been looked up."""


@dataclass(slots=True)
class Taken:
    """Let through. `states` and `buckets` are in the order of the rules."""

    states: tuple[RuleState, ...]
    buckets: tuple[int, ...]


class Refused(NamedTuple):
    """Nothing was counted in any rule. `rule` has the longest wait; `retry_after_s` is None when waiting is useless
    (the call alone is over the limit) or of unknown length (concurrency)."""

    rule: LimitRule
    retry_after_s: float | None
    states: tuple[RuleState, ...]


class StoreUnavailable(Exception):
    """The shared store does not answer."""


@dataclass(slots=True)
class Hold:
    """What a call holds in a store, to be corrected and released there."""

    store: "LimitStore"
    call_id: str
    rules: tuple[LimitRule, ...]
    buckets: tuple[int, ...]
    tokens: int


class LimitStore(Protocol):
    async def take(self, rules: Sequence[LimitRule], *, tokens: int, call_id: str) -> Taken | Refused:
        """Counts one request of `tokens` under all rules or under none."""

    def settle(self, hold: Hold, tokens: int) -> None:
        """Corrects the tokens to what they really were and ends the call's concurrency. Never blocks or raises."""

    def cancel(self, hold: Hold) -> None:
        """As `settle` with no tokens: nothing was sent. The request itself stays counted."""


class MemoryLimitStore:
    """`parts` is the number of workers that share the limits without knowing of each other."""

    def __init__(self, clock_us: Callable[[], int], *, parts: int = 1) -> None:
        self._clock_us = clock_us
        self._parts = parts
        self._windows: dict[tuple[str, str, int], SlidingWindow] = {}
        self._running: dict[str, set[str]] = {}
        self._counters: dict[int, tuple[Sequence[LimitRule], tuple[Counter, ...]]] = {}
        """By the identity of a key's rules, which are kept so that it can pass to no others."""

    @property
    def parts(self) -> int:
        return self._parts

    @parts.setter
    def parts(self, parts: int) -> None:
        self._parts = parts
        self._counters.clear()

    async def take(self, rules: Sequence[LimitRule], *, tokens: int, call_id: str) -> Taken | Refused:
        return self.take_now(rules, tokens=tokens, call_id=call_id)

    def take_now(self, rules: Sequence[LimitRule], *, tokens: int, call_id: str) -> Taken | Refused:
        now = self._clock_us()
        counters = self._counters_of(rules)
        buckets: list[int] = []
        states: list[RuleState] = []
        for scope, window, limit, of_tokens in counters:
            if window is None:
                running = self._running.setdefault(scope, set())
                bucket = 0 if len(running) < limit else None
                if bucket is not None:
                    running.add(call_id)
                    states.append((limit, limit - len(running), 0.0))
            else:
                bucket = window.take(tokens if of_tokens else 1, limit, now)
                if bucket is not None:
                    states.append((limit, limit - window.total, (window.leaves_us(bucket) - now) / 1e6))
            if bucket is None:
                self._put_back(counters[: len(buckets)], tokens, call_id)
                return self._refusal(rules, tokens, now)
            buckets.append(bucket)
        return Taken(tuple(states), tuple(buckets))

    def _put_back(self, counters: "Sequence[Counter]", tokens: int, call_id: str) -> None:
        """What a call that is refused has just been counted in."""
        for scope, window, _, of_tokens in counters:
            if window is None:
                self._end(scope, call_id)
            else:
                window.put_back(tokens if of_tokens else 1)

    def settle(self, hold: Hold, tokens: int) -> None:
        difference = tokens - hold.tokens
        for (scope, window, _, of_tokens), bucket in zip(self._counters_of(hold.rules), hold.buckets, strict=True):
            if window is None:
                self._end(scope, hold.call_id)
            elif of_tokens and difference:
                window.correct(bucket, difference)

    def cancel(self, hold: Hold) -> None:
        self.settle(hold, 0)

    def sweep(self) -> None:
        """Forgets windows in which nothing is counted any more."""
        now = self._clock_us()
        for name, window in list(self._windows.items()):
            window.advance(now)
            if window.empty:
                del self._windows[name]
                # Where it is remembered, calls would be counted where nobody else looks.
                self._counters.clear()

    def _end(self, scope: str, call_id: str) -> None:
        """Of a call's concurrency."""
        running = self._running.get(scope)
        if running is not None:
            running.discard(call_id)
            if not running:
                del self._running[scope]

    def _counters_of(self, rules: Sequence[LimitRule]) -> "tuple[Counter, ...]":
        known = self._counters.get(id(rules))
        return known[1] if known is not None else self._remember(rules)

    def _remember(self, rules: Sequence[LimitRule]) -> "tuple[Counter, ...]":
        if len(self._counters) >= REMEMBERED_AT_MOST:
            self._counters.clear()
        counters = tuple([self._counter(rule) for rule in rules])
        self._counters[id(rules)] = (rules, counters)
        return counters

    def _counter(self, rule: LimitRule) -> "Counter":
        window = None if rule.kind == "concurrency" else self._window(rule)
        return rule.scope, window, self._limit(rule), rule.kind == "tokens"

    def _limit(self, rule: LimitRule) -> int:
        return rule.limit if self._parts == 1 else divided(rule.limit, self._parts)

    def _refusal(self, rules: Sequence[LimitRule], tokens: int, now: int) -> Refused:
        """The rule to wait for longest: one that is never satisfied, else the latest, else a running call's end."""
        worst: tuple[float, LimitRule, float | None] | None = None
        for rule in rules:
            wait = self._wait_s(rule, tokens, now)
            if wait == 0:
                continue
            weight = float("inf") if wait is None and rule.kind != "concurrency" else (wait or 0.0)
            if worst is None or weight > worst[0]:
                worst = (weight, rule, wait)
        assert worst is not None
        return Refused(worst[1], worst[2], tuple([self._state(rule, now) for rule in rules]))

    def _wait_s(self, rule: LimitRule, tokens: int, now: int) -> float | None:
        limit = self._limit(rule)
        if rule.kind == "concurrency":
            return 0 if len(self._running.get(rule.scope, ())) < limit else None
        wait = self._window(rule).wait_us(1 if rule.kind == "requests" else tokens, limit, now)
        return None if wait is None else wait / 1e6

    def _state(self, rule: LimitRule, now: int) -> RuleState:
        limit = self._limit(rule)
        if rule.kind == "concurrency":
            return limit, max(0, limit - len(self._running.get(rule.scope, ()))), 0.0
        window = self._window(rule)
        return limit, max(0, limit - window.total), window.reset_us(now) / 1e6

    def _window(self, rule: LimitRule) -> SlidingWindow:
        name = (rule.scope, rule.kind, rule.window_s)
        window = self._windows.get(name)
        if window is None:
            window = self._windows[name] = SlidingWindow(rule.window_s)
        return window


Counter = tuple[str, SlidingWindow | None, int, bool]
"""What a rule comes to: its scope, its window (None: concurrency), its limit here, and whether tokens are counted."""
