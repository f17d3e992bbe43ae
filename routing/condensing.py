"""Shortens a conversation that did not fit and walks its routes again; the rules are pure, in `routing.condensation`.

A route with a larger window comes first: the walk tries the context fallbacks by itself and gives up only when none
of them helps. Then the conversation is shortened, at most `ROUNDS` times, each time to less.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from accounts.header_lines import HeaderLines, header_lines
from providers.types import JsonObject, Operation
from routing.attempts import Won
from routing.call import Call
from routing.condensation import (
    Condensed,
    ConversationMemory,
    Receipt,
    TooLong,
    aim,
    condense,
    insert_note,
    merge_steps,
    switched_on,
    too_long,
)
from routing.condensation.trimming import trim
from routing.configuration.document import Condensation
from routing.estimation import estimate, message_tokens
from routing.retry import Then
from routing.walk import AllFailed, Walk

ROUNDS = 3
HEADER = b"x-llm-proxy-condensed"
NOTICE = "Earlier messages of this conversation were left out or shortened to fit the context window."
SUMMARY = "Summary of earlier messages of this conversation, which were left out:\n"

Summarise = Callable[[Call, Sequence[JsonObject], Condensation], Awaitable[str | None]]
"""Sums messages up with the configured model; None when that failed."""


@dataclass(slots=True, kw_only=True)
class Progress:
    """`head` are the call's headers without a receipt; `original` what the client sent."""

    head: HeaderLines
    original: list[JsonObject]
    before: int
    steps: tuple[str, ...] = ()


class Condensing:
    """One per worker."""

    def __init__(self, walk: Walk, summarise: Summarise) -> None:
        self.memory = ConversationMemory()
        self._walk = walk
        self._summarise = summarise

    def helps(self, call: Call, failed: AllFailed) -> TooLong | None:
        """What a shorter conversation could have changed about the call's first walk, if that is wanted."""
        found = _too_long(call, failed, 0, 0)
        return found if found is not None and self._is_on(call) else None

    async def shorten(self, call: Call, found: TooLong, failed: AllFailed, begun: Progress | None) -> Won:
        """The attempt that answers to a shortened conversation. Raises `AllFailed`."""
        settings = call.table.policy.condensation
        progress = begun or _begin(call)
        if not failed.errors and _fits(call, found):
            # Only the size of its JSON spoke against it.
            return await self._walk.find(call)
        for failures in range(ROUNDS):
            if not await self._once(call, found, settings, progress, failures):
                break
            plans, attempts = len(call.decision.plans), len(call.attempts)
            try:
                won = await self._walk.find(call)
            except AllFailed as again:
                failed = again
                still = _too_long(call, again, plans, attempts)
                if still is None:
                    break
                found = still
                continue
            self._remember(call, progress)
            return won
        if call.condensed is not None:
            call.condensed = replace(call.condensed, result="failed")
            call.decision.condensed = call.condensed.render()
        raise failed

    async def _once(
        self, call: Call, found: TooLong, settings: Condensation, progress: Progress, failures: int
    ) -> bool:
        """Shortens the call's conversation; False when nothing more can go."""
        estimated = call.estimate.likely_input
        if found.window is None and found.requested_tokens is None:
            found = TooLong(window=progress.before)
        messages: list[JsonObject] = call.request.body["messages"]
        around = estimated - sum(map(message_tokens, messages))
        target = aim(found, settings, estimated=estimated, output=call.estimate.output, failures=failures)
        note = min(_note_tokens(settings), target // 4)
        done = condense(messages, target=max(target - around - note, 0))
        if done.after >= done.before:
            return False
        shorter, steps = await self._with_note(call, done, settings, note)
        progress.steps = merge_steps(progress.steps, (*done.steps, *steps))
        _apply(call, shorter, progress)
        return True

    async def _with_note(
        self, call: Call, done: Condensed, settings: Condensation, most_tokens: int
    ) -> tuple[list[JsonObject], tuple[str, ...]]:
        """With what the model is told about what is missing."""
        if settings.summary_model and done.dropped:
            earlier = [message for message in done.messages if _says(message, SUMMARY)]
            summary = await self._summarise(call, [*earlier, *done.dropped], settings)
            if summary:
                kept = [message for message in done.messages if message not in earlier]
                return insert_note(kept, SUMMARY + trim(summary, most_tokens)), ("summarise:1",)
        if settings.notice and not any(_says(message, NOTICE) for message in done.messages):
            return insert_note(done.messages, NOTICE), ()
        return done.messages, ()

    # --------------------------------------------------------------------------------------------------- memory

    def recall(self, call: Call) -> Progress | None:
        """To be asked before the first walk: puts the short form of a known beginning in its place."""
        if not self.memory or call.request.operation is not Operation.CHAT or not self._is_on(call):
            return None
        recalled = self.memory.recall(_scope(call), call.request.body["messages"], now=time.monotonic())
        if recalled is None:
            return None
        progress = _begin(call)
        progress.steps = ("remembered",)
        _apply(call, recalled, progress)
        return progress

    def _remember(self, call: Call, progress: Progress) -> None:
        messages, ttl_s = call.request.body["messages"], call.table.policy.condensation.cache_ttl
        self.memory.keep(_scope(call), progress.original, messages, ttl_s=ttl_s, now=time.monotonic())

    def _is_on(self, call: Call) -> bool:
        if call.request.operation is not Operation.CHAT:
            return False
        default = call.table.policy.condensation.enabled
        return switched_on(call.principal.condensation, call.route.condensation_enabled, default=default)


def gave_up(call: Call) -> None:
    """The walk left it to this module what follows an overflow: nothing did."""
    if call.attempts and call.attempts[-1].then == Then.CONDENSE:
        call.attempts[-1].then = Then.STOP


def _begin(call: Call) -> Progress:
    """From here on the conversation is measured message by message."""
    call.request = replace(call.request, size_bytes=0)
    call.estimate = estimate(call.request)
    return Progress(head=call.head, original=list(call.request.body["messages"]), before=call.estimate.likely_input)


def _fits(call: Call, found: TooLong) -> bool:
    return found.window is not None and call.estimate.likely_input + (call.estimate.output or 0) <= found.window


def _apply(call: Call, messages: list[JsonObject], progress: Progress) -> None:
    """The call goes on with these messages, and says so."""
    call.request = replace(call.request, body={**call.request.body, "messages": messages})
    call.estimate = estimate(call.request)
    call.condensed = Receipt(before=progress.before, after=call.estimate.likely_input, steps=progress.steps)
    call.decision.condensed = call.condensed.render()
    call.head = progress.head + header_lines([(HEADER, call.condensed.header)])


def _too_long(call: Call, failed: AllFailed, plans: int, attempts: int) -> TooLong | None:
    """What the walk just made says; `plans` and `attempts` are how many there were before it."""
    windows = [attempt.deployment.context_window for attempt in call.attempts[attempts:]]
    return too_long(failed.errors, windows, call.decision.plans[plans:])


def _scope(call: Call) -> tuple[object, ...]:
    """With other tags, or after a change of the configuration, it may fit."""
    return call.principal.tenant, call.route.name, call.options.tags, call.table.answers_revision


def _note_tokens(settings: Condensation) -> int:
    if settings.summary_model:
        return settings.max_tokens_default
    return message_tokens({"content": NOTICE}) if settings.notice else 0


def _says(message: JsonObject, text: str) -> bool:
    content = message.get("content")
    return message["role"] == "system" and isinstance(content, str) and content.startswith(text)
