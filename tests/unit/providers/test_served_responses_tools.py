"""Tools that come with the conversation of a Responses request, and the client's own search for more."""

from typing import Any

import pytest

from providers.dialects.served_responses import opening, to_chat
from providers.errors import ClientFault
from providers.types import JsonObject
from tests.unit.providers.served_frames import DONE, call_delta, chunk, tell

ASK: JsonObject = {"role": "user", "content": "q"}
LOOK: JsonObject = {"type": "function", "name": "look", "parameters": {"type": "object"}}
CRM: JsonObject = {"type": "namespace", "name": "crm", "description": "d", "tools": [LOOK]}
SEARCH: JsonObject = {
    "type": "tool_search",
    "execution": "client",
    "description": "Searches for tools",
    "parameters": {"type": "object", "properties": {"query": {"type": "string"}}},
}
CALL: JsonObject = {"type": "tool_search_call", "call_id": "c", "execution": "client", "arguments": {"query": "crm"}}
FOUND: JsonObject = {
    "type": "tool_search_output",
    "call_id": "c",
    "execution": "client",
    "status": "completed",
    "tools": [{**CRM, "tools": [{**LOOK, "defer_loading": True}]}, {**LOOK, "defer_loading": True}],
}


def chat(*items: JsonObject, **asked: Any) -> JsonObject:
    return to_chat({"model": "m", "input": [*items, ASK], **asked})


def added(*tools: JsonObject) -> JsonObject:
    return {"type": "additional_tools", "role": "developer", "id": "at_1", "tools": list(tools)}


def names(asked: JsonObject) -> list[str]:
    return [tool[tool["type"]]["name"] for tool in asked["tools"]]


def test_tools_that_an_item_brings_are_offered_and_the_item_says_nothing() -> None:
    asked = chat(added(LOOK, CRM), tools=[], tool_choice="required", parallel_tool_calls=False)
    assert names(asked) == ["look", "crm__look"]
    assert asked["messages"] == [ASK]
    assert (asked["tool_choice"], asked["parallel_tool_calls"]) == ("required", False)


def test_a_tool_that_is_brought_again_counts_as_it_came_last() -> None:
    newer = {**LOOK, "description": "newer"}
    asked = chat(added(LOOK), added(newer), tools=[LOOK])
    assert [tool["function"].get("description") for tool in asked["tools"]] == ["newer"]


def test_a_search_of_the_web_may_come_with_an_item_too() -> None:
    assert chat(added({"type": "web_search"}))["web_search_options"] == {}


def test_the_clients_search_for_tools_is_a_function_of_the_models() -> None:
    (tool,) = chat(tools=[SEARCH])["tools"]
    assert tool["type"] == "function"
    assert tool["function"]["name"] == "tool_search"
    assert tool["function"]["description"] == SEARCH["description"]
    assert tool["function"]["parameters"] == SEARCH["parameters"]


def test_what_was_searched_and_found_is_a_call_and_its_result_and_can_be_called() -> None:
    asked = chat(CALL, FOUND, tools=[SEARCH])
    assert names(asked) == ["tool_search", "crm__look", "look"]
    assert "defer_loading" not in str(asked)
    call, result, _ = asked["messages"]
    assert call["tool_calls"][0]["function"] == {"name": "tool_search", "arguments": '{"query":"crm"}'}
    assert (call["tool_calls"][0]["id"], result["tool_call_id"]) == ("c", "c")
    assert result["content"] == "These tools can be called now: crm__look, look"
    assert chat(CALL, {**FOUND, "tools": []})["messages"][1]["content"] == "No tools were found."


