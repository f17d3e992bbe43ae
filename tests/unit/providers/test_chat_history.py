"""Messages as OpenAI's own API takes them and other servers do not, and ids that came from elsewhere."""

from typing import Any

import pytest

from providers.dialects.call_ids import fitting
from providers.dialects.chat_history import (
    UNSIGNED,
    is_plain,
    with_every_thought,
    with_signature,
    with_thought_as_reasoning,
    without_thought,
    written_plainly,
)

LONG = "functions.get_the_weather_of_a_city_at_a_date:0"


def test_a_short_id_stays_and_a_long_one_becomes_the_same_each_time() -> None:
    assert fitting("call_1", 40) == "call_1"
    assert fitting("c" * 40, 40) == "c" * 40
    assert len(fitting("c" * 41, 40)) == 40
    assert fitting("c" * 41, 40) == fitting("c" * 41, 40)


def test_long_ids_stay_different() -> None:
    assert len({fitting("c" * 60 + str(number), 40) for number in range(1000)}) == 1000


@pytest.mark.parametrize(
    ("message", "at_openai", "elsewhere"),
    [
        ({"role": "user", "content": "x"}, True, True),
        ({"role": "developer", "content": "x"}, True, False),
        ({"role": "tool", "tool_call_id": "call_1", "content": "x"}, True, True),
        ({"role": "tool", "tool_call_id": LONG, "content": "x"}, False, False),
        ({"role": "tool", "tool_call_id": 5, "content": "x"}, True, True),
        ({"role": "assistant", "tool_calls": [{"id": "call_1"}]}, True, True),
        ({"role": "assistant", "content": "x", "tool_calls": []}, False, False),
        ({"role": "assistant", "content": "x", "tool_calls": None}, False, False),
        ("no message", True, True),
    ],
)
def test_only_what_has_to_be_changed_is_looked_into(message: Any, at_openai: bool, elsewhere: bool) -> None:
    assert is_plain([message], has_developer=True) is at_openai
    assert is_plain([message], has_developer=False) is elsewhere


def test_a_call_and_its_result_find_each_other_and_the_clients_messages_are_left_alone() -> None:
    messages: list[Any] = [
        {"role": "developer", "content": "d"},
        {"role": "assistant", "tool_calls": [{"id": LONG, "function": {}}, {"id": "call_1"}, None, {"id": 5}]},
        {"role": "tool", "tool_call_id": LONG, "content": "x"},
        None,
    ]
    written = written_plainly(messages, has_developer=False)
    assert [call and call["id"] for call in written[1]["tool_calls"]] == [fitting(LONG, 40), "call_1", None, 5]
    assert (written[0]["role"], written[2]["tool_call_id"], written[3]) == ("system", fitting(LONG, 40), None)
    assert messages[1]["tool_calls"][0]["id"] == messages[2]["tool_call_id"] == LONG


def test_no_calls_are_no_list_of_calls() -> None:
    """As vLLM writes them, and clients that send its turns back."""
    said = {"role": "assistant", "content": "x"}
    for calls in ([], None):
        assert written_plainly([{**said, "tool_calls": calls}], has_developer=True) == [said]
    wrong = {**said, "tool_calls": "what"}
    assert written_plainly([wrong], has_developer=True) == [wrong], "the provider's to refuse"


def test_what_was_thought_is_left_out_where_it_is_refused() -> None:
    said = {"role": "assistant", "content": "x"}
    assert without_thought({**said, "reasoning_content": "h", "reasoning_details": []}) == said
    assert without_thought(said) is said
    assert without_thought(None) is None


@pytest.mark.parametrize("message", [None, 4, {}, {"tool_calls": None}, {"tool_calls": []}, {"tool_calls": [None]}])
def test_what_holds_no_calls_is_not_signed(message: object) -> None:
    assert with_signature(message) is message


def test_a_signature_that_gemini_gave_is_taken_from_what_was_thought() -> None:
    """OpenRouter sends it there."""
    message = {"role": "assistant", "tool_calls": [{"id": "a"}, {"id": "b"}]}
    foreign = {"type": "reasoning.encrypted", "data": "x", "format": "anthropic-claude-v1"}
    given = {"type": "reasoning.encrypted", "data": "sig", "format": "google-gemini-v1", "id": "a"}
    signed = with_signature({**message, "reasoning_details": [foreign, given]})
    assert signed["tool_calls"] == [{"id": "a", "extra_content": {"google": {"thought_signature": "sig"}}}, {"id": "b"}]
    unsigned = with_signature({**message, "reasoning_details": [foreign]})
    assert unsigned["tool_calls"][0]["extra_content"] == UNSIGNED


@pytest.mark.parametrize("messages", [[], [None, "x"], [{"role": "assistant", "content": "x"}], [{"role": "user"}]])
def test_without_tools_no_thought_is_added(messages: list[object]) -> None:
    assert with_every_thought(messages) is messages


def test_with_tools_only_the_assistant_has_thought() -> None:
    others = [None, {"role": "user"}, {"role": "tool"}]
    assert with_every_thought([*others, {"role": "assistant"}]) == [
        *others,
        {"role": "assistant", "reasoning_content": " "},
    ]


@pytest.mark.parametrize("message", [None, 4, {}, {"role": "user", "content": "x"}])
def test_what_holds_no_thought_is_not_renamed(message: object) -> None:
    assert with_thought_as_reasoning(message) is message
