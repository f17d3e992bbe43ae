from dataclasses import replace

import pytest

from providers.dialects.anthropic_messages import JSON_ANSWER_TOOL
from providers.dialects.anthropic_messages.request import JSON_INSTRUCTION
from providers.errors import Unsupported
from providers.types import (
    ReasoningBlock,
    ResponseFormat,
    ToolChoice,
)
from tests.unit.providers.anthropic_calls import LOOKUP, NEW, OLD, assistant, call_of, encode, result, tool_call, user


class TestResponseFormat:
    SCHEMA = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    }

    def wanted(self, **fields):
        return ResponseFormat(kind="json_schema", name="answer", schema=self.SCHEMA, **fields)

    def test_a_schema_is_native_structured_output_where_the_model_has_it(self):
        body = encode(call_of(response_format=self.wanted()), NEW)
        assert body["output_config"] == {"format": {"type": "json_schema", "schema": self.SCHEMA}}
        assert "tools" not in body

    def test_the_description_of_the_schema_is_kept(self):
        body = encode(call_of(response_format=self.wanted(description="A count")), NEW)
        assert body["output_config"]["format"]["schema"]["description"] == "A count"

    def test_elsewhere_the_answer_is_the_input_of_a_forced_tool(self):
        body = encode(call_of(response_format=self.wanted()), OLD)
        assert body["tools"] == [
            {
                "name": JSON_ANSWER_TOOL,
                "description": "Give the final answer as the input of this tool.",
                "input_schema": self.SCHEMA,
            }
        ]
        assert body["tool_choice"] == {"type": "tool", "name": JSON_ANSWER_TOOL}
        assert "output_config" not in body

    def test_beside_other_tools_any_of_them_may_be_called(self):
        body = encode(call_of(response_format=self.wanted(), tools=(LOOKUP,)), OLD)
        assert [tool["name"] for tool in body["tools"]] == ["lookup", JSON_ANSWER_TOOL]
        assert body["tool_choice"] == {"type": "any"}

    @pytest.mark.parametrize(
        ("mode", "sent"),
        [("none", {"type": "tool", "name": JSON_ANSWER_TOOL}), ("tool", {"type": "tool", "name": "lookup"})],
    )
    def test_a_choice_of_the_client_stands_beside_the_answer_tool(self, mode, sent):
        choice = ToolChoice(mode=mode, name="lookup" if mode == "tool" else None)
        body = encode(call_of(response_format=self.wanted(), tools=(LOOKUP,), tool_choice=choice), OLD)
        assert body["tool_choice"] == sent

    def test_a_model_with_neither_refuses_by_name(self):
        with pytest.raises(Unsupported) as caught:
            encode(call_of(response_format=self.wanted()), replace(OLD, forced_tools=False))
        assert caught.value.param == "response_format"

    def test_a_schema_of_a_list_is_refused_where_the_answer_is_a_tools_input(self):
        """It was made a schema of an object, and the answer another than was asked for."""
        wanted = ResponseFormat(kind="json_schema", name="a", schema={"type": "array", "items": {"type": "string"}})
        with pytest.raises(Unsupported, match="response_format"):
            encode(call_of(response_format=wanted), OLD)
        assert encode(call_of(response_format=wanted), NEW)["output_config"]["format"]["schema"]["type"] == "array"

    def test_json_object_is_an_instruction_at_the_end_of_the_system_prompt(self):
        body = encode(call_of(response_format=ResponseFormat(kind="json_object")), NEW)
        assert body["system"] == [{"type": "text", "text": JSON_INSTRUCTION}]
        assert len(body["messages"]) == 1

    def test_plain_text_needs_nothing(self):
        assert encode(call_of(response_format=ResponseFormat(kind="text")), NEW) == encode(call_of(), NEW)


