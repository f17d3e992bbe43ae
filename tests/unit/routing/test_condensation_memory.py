"""A conversation that was shortened once starts from its short form as long as that is remembered."""

import random
from typing import Any

import pytest

from routing.condensation import ConversationMemory
from routing.condensation import memory as memory_module
from tests.unit.routing.conversations import conversation

SCOPE = ("team:1", "m")
LONG: list[dict[str, Any]] = [
    {"role": "user", "content": "a"},
    {"role": "assistant", "content": "b"},
    {"role": "user", "content": "c"},
]
SHORT = LONG[2:]
NEXT = [*LONG, {"role": "assistant", "content": "d"}, {"role": "user", "content": "e"}]


def remembering() -> ConversationMemory:
    memory = ConversationMemory()
    memory.keep(SCOPE, LONG, SHORT, ttl_s=10, now=100)
    return memory


def test_the_next_turn_starts_from_the_short_form() -> None:
    assert remembering().recall(SCOPE, NEXT, now=105) == [*SHORT, *NEXT[3:]]


def test_forgets_after_its_time() -> None:
    memory = remembering()
    assert memory.recall(SCOPE, NEXT, now=110) is None
    assert len(memory) == 0


def test_a_lifetime_of_zero_remembers_nothing() -> None:
    memory = ConversationMemory()
    memory.keep(SCOPE, LONG, SHORT, ttl_s=0, now=100)
    assert not memory


def test_another_tenant_model_or_wording_is_another_conversation() -> None:
    memory = remembering()
    assert memory.recall(("team:2", "m"), NEXT, now=101) is None
    assert memory.recall(("team:1", "n"), NEXT, now=101) is None
    assert memory.recall(SCOPE, [{"role": "user", "content": "A"}, *NEXT[1:]], now=101) is None
    assert memory.recall(SCOPE, LONG[:2], now=101) is None


def test_the_longest_known_beginning_counts() -> None:
    memory = remembering()
    memory.keep(SCOPE, NEXT, [NEXT[-1]], ttl_s=10, now=101)
    answer = {"role": "assistant", "content": "f"}
    assert memory.recall(SCOPE, [*NEXT, answer], now=102) == [NEXT[-1], answer]


def test_the_oldest_leave_when_it_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_module, "MOST_ENTRIES", 3)
    memory = ConversationMemory()
    draw = random.Random(1)
    made = [conversation(draw) for _ in range(5)]
    for messages in made:
        memory.keep(SCOPE, messages, messages[-1:], ttl_s=10, now=1)
    assert len(memory) == 3
    assert [memory.recall(SCOPE, messages, now=2) is not None for messages in made] == [False, False, True, True, True]


def test_no_more_bytes_are_held_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def picture(name: str, size: int) -> list[dict[str, Any]]:
        return [{"role": "user", "content": name + "x" * size}]

    monkeypatch.setattr(memory_module, "MOST_BYTES", 1000)
    memory = ConversationMemory()
    for name in "abc":
        memory.keep(SCOPE, picture(name, 400), picture(name, 400), ttl_s=10, now=1)
    memory.keep(SCOPE, picture("d", 2000), picture("d", 2000), ttl_s=10, now=1)
    assert [memory.recall(SCOPE, picture(name, 400), now=2) is not None for name in "abc"] == [False, True, True]
    assert memory.recall(SCOPE, picture("d", 2000), now=2) is None
    assert len(memory) == 2
    memory.keep(SCOPE, picture("b", 400), picture("b", 100), ttl_s=10, now=2)
    memory.keep(SCOPE, picture("e", 300), picture("e", 300), ttl_s=10, now=2)
    assert len(memory) == 3, "what is replaced gives its bytes back"
