"""What Mistral's API is sent where it differs from OpenAI's; the golden cases show the rest."""

import re

import pytest

from providers.adapters.openai import speaks_as_mistral
from providers.dialects.mistral_body import BETWEEN, call_id, part_results, write_as_mistral
from providers.specs import ProviderSpec
from providers.transport import Endpoint
from providers.types import JsonObject


@pytest.mark.parametrize(
    "identifier", ["", "call_1", "toolu_01", "abcdefgh", "abcdefghij", "abcdefgh-", "é" * 9, "\ud800"]
)
def test_any_id_becomes_nine_letters_and_digits_the_same_each_time(identifier: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9]{9}", call_id(identifier))
    assert call_id(identifier) == call_id(identifier)


def test_different_ids_stay_different_and_good_ones_as_they_are() -> None:
    assert len({call_id(f"call_{number}") for number in range(5000)}) == 5000
    assert call_id("aB3dE6gH9") == "aB3dE6gH9"


@pytest.mark.parametrize(
    "message",
    [None, 4, {}, {"role": 4}, {"role": "assistant", "tool_calls": [None, {"id": 5}, {}]}, {"content": [None]}],
)
def test_a_message_of_a_wrong_shape_is_left_to_the_api_to_refuse(message: object) -> None:
    body: JsonObject = {"messages": [message]}
    write_as_mistral(body)
    assert len(body["messages"]) == 1


@pytest.mark.parametrize(
    ("host", "is_mistral"),
    [("api.mistral.ai", True), ("codestral.mistral.ai", True), ("notmistral.ai", False), ("mistral.ai.test", False)],
)
def test_the_host_tells_who_speaks_so(host: str, is_mistral: bool) -> None:
    endpoint = Endpoint(scheme="https", host=host, port=443)
    provider = ProviderSpec(id=1, name="up", kind="openai", endpoint=endpoint, base_path="/v1")
    assert speaks_as_mistral(provider) is is_mistral


def test_between_a_tools_result_and_the_users_turn_the_assistant_speaks() -> None:
    user, result, said = ({"role": role, "content": "x"} for role in ("user", "tool", "assistant"))
    body: JsonObject = {"messages": [user, result, result, user, user, said, result, said, None, result]}
    sent = [user, result, result, BETWEEN, user, user, said, result, said, None, result]
    part_results(body)
    assert body == {"messages": sent}
    part_results(body)
    assert body == {"messages": sent}


def test_what_holds_no_messages_has_none_to_part() -> None:
    body: JsonObject = {"messages": None}
    part_results(body)
    assert body == {"messages": None}