class TestThinking:
    REASONED = (
        ReasoningBlock(text="hm", signature="sig"),
        ReasoningBlock(encrypted="enc"),
        ReasoningBlock(text="foreign"),
    )

    @pytest.mark.parametrize(
        ("effort", "budget"),
        [("minimal", 1024), ("low", 1024), ("medium", 2048), ("high", 4096), ("xhigh", 8192), ("max", 16384)],
    )
    def test_older_models_get_a_budget(self, effort, budget):
        body = encode(call_of(reasoning_effort=effort, temperature=0.3), limit=64000)
        assert body["thinking"] == {"type": "enabled", "budget_tokens": budget}
        assert "output_config" not in body
        assert "temperature" not in body

    @pytest.mark.parametrize(("limit", "budget"), [(8192, 4096), (2049, 1024), (1025, 1024)])
    def test_the_budget_leaves_room_for_the_answer(self, limit, budget):
        body = encode(call_of(reasoning_effort="max", max_output_tokens=limit))
        assert body["thinking"]["budget_tokens"] == budget < body["max_tokens"]

    def test_there_is_no_thinking_below_the_least_budget(self):
        assert "thinking" not in encode(call_of(reasoning_effort="high", max_output_tokens=1024))

    @pytest.mark.parametrize(
        ("effort", "sent"),
        [
            ("minimal", "low"),
            ("low", "low"),
            ("medium", "medium"),
            ("high", "high"),
            ("xhigh", "xhigh"),
            ("max", "max"),
        ],
    )
    def test_newer_models_think_adaptively(self, effort, sent):
        body = encode(call_of(reasoning_effort=effort), NEW)
        assert body["thinking"] == {"type": "adaptive", "display": "summarized"}
        assert body["output_config"] == {"effort": sent}

    def test_an_effort_the_model_lacks_becomes_the_next_lower_one(self):
        body = encode(call_of(reasoning_effort="xhigh"), replace(NEW, xhigh_effort=False))
        assert body["output_config"] == {"effort": "high"}

    def test_none_switches_thinking_off_as_far_as_the_model_lets_it(self):
        assert encode(call_of(reasoning_effort="none"), NEW)["thinking"] == {"type": "disabled"}
        assert "thinking" not in encode(call_of(reasoning_effort="none"), OLD)
        always = encode(call_of(reasoning_effort="none"), replace(NEW, always_thinking=True))
        assert "thinking" not in always
        assert always["output_config"] == {"effort": "low"}

    @pytest.mark.parametrize(
        ("limit", "budget", "sent"),
        [
            (4096, 4095, 4095),
            (4096, 4096, 2048),
            (4096, 32000, 2048),
            (1500, 2000, 1024),
            (1025, 1024, 1024),
            (None, 4096, 2048),
        ],
    )
    def test_a_budget_of_the_clients_own_is_below_its_limit(self, limit, budget, sent):
        """The upstream refuses another one, and the limit is what the client pays at most."""
        thinking = {"type": "enabled", "budget_tokens": budget, "display": "omitted"}
        body = encode(call_of(max_output_tokens=limit, extra={"thinking": thinking}))
        assert body["max_tokens"] == (limit or 4096)
        assert body["thinking"] == {**thinking, "budget_tokens": sent}

    def test_the_models_limit_is_the_clients_where_it_gave_none(self):
        thinking = {"type": "enabled", "budget_tokens": 10000}
        assert encode(call_of(extra={"thinking": thinking}), limit=64000)["thinking"] == thinking

    def test_a_limit_that_no_budget_fits_into_is_answered_without_thinking(self):
        thinking = {"type": "enabled", "budget_tokens": 1024}
        body = encode(call_of(max_output_tokens=1024, temperature=0.5, extra={"thinking": thinking}))
        assert "thinking" not in body
        assert body["temperature"] == 0.5

    @pytest.mark.parametrize(("budget", "effort"), [(1024, "low"), (4096, "high"), (32000, "max")])
    def test_a_budget_is_an_effort_to_models_that_take_none(self, budget, effort):
        thinking = {"type": "enabled", "budget_tokens": budget}
        body = encode(call_of(extra={"thinking": thinking}), replace(NEW, budgets=False))
        assert body["thinking"] == {"type": "adaptive", "display": "summarized"}
        assert body["output_config"] == {"effort": effort}
        own = encode(call_of(extra={"thinking": thinking}, reasoning_effort="low"), replace(NEW, budgets=False))
        assert own["output_config"] == {"effort": "low"}

    def test_thinking_that_cannot_be_switched_off_is_made_little(self):
        body = encode(call_of(extra={"thinking": {"type": "disabled"}}), replace(NEW, always_thinking=True))
        assert "thinking" not in body
        assert body["output_config"] == {"effort": "low"}

    @pytest.mark.parametrize(
        "thinking", [{"type": "enabled"}, {"type": "enabled", "budget_tokens": "9"}, {"type": "new"}]
    )
    def test_thinking_in_other_words_is_left_to_the_server(self, thinking):
        assert encode(call_of(extra={"thinking": thinking}), replace(NEW, budgets=False))["thinking"] == thinking

    @pytest.mark.parametrize("traits", [OLD, NEW])
    def test_a_forced_tool_goes_before_thinking(self, traits):
        choice = ToolChoice(mode="tool", name="lookup")
        body = encode(call_of(reasoning_effort="high", tools=(LOOKUP,), tool_choice=choice), traits)
        assert "thinking" not in body
        assert body["tool_choice"]["type"] == "tool"

    def history(self, reasoning):
        return (user(), assistant("let me see", (tool_call(),), reasoning), result("toolu_1"))

    @pytest.mark.parametrize("traits", [OLD, NEW])
    def test_signed_thinking_is_replayed_first_and_unsigned_is_not(self, traits):
        body = encode(call_of(*self.history(self.REASONED), tools=(LOOKUP,), reasoning_effort="low"), traits)
        assert body["messages"][1]["content"] == [
            {"type": "thinking", "thinking": "hm", "signature": "sig"},
            {"type": "redacted_thinking", "data": "enc"},
            {"type": "text", "text": "let me see"},
            {"type": "tool_use", "id": "toolu_1", "name": "lookup", "input": {"q": "x"}},
        ]

    def test_a_tool_turn_without_thinking_is_continued_without_a_budget(self):
        assert "thinking" not in encode(call_of(*self.history(()), tools=(LOOKUP,), reasoning_effort="low"), OLD)
        assert "thinking" in encode(call_of(*self.history(()), tools=(LOOKUP,), reasoning_effort="low"), NEW)

    FOREIGN = (
        ReasoningBlock(encrypted="gAAAA", format="openai-responses-v1"),
        ReasoningBlock(text="hm", signature="sig", format="google-gemini-v1"),
        ReasoningBlock(text="hm"),
    )

    @pytest.mark.parametrize("traits", [OLD, NEW])
    def test_thinking_of_other_vendors_is_not_replayed(self, traits):
        own = ReasoningBlock(text="hm", signature="sig", format="anthropic-claude-v1")
        reasoning = (*self.FOREIGN, own)
        body = encode(call_of(*self.history(reasoning), tools=(LOOKUP,), reasoning_effort="low"), traits)
        assert [block["type"] for block in body["messages"][1]["content"]] == ["thinking", "text", "tool_use"]

    def test_a_tool_turn_with_only_others_thinking_is_continued_without_a_budget(self):
        history = self.history(self.FOREIGN)
        assert "thinking" not in encode(call_of(*history, tools=(LOOKUP,), reasoning_effort="low"), OLD)
        assert "thinking" in encode(call_of(*history, tools=(LOOKUP,), reasoning_effort="low"), NEW)

    @pytest.mark.parametrize(("traits", "effort"), [(OLD, None), (OLD, "none"), (NEW, "none")])
    def test_a_request_without_thinking_carries_no_thinking_blocks(self, traits, effort):
        body = encode(call_of(*self.history(self.REASONED), tools=(LOOKUP,), reasoning_effort=effort), traits)
        assert [block["type"] for block in body["messages"][1]["content"]] == ["text", "tool_use"]

    def test_a_model_that_thinks_by_itself_gets_its_thinking_back(self):
        body = encode(call_of(*self.history(self.REASONED), tools=(LOOKUP,)), NEW)
        assert body["messages"][1]["content"][0]["type"] == "thinking"