@pytest.mark.parametrize(("arguments", "written"), [("as text", "as text"), (None, "{}"), ({}, "{}")])
def test_other_arguments_of_a_search_are_sent_back_as_the_model_wrote_them(arguments: Any, written: str) -> None:
    call, *_ = chat({**CALL, "arguments": arguments}, FOUND)["messages"]
    assert call["tool_calls"][0]["function"]["arguments"] == written


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"tools": [{"type": "tool_search"}]}, "tools[0].execution"),
        ({"tools": [{**SEARCH, "execution": "server"}]}, "tools[0].execution"),
        ({"tools": [{**SEARCH, "parameters": "x"}]}, "tools[0].parameters"),
        ({"input": [{**CALL, "execution": "server", "call_id": None}]}, "input[0].execution"),
        ({"input": [ASK, {**CALL, "call_id": None}]}, "input[1].call_id"),
        ({"input": [ASK, {**FOUND, "call_id": ""}]}, "input[1].call_id"),
        ({"input": [ASK, {**FOUND, "tools": "x"}]}, "input[1].tools"),
        ({"input": [ASK, added(LOOK, {"type": "mcp"})]}, "input[1].tools[1].type"),
        ({"input": [ASK, added({**LOOK, "defer_loading": True})]}, "input[1].tools[0].defer_loading"),
        (
            {"input": [ASK, {**FOUND, "tools": [{**CRM, "tools": [{"type": "function"}]}]}]},
            "input[1].tools[0].tools[0].name",
        ),
    ],
)
def test_what_is_wrong_is_named_where_it_stands(asked: JsonObject, param: str) -> None:
    with pytest.raises(ClientFault) as refused:
        to_chat({"model": "m", "input": [ASK], **asked})
    assert refused.value.param == param


def test_which_reasoning_the_model_sees_again_is_the_providers_own() -> None:
    assert chat(reasoning={"context": "all_turns", "effort": "low"}) == chat(reasoning={"effort": "low"})


def test_a_namespace_or_an_item_may_have_no_tools() -> None:
    empty = {"type": "namespace", "name": "crm", "description": "d"}
    assert "tools" not in chat({"type": "additional_tools", "role": "developer"}, tools=[empty])
    assert opening({"model": "m", "tools": [empty]}, response_id="r", created_at=1)["tools"] == [empty]


def test_a_call_of_the_search_is_an_item_of_its_own_that_can_be_sent_back() -> None:
    frames = [
        chunk(call_delta(0, name="tool_search", arguments="")),
        chunk(call_delta(0, arguments='{"query":')),
        chunk(call_delta(0, arguments='"crm"}')),
        chunk(finish="tool_calls"),
        DONE,
    ]
    events = tell(*frames, tools=[SEARCH])
    assert [event["type"].removeprefix("response.") for event in events] == [
        "created", "in_progress", "output_item.added", "output_item.done", "completed",
    ]  # fmt: skip
    (item,) = events[-1]["response"]["output"]
    assert item == {**CALL, "call_id": "call_0", "id": "tsc_1_0", "status": "completed"}
    assert chat(item, {**FOUND, "call_id": "call_0"})["messages"][0]["tool_calls"][0]["id"] == "call_0"


def test_arguments_of_a_search_that_are_no_json_reach_the_client() -> None:
    frames = [chunk(call_delta(0, name="tool_search", arguments="{")), chunk(finish="tool_calls"), DONE]
    assert tell(*frames, tools=[SEARCH])[-1]["response"]["output"][0]["arguments"] == "{"


def test_a_function_of_that_name_is_a_function() -> None:
    frames = [chunk(call_delta(0, name="tool_search", arguments="{}")), chunk(finish="tool_calls"), DONE]
    own = {"type": "function", "name": "tool_search"}
    assert tell(*frames, tools=[own])[-1]["response"]["output"][0]["type"] == "function_call"


def test_a_call_of_a_tool_that_an_item_brought_names_its_namespace() -> None:
    frames = [chunk(call_delta(0, name="crm__look", arguments="{}")), chunk(finish="tool_calls"), DONE]
    item = tell(*frames, input=[added(CRM), ASK])[-1]["response"]["output"][0]
    assert (item["namespace"], item["name"]) == ("crm", "look")


def test_a_found_tool_without_a_name_is_told_by_its_kind() -> None:
    found = {**FOUND, "tools": [{"type": "web_search"}, LOOK]}
    messages = chat(CALL, found, tools=[SEARCH])["messages"]
    assert messages[1]["content"].endswith(f"web_search, {LOOK['name']}")
