"""An empty list of tools, which many clients send and many servers refuse, is none."""

from typing import Any

import orjson
import pytest

from providers.types import JsonObject, Operation
from routing.endpoints.decoding import decode

PLAIN = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
TOOL = {"type": "function", "function": {"name": "f"}}


def read(**fields: Any) -> JsonObject:
    body = {**PLAIN, **fields}
    return decode(Operation.CHAT, body, raw=orjson.dumps(body), received_at_s=0).body


@pytest.mark.parametrize("tools", [[], None])
@pytest.mark.parametrize("choice", ["auto", "none", None])
def test_no_tools_are_left_out_with_what_is_said_of_them(tools: list[JsonObject] | None, choice: str | None) -> None:
    assert read(tools=tools, tool_choice=choice, parallel_tool_calls=False) == PLAIN


def test_a_choice_that_wants_a_tool_stays_for_its_refusal() -> None:
    assert read(tools=[], tool_choice="required") == {**PLAIN, "tool_choice": "required"}


def test_tools_that_there_are_stay() -> None:
    asked = {"tools": [TOOL], "tool_choice": "auto", "parallel_tool_calls": False}
    assert read(**asked) == {**PLAIN, **asked}
