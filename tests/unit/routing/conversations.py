"""Conversations made up from a seed, with tool calls in every arrangement clients send, and checks on them."""

import random
from typing import Any

Message = dict[str, Any]
WORDS = ("alpha", "béta", "gamma", "数据", "delta", "x=1;", "{}", "epsilon", "ζ", "the", "of", "a")


TEXT = " ".join(random.Random(1).choices(WORDS, k=20_000))


def words(draw: random.Random, tokens: int) -> str:
    start = draw.randrange(len(TEXT) // 2)
    return TEXT[start : start + max(tokens, 1) * 5]


def conversation(draw: random.Random, *, turns: int | None = None, size: int = 120) -> list[Message]:
    """Valid for OpenAI: each call is answered before anybody else speaks, ids may come back in later turns."""
    messages: list[Message] = []
    if draw.random() < 0.8:
        messages.append({"role": draw.choice(["system", "developer"]), "content": f"SYSTEM-FACT {words(draw, 20)}"})
    if draw.random() < 0.1:
        messages.append({"role": "assistant", "content": "How can I help?"})
    for turn in range(turns or draw.randint(1, 7)):
        messages += _turn(draw, turn, size)
    ending = draw.random()
    if ending < 0.7:
        messages.append({"role": "user", "content": _content(draw, f"QUESTION-FACT {words(draw, 12)}")})
        if ending < 0.35:
            for _ in range(draw.randint(1, 5)):
                messages += _exchange(draw, 99, size)
    return messages


def _turn(draw: random.Random, turn: int, size: int) -> list[Message]:
    messages = [{"role": "user", "content": _content(draw, f"q{turn} {words(draw, draw.randint(1, size))}")}]
    for _ in range(draw.choice([0, 0, 1, 1, 2, 4])):
        messages += _exchange(draw, turn, size)
    if draw.random() < 0.1:
        messages.append({"role": "system", "content": f"SYSTEM-FACT mid {turn}"})
    return [*messages, {"role": "assistant", "content": words(draw, draw.randint(1, size))}]


def _content(draw: random.Random, text: str) -> Any:
    if draw.random() < 0.8:
        return text
    return [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": "https://images.example/a.png"}}]


def _exchange(draw: random.Random, turn: int, size: int) -> list[Message]:
    if draw.random() < 0.1:
        name = f"f{draw.randint(0, 2)}"
        call = {"role": "assistant", "content": None, "function_call": {"name": name, "arguments": "{}"}}
        return [call, {"role": "function", "name": name, "content": words(draw, draw.randint(1, size * 4))}]
    prefix = draw.choice([f"t{turn}", "call"])
    ids = [f"{prefix}_{number}_{draw.randint(0, 3)}" for number in range(draw.randint(1, 3))]
    calls = [{"id": each, "type": "function", "function": {"name": "f", "arguments": "{}"}} for each in ids]
    results = [
        {"role": "tool", "tool_call_id": each, "content": words(draw, draw.randint(1, size * 4))} for each in ids
    ]
    draw.shuffle(results)
    return [{"role": "assistant", "content": None, "tool_calls": calls}, *results]


def orphans(messages: list[Message]) -> list[Message]:
    """Tool results without their call before them, and calls without all their results behind them."""
    found: list[Message] = []
    waiting: set[Any] = set()
    caller: Message = {}
    for message in [*messages, {"role": "end"}]:
        if message["role"] in ("tool", "function"):
            name = message.get("tool_call_id") or message.get("name")
            if name not in waiting:
                found.append(message)
            waiting.discard(name)
        elif message["role"] not in ("system", "developer"):
            if waiting:
                found.append(caller)
            waiting, caller = _called(message), message
    return found


def _called(message: Message) -> set[Any]:
    legacy = message.get("function_call")
    return {call["id"] for call in message.get("tool_calls") or ()} | ({legacy["name"]} if legacy else set())
