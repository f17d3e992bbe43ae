"""Roles that not every provider takes as they are: noted when a request is read, and looked for only then."""

from typing import Any

import orjson
import pytest

from providers.adapters import adapter_for
from providers.types import ClientRequest, JsonObject, Operation
from routing.endpoints.decoding import decode
from tests.unit.routing.pools import deployment

USER = {"role": "user", "content": "hi"}
LONG = "functions.get_the_weather_of_a_city_at_a_date:0"
CALLED = {"role": "assistant", "content": None, "tool_calls": [{"id": LONG, "type": "function", "function": {}}]}
RESULT = {"role": "tool", "tool_call_id": LONG, "content": "x"}


def read(*messages: JsonObject) -> ClientRequest:
    body: dict[str, Any] = {"model": "m", "messages": list(messages)}
    return decode(Operation.CHAT, body, raw=orjson.dumps(body), received_at_s=0)


def sent(kind: str, *messages: JsonObject) -> list[JsonObject]:
    prepared = adapter_for(kind).prepare(read(*messages), deployment(), "sk")
    messages_sent: list[JsonObject] = orjson.loads(prepared.body)["messages"]
    return messages_sent


@pytest.mark.parametrize(
    ("messages", "plain"),
    [
        ([USER], True),
        ([{"role": "system", "content": "s"}, USER, {"role": "assistant", "content": "x"}], True),
        ([{"role": "developer", "content": "d"}, USER], False),
        ([USER, CALLED, RESULT, USER], False),
        ([USER, {"role": "function", "name": "f", "content": "x"}], False),
    ],
)
def test_a_request_knows_whether_its_roles_are_plain(messages: list[JsonObject], plain: bool) -> None:
    assert read(*messages).has_plain_roles is plain


def test_a_developer_is_a_system_where_the_server_is_not_openais_own() -> None:
    assert [each["role"] for each in sent("openai", {"role": "developer", "content": "d"}, USER)] == ["system", "user"]


@pytest.mark.parametrize("kind", ["openai", "openrouter", "azure"])
def test_a_long_id_of_a_call_is_cut_on_its_way_and_still_that_of_its_result(kind: str) -> None:
    _, called, result, _ = sent(kind, USER, CALLED, RESULT, USER)
    assert called["tool_calls"][0]["id"] == result["tool_call_id"]
    assert len(result["tool_call_id"]) == 40
