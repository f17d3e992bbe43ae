"""Roles that not every provider takes as they are: noted when a request is read, and looked for only then."""

from dataclasses import replace
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


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
TEXT = {"type": "text", "text": "seen"}


FILE = {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0=", "filename": "a.pdf"}}
OTHER = {"type": "video_url", "video_url": {"url": "https://x.test/a.mp4"}}


@pytest.mark.parametrize("kind", ["openai", "azure", "grok", "blackbox"])
def test_images_of_tools_are_shown_by_the_user_after_all_results_of_the_turn(kind: str) -> None:
    results = [{**RESULT, "tool_call_id": "a", "content": [TEXT, IMAGE]}, {**RESULT, "tool_call_id": "b"}]
    _, _, first, second, shown, last = sent(kind, USER, CALLED, *results, USER)
    assert [each["tool_call_id"] for each in (first, second)] == ["a", "b"]
    assert first["content"].startswith("seen\n")
    assert (shown["role"], shown["content"][1:], last) == ("user", [IMAGE], USER)


def test_an_image_that_is_all_a_tool_returned_comes_last_and_leaves_a_word() -> None:
    *_, result, shown = sent("openai", USER, CALLED, {**RESULT, "content": [IMAGE]})
    assert type(result["content"]) is str
    assert shown["content"][1:] == [IMAGE]


def test_mistral_has_the_assistant_speak_before_the_user_shows_an_image() -> None:
    """It refuses a turn of the user that follows a result at once."""
    usual = deployment()
    mistral = replace(usual, provider=replace(usual.provider, options={"dialect": "mistral"}))
    asked = read(USER, CALLED, {**RESULT, "content": [IMAGE]}, USER)
    messages = orjson.loads(adapter_for("openai").prepare(asked, mistral, "sk").body)["messages"]
    assert [each["role"] for each in messages] == ["user", "assistant", "tool", "assistant", "user", "user"]
    assert messages[-2]["content"][1:] == [IMAGE]


def test_what_a_tool_returned_beside_an_image_and_texts_stays_in_parts() -> None:
    *_, result, _ = sent("openai", USER, CALLED, {**RESULT, "content": [TEXT, OTHER, IMAGE]})
    assert [part["type"] for part in result["content"]] == ["text", "video_url", "text"]


@pytest.mark.parametrize("kind", ["openai", "azure"])
def test_files_of_tools_are_shown_by_the_user_as_well(kind: str) -> None:
    *_, result, shown = sent(kind, USER, CALLED, {**RESULT, "content": [TEXT, FILE, IMAGE]})
    assert type(result["content"]) is str
    assert shown["content"][1:] == [FILE, IMAGE]


def test_images_of_tools_stay_where_they_are_understood() -> None:
    *_, result = sent("openrouter", USER, CALLED, {**RESULT, "content": [IMAGE]})
    assert result["content"] == [IMAGE]


@pytest.mark.parametrize("kind", ["openai", "openrouter", "azure"])
def test_a_long_id_of_a_call_is_cut_on_its_way_and_still_that_of_its_result(kind: str) -> None:
    _, called, result, _ = sent(kind, USER, CALLED, RESULT, USER)
    assert called["tool_calls"][0]["id"] == result["tool_call_id"]
    assert len(result["tool_call_id"]) == 40
