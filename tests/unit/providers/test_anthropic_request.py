import base64
from dataclasses import replace

import pytest

from providers.dialects.anthropic_messages import JSON_ANSWER_TOOL, ModelTraits, decode_request, encode_request
from providers.dialects.anthropic_messages.messages import CONTINUATION_TEXT, safe_id
from providers.dialects.anthropic_messages.request import DEFAULT_MAX_TOKENS, JSON_INSTRUCTION
from providers.errors import ClientFault, Unsupported
from providers.types import (
    AudioPart,
    ChatCall,
    FilePart,
    ImagePart,
    Message,
    OpaquePart,
    ReasoningBlock,
    RefusalPart,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCall,
    ToolChoice,
)

OLD = ModelTraits(sampling_pair=False, structured_output=False)
NEW = ModelTraits(
    sampling=False,
    prefill=False,
    structured_output=True,
    late_system=True,
    adaptive_thinking=True,
    xhigh_effort=True,
)
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"0" * 24).decode()
JPEG = base64.b64encode(b"\xff\xd8\xff\xe0" + b"0" * 24).decode()
WEBP = base64.b64encode(b"RIFF\x00\x00\x00\x00WEBPVP8 " + b"0" * 24).decode()
PDF = base64.b64encode(b"%PDF-1.7 " + b"0" * 24).decode()
LOOKUP = Tool(
    name="lookup", description="Looks up", parameters={"type": "object", "properties": {"q": {"type": "string"}}}
)


def user(text="hi"):
    return Message(role="user", parts=(TextPart(text=text),))


def assistant(text=None, calls=(), reasoning=()):
    parts = () if text is None else (TextPart(text=text),)
    return Message(role="assistant", parts=parts, tool_calls=calls, reasoning=reasoning)


def result(identifier, text="42"):
    return Message(role="tool", tool_call_id=identifier, parts=(TextPart(text=text),))


def call_of(*messages, **fields):
    return ChatCall(model="claude", messages=messages or (user(),), **fields)


def encode(call, quirks=OLD, *, limit=None, version="2023-06-01"):
    return encode_request(call, model="claude-x", max_output_tokens=limit, quirks=quirks, version=version)


def tool_call(identifier="toolu_1", arguments='{"q":"x"}'):
    return ToolCall(id=identifier, name="lookup", arguments=arguments)


class TestTopLevel:
    def test_max_tokens_is_always_sent_because_the_upstream_requires_it(self):
        assert encode(call_of())["max_tokens"] == DEFAULT_MAX_TOKENS
        assert encode(call_of(), limit=64000)["max_tokens"] == 64000
        assert encode(call_of(max_output_tokens=10), limit=64000)["max_tokens"] == 10

    def test_max_tokens_above_the_known_limit_is_lowered_to_it(self):
        assert encode(call_of(max_output_tokens=100_000), limit=8192)["max_tokens"] == 8192

    @pytest.mark.parametrize(("asked", "sent"), [(0.3, 0.3), (1.7, 1), (0, 0)])
    def test_temperature_is_clamped_to_one(self, asked, sent):
        assert encode(call_of(temperature=asked))["temperature"] == sent

    @pytest.mark.parametrize("quirks_and_version", [(NEW, "2023-06-01"), (OLD, "2026-10-21")])
    def test_sampling_is_left_out_where_the_model_or_the_version_refuses_it(self, quirks_and_version):
        quirks, version = quirks_and_version
        body = encode(call_of(temperature=0.2, top_p=0.5, extra={"top_k": 5}), quirks, version=version)
        assert not {"temperature", "top_p", "top_k"} & body.keys()

    @pytest.mark.parametrize(
        ("temperature", "top_p", "sent"),
        [(0.2, 0.9, {"temperature": 0.2}), (1, 0.9, {"top_p": 0.9}), (0.2, None, {"temperature": 0.2})],
    )
    def test_only_one_sampling_parameter_goes_to_models_that_take_one(self, temperature, top_p, sent):
        body = encode(call_of(temperature=temperature, top_p=top_p))
        assert {key: body[key] for key in ("temperature", "top_p") if key in body} == sent

    def test_both_sampling_parameters_go_to_models_that_take_both(self):
        body = encode(call_of(temperature=0.2, top_p=0.9, extra={"top_k": 5}), ModelTraits())
        assert (body["temperature"], body["top_p"], body["top_k"]) == (0.2, 0.9, 5)

    def test_stop_becomes_a_list_without_empty_entries(self):
        assert encode(call_of(stop=("END", "")))["stop_sequences"] == ["END"]
        assert "stop_sequences" not in encode(call_of(stop=("",)))

    def test_a_stop_sequence_of_white_space_is_refused_not_lost(self):
        with pytest.raises(Unsupported) as caught:
            encode(call_of(stop=("\n",)))
        assert caught.value.param == "stop"

    @pytest.mark.parametrize(("tier", "sent"), [("auto", "auto"), ("default", "standard_only"), ("flex", None)])
    def test_service_tier_is_mapped_where_there_is_a_counterpart(self, tier, sent):
        assert encode(call_of(service_tier=tier)).get("service_tier") == sent

    def test_user_becomes_the_opaque_user_id_and_the_newer_field_wins(self):
        assert encode(call_of(user="u-1"))["metadata"] == {"user_id": "u-1"}
        assert encode(call_of(user="u-1", extra={"safety_identifier": "s-1"}))["metadata"] == {"user_id": "s-1"}

    @pytest.mark.parametrize("user_id", ["someone@example.org", "+49 170 1234567"])
    def test_personal_data_is_never_sent_as_user_id(self, user_id):
        assert "metadata" not in encode(call_of(user=user_id))

    @pytest.mark.parametrize(
        ("field", "fields"),
        [
            ("n", {"n": 2}),
            ("logprobs", {"logprobs": True}),
            ("top_logprobs", {"top_logprobs": 3}),
            ("logit_bias", {"logit_bias": {"50256": -100}}),
            ("presence_penalty", {"presence_penalty": 0.5}),
            ("frequency_penalty", {"frequency_penalty": -0.5}),
            ("modalities", {"extra": {"modalities": ["text", "audio"]}}),
            ("audio", {"extra": {"audio": {"voice": "x", "format": "wav"}}}),
            ("web_search_options", {"extra": {"web_search_options": {"search_context_size": "low"}}}),
            ("moderation", {"extra": {"moderation": {"model": "m"}}}),
        ],
    )
    def test_refuses_by_name_what_would_change_the_answer_visibly(self, field, fields):
        with pytest.raises(Unsupported) as caught:
            encode(call_of(**fields))
        assert caught.value.param == field
        assert "anthropic" in caught.value.message
        assert caught.value.fails_over

    def test_drops_what_changes_nothing_visible(self):
        extra = {"store": True, "metadata": {"a": "b"}, "prediction": {"type": "content"}, "prompt_cache_key": "k"}
        plain = encode(call_of())
        call = call_of(seed=1, n=1, logprobs=False, logit_bias={}, presence_penalty=0, verbosity="low", extra=extra)
        assert encode(call) == plain

    @pytest.mark.parametrize("field", ["thinking", "output_config"])
    def test_a_field_of_the_dialect_with_a_wrong_type_is_the_clients_fault(self, field):
        with pytest.raises(ClientFault) as caught:
            encode(call_of(extra={field: "yes"}))
        assert caught.value.param == field

    def test_strange_values_of_ignored_fields_never_crash(self):
        assert encode(call_of(extra={"modalities": 5, "safety_identifier": 7})) == encode(call_of())

    def test_fields_of_the_dialect_itself_pass_through(self):
        extra = {
            "top_k": 3,
            "container": "c",
            "thinking": {"type": "enabled", "budget_tokens": 1500},
            "inference_geo": "eu",
        }
        body = encode(call_of(extra=extra))
        assert (body["container"], body["inference_geo"]) == ("c", "eu")
        assert body["thinking"] == {"type": "enabled", "budget_tokens": 1500}
        assert "top_k" not in body  # thinking excludes it


class TestSystem:
    def test_leading_system_messages_become_blocks_without_the_empty_ones(self):
        messages = [
            Message(role="system", parts=(TextPart(text="be kind"),)),
            Message(
                role="developer",
                parts=(TextPart(text=""), TextPart(text="be brief", cache_control={"type": "ephemeral"})),
            ),
            user(),
        ]
        assert encode(call_of(*messages))["system"] == [
            {"type": "text", "text": "be kind"},
            {"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}},
        ]

    def test_no_system_field_without_system_text(self):
        assert "system" not in encode(call_of(Message(role="system", parts=(TextPart(text=" "),)), user()))

    def test_a_later_system_message_stays_in_its_place(self):
        messages = (user("a"), assistant("b"), user("c"), Message(role="system", parts=(TextPart(text="now rhyme"),)))
        sent = encode(call_of(*messages), NEW)
        assert sent["messages"][-1] == {"role": "system", "content": "now rhyme"}
        assert "system" not in sent
        older = encode(call_of(*messages), OLD)
        assert "system" not in older
        assert older["messages"][-1]["content"][-1]["text"] == "<system>\nnow rhyme\n</system>"

    def test_a_later_system_message_never_separates_a_result_from_its_call(self):
        late = Message(role="system", parts=(TextPart(text="now rhyme"),))
        messages = (user(), assistant(calls=(tool_call(),)), late, result("toolu_1"), user("go on"))
        turns = encode(call_of(*messages, tools=(LOOKUP,)), NEW)["messages"]
        assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
        assert [block["type"] for block in turns[2]["content"]] == ["tool_result", "text", "text"]


class TestMessages:
    def test_turns_of_one_role_are_merged(self):
        turns = encode(call_of(user("a"), user("b"), assistant("c"), assistant("d"), user("e")))["messages"]
        assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
        assert [block["text"] for block in turns[0]["content"]] == ["a", "b"]

    def test_the_first_message_is_the_users(self):
        turns = encode(call_of(assistant("hello"), user("hi")))["messages"]
        assert turns[0] == {"role": "user", "content": "."}

    def test_a_call_without_any_text_still_has_a_message(self):
        assert encode(call_of(user("")))["messages"] == [{"role": "user", "content": "."}]

    def test_blank_text_blocks_are_never_sent(self):
        message = Message(role="user", parts=(TextPart(text=""), TextPart(text="x"), TextPart(text=" \n")))
        assert encode(call_of(message))["messages"] == [{"role": "user", "content": "x"}]

    def test_null_content_with_calls_has_no_text_block(self):
        turns = encode(call_of(user(), assistant(calls=(tool_call(),)), result("toolu_1"), tools=(LOOKUP,)))["messages"]
        assert turns[1]["content"] == [{"type": "tool_use", "id": "toolu_1", "name": "lookup", "input": {"q": "x"}}]

    def test_results_of_one_turn_come_first_in_one_user_message(self):
        calls = (tool_call("a"), tool_call("b"))
        picture = Message(role="user", parts=(ImagePart(url="https://e.org/x.png"), TextPart(text="and this?")))
        messages = (user(), assistant(calls=calls), result("a"), picture, result("b"))
        turns = encode(call_of(*messages, tools=(LOOKUP,)))["messages"]
        assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
        assert [block["type"] for block in turns[2]["content"]] == ["tool_result", "tool_result", "image", "text"]
        assert [block.get("tool_use_id") for block in turns[2]["content"][:2]] == ["a", "b"]

    @pytest.mark.parametrize(
        "messages",
        [
            (user(), assistant(calls=(tool_call("a"),)), user("never mind")),
            (user(), assistant(calls=(tool_call("a"), tool_call("b"))), result("a")),
            (user(), assistant(calls=(tool_call("a"),))),
        ],
    )
    def test_a_call_without_its_result_is_the_clients_fault(self, messages):
        with pytest.raises(ClientFault, match="tool_call_id"):
            encode(call_of(*messages, tools=(LOOKUP,)))

    @pytest.mark.parametrize("messages", [(result("a"),), (user(), assistant("x"), result("a")), (user(), result("a"))])
    def test_a_result_without_its_call_is_the_clients_fault(self, messages):
        with pytest.raises(ClientFault, match="preceding message"):
            encode(call_of(*messages, tools=(LOOKUP,)))

    @pytest.mark.parametrize("arguments", ["", "{}", "  "])
    def test_no_arguments_are_an_empty_object_however_they_were_written(self, arguments):
        turns = encode(call_of(user(), assistant(calls=(tool_call("a", arguments),)), result("a"), tools=(LOOKUP,)))
        assert turns["messages"][1]["content"][0]["input"] == {}

    @pytest.mark.parametrize(
        "arguments", ['{"q":', "[1]", "NaN", '{"x": NaN}', '{"x":1e400}', '{"x":99999999999999999999}', "free text"]
    )
    def test_arguments_that_are_no_object_survive_a_round_trip(self, arguments):
        call = call_of(user(), assistant(calls=(tool_call("a", arguments),)), result("a"), tools=(LOOKUP,))
        body = encode(call)
        assert isinstance(body["messages"][1]["content"][0]["input"], dict)
        assert decode_request(body).messages[1].tool_calls[0].arguments == arguments

    def test_ids_of_other_providers_are_made_acceptable_and_still_pair(self):
        identifiers = ("call.1/x", "call:1/x", "chatcmpl-tool-1", "")
        calls = tuple(tool_call(identifier) for identifier in identifiers)
        messages = (user(), assistant(calls=calls), *(result(identifier) for identifier in identifiers))
        turns = encode(call_of(*messages, tools=(LOOKUP,)))["messages"]
        used = [block["id"] for block in turns[1]["content"]]
        assert used == [block["tool_use_id"] for block in turns[2]["content"]]
        assert len(set(used)) == len(identifiers)
        assert all(identifier and set(identifier) <= set(_ID_CHARACTERS) for identifier in used)
        assert used[2] == "chatcmpl-tool-1"
        assert safe_id("toolu_01AbC") == "toolu_01AbC"

    def test_a_result_keeps_its_error_flag(self):
        failed = replace(result("toolu_1", "boom"), extra={"is_error": True})
        body = encode(call_of(user(), assistant(calls=(tool_call(),)), failed, tools=(LOOKUP,)))
        assert body["messages"][2]["content"][0]["is_error"] is True

    def test_a_refusal_in_the_history_is_text(self):
        message = Message(role="assistant", parts=(RefusalPart(text="no"),))
        assert encode(call_of(user(), message, user()))["messages"][1] == {"role": "assistant", "content": "no"}

    def test_prefill_loses_its_trailing_white_space(self):
        assert encode(call_of(user(), assistant("The answer is \n")))["messages"][-1] == {
            "role": "assistant",
            "content": "The answer is",
        }

    def test_models_without_prefill_get_a_short_user_turn(self):
        turns = encode(call_of(user(), assistant("The answer is ")), NEW)["messages"]
        assert turns[-1] == {"role": "user", "content": CONTINUATION_TEXT}
        assert turns[-2] == {"role": "assistant", "content": "The answer is "}


_ID_CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"


class TestParts:
    @pytest.mark.parametrize(
        ("url", "source"),
        [
            ("https://e.org/x.png", {"type": "url", "url": "https://e.org/x.png"}),
            (f"data:image/png;base64,{PNG}", {"type": "base64", "media_type": "image/png", "data": PNG}),
            (f"data:image/png;base64,{JPEG}", {"type": "base64", "media_type": "image/jpeg", "data": JPEG}),
            (f"data:image/jpg;base64,{WEBP}", {"type": "base64", "media_type": "image/webp", "data": WEBP}),
            (f"data:;name=x;base64,{PNG}", {"type": "base64", "media_type": "image/png", "data": PNG}),
        ],
    )
    def test_images_are_labelled_by_their_bytes(self, url, source):
        message = Message(role="user", parts=(ImagePart(url=url, detail="high"),))
        assert encode(call_of(message))["messages"][0]["content"] == [{"type": "image", "source": source}]

    @pytest.mark.parametrize(
        "url", ["data:image/bmp;base64,Qk0AAAAA", "data:image/png,plain", "data:image/png;base64,*"]
    )
    def test_images_no_provider_takes_are_the_clients_fault(self, url):
        with pytest.raises(ClientFault) as caught:
            encode(call_of(Message(role="user", parts=(ImagePart(url=url),))))
        assert not isinstance(caught.value, Unsupported)

    @pytest.mark.parametrize("data", [PDF, f"data:application/pdf;base64,{PDF}"])
    def test_a_pdf_is_a_document(self, data):
        message = Message(role="user", parts=(FilePart(data=data, filename="a.pdf"),))
        assert encode(call_of(message))["messages"][0]["content"] == [
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                "title": "a.pdf",
            }
        ]

    def test_a_text_file_is_a_text_document(self):
        data = "data:text/markdown;base64," + base64.b64encode("# Größe".encode()).decode()
        content = encode(call_of(Message(role="user", parts=(FilePart(data=data),))))["messages"][0]["content"]
        assert content[0]["source"] == {"type": "text", "media_type": "text/plain", "data": "# Größe"}

    def test_a_text_file_that_is_no_utf8_is_the_clients_fault(self):
        part = FilePart(data="data:text/plain;base64," + base64.b64encode(b"\xff\xfe\xfd").decode())
        with pytest.raises(ClientFault):
            encode(call_of(Message(role="user", parts=(part,))))

    @pytest.mark.parametrize(
        ("part", "field"),
        [
            (AudioPart(data="AAAA", format="wav"), "input_audio"),
            (FilePart(file_id="file-openai"), "file_id"),
            (FilePart(data="data:application/zip;base64,UEsDBA=="), "file"),
            (OpaquePart(raw={"type": "input_video"}), "messages"),
        ],
    )
    def test_parts_without_a_counterpart_are_refused_by_name(self, part, field):
        with pytest.raises(Unsupported) as caught:
            encode(call_of(Message(role="user", parts=(part,))))
        assert caught.value.param == field


class TestTools:
    def test_a_function_becomes_a_tool_with_an_input_schema(self):
        bare = Tool(name="now")
        assert encode(call_of(tools=(LOOKUP, bare)))["tools"] == [
            {"name": "lookup", "description": "Looks up", "input_schema": LOOKUP.parameters},
            {"name": "now", "input_schema": {"type": "object", "properties": {}}},
        ]

    def test_strict_is_sent_only_where_it_is_known_and_then_with_a_schema_that_is_accepted(self):
        schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}
        tool = Tool(name="f", parameters=schema, strict=True)
        assert encode(call_of(tools=(tool,)), OLD)["tools"] == [{"name": "f", "input_schema": schema}]
        assert encode(call_of(tools=(tool,)), NEW)["tools"] == [
            {
                "name": "f",
                "strict": True,
                "input_schema": {
                    "type": "object",
                    "properties": {"n": {"type": "integer", "description": "{minimum: 1}"}},
                    "additionalProperties": False,
                },
            }
        ]

    @pytest.mark.parametrize(
        ("choice", "sent"),
        [
            (ToolChoice(mode="auto"), {"type": "auto"}),
            (ToolChoice(mode="none"), {"type": "none"}),
            (ToolChoice(mode="required"), {"type": "any"}),
            (ToolChoice(mode="tool", name="lookup"), {"type": "tool", "name": "lookup"}),
            (None, None),
        ],
    )
    def test_tool_choice_is_mapped(self, choice, sent):
        assert encode(call_of(tools=(LOOKUP,), tool_choice=choice)).get("tool_choice") == sent

    def test_a_choice_among_no_tools_is_not_sent(self):
        assert "tool_choice" not in encode(call_of(tool_choice=ToolChoice(mode="auto"), parallel_tool_calls=False))

    @pytest.mark.parametrize(
        ("choice", "sent"),
        [
            (None, {"type": "auto", "disable_parallel_tool_use": True}),
            (ToolChoice(mode="required"), {"type": "any", "disable_parallel_tool_use": True}),
            (ToolChoice(mode="none"), {"type": "none"}),
        ],
    )
    def test_one_call_at_a_time_is_a_flag_of_the_choice(self, choice, sent):
        body = encode(call_of(tools=(LOOKUP,), tool_choice=choice, parallel_tool_calls=False))
        assert body["tool_choice"] == sent

    def test_parallel_calls_are_the_default_and_need_no_flag(self):
        assert "tool_choice" not in encode(call_of(tools=(LOOKUP,), parallel_tool_calls=True))

    def test_allowed_tools_are_the_only_ones_sent(self):
        choice = ToolChoice(mode="required", allowed=("now",))
        body = encode(call_of(tools=(LOOKUP, Tool(name="now")), tool_choice=choice))
        assert [tool["name"] for tool in body["tools"]] == ["now"]
        assert body["tool_choice"] == {"type": "any"}

    def test_a_model_that_cannot_be_forced_refuses_by_name(self):
        unforced = replace(NEW, forced_tools=False)
        with pytest.raises(Unsupported) as caught:
            encode(call_of(tools=(LOOKUP,), tool_choice=ToolChoice(mode="required")), unforced)
        assert caught.value.param == "tool_choice"
        assert encode(call_of(tools=(LOOKUP,), tool_choice=ToolChoice(mode="auto")), unforced)["tool_choice"]

    def test_custom_tools_are_refused(self):
        with pytest.raises(Unsupported) as caught:
            encode(call_of(tools=(Tool(name="x", custom=True),)))
        assert caught.value.param == "tools"

    def test_calls_in_the_history_bring_their_tools_along_but_none_may_be_called(self):
        body = encode(call_of(user(), assistant(calls=(tool_call(),)), result("toolu_1")))
        assert body["tools"] == [{"name": "lookup", "input_schema": {"type": "object", "properties": {}}}]
        assert body["tool_choice"] == {"type": "none"}

    def test_tools_the_provider_runs_pass_unchanged(self):
        raw = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
        body = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}], "tools": [raw]}
        assert encode(decode_request(body))["tools"] == [raw]

    def test_tools_another_vendor_runs_are_refused(self):
        with pytest.raises(Unsupported) as caught:
            encode(call_of(tools=(Tool(name="web_search_preview", extra={"type": "web_search_preview"}),)))
        assert caught.value.param == "tools"

    def test_a_tool_keeps_its_cache_mark_and_loses_what_the_upstream_does_not_know(self):
        tool = replace(LOOKUP, extra={"cache_control": {"type": "ephemeral"}, "x": 1})
        assert encode(call_of(tools=(tool,)))["tools"][0].keys() == {
            "name",
            "description",
            "input_schema",
            "cache_control",
        }


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

    def test_json_object_is_an_instruction_at_the_end_of_the_system_prompt(self):
        body = encode(call_of(response_format=ResponseFormat(kind="json_object")), NEW)
        assert body["system"] == [{"type": "text", "text": JSON_INSTRUCTION}]
        assert decode_request(body).response_format == ResponseFormat(kind="json_object")
        assert decode_request(body).messages == (user(),)

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

    @pytest.mark.parametrize("quirks", [OLD, NEW])
    def test_a_forced_tool_goes_before_thinking(self, quirks):
        choice = ToolChoice(mode="tool", name="lookup")
        body = encode(call_of(reasoning_effort="high", tools=(LOOKUP,), tool_choice=choice), quirks)
        assert "thinking" not in body
        assert body["tool_choice"]["type"] == "tool"

    def history(self, reasoning):
        return (user(), assistant("let me see", (tool_call(),), reasoning), result("toolu_1"))

    @pytest.mark.parametrize("quirks", [OLD, NEW])
    def test_signed_thinking_is_replayed_first_and_unsigned_is_not(self, quirks):
        body = encode(call_of(*self.history(self.REASONED), tools=(LOOKUP,), reasoning_effort="low"), quirks)
        assert body["messages"][1]["content"] == [
            {"type": "thinking", "thinking": "hm", "signature": "sig"},
            {"type": "redacted_thinking", "data": "enc"},
            {"type": "text", "text": "let me see"},
            {"type": "tool_use", "id": "toolu_1", "name": "lookup", "input": {"q": "x"}},
        ]

    def test_a_tool_turn_without_thinking_is_continued_without_a_budget(self):
        assert "thinking" not in encode(call_of(*self.history(()), tools=(LOOKUP,), reasoning_effort="low"), OLD)
        assert "thinking" in encode(call_of(*self.history(()), tools=(LOOKUP,), reasoning_effort="low"), NEW)

    @pytest.mark.parametrize(("quirks", "effort"), [(OLD, None), (OLD, "none"), (NEW, "none")])
    def test_a_request_without_thinking_carries_no_thinking_blocks(self, quirks, effort):
        body = encode(call_of(*self.history(self.REASONED), tools=(LOOKUP,), reasoning_effort=effort), quirks)
        assert [block["type"] for block in body["messages"][1]["content"]] == ["text", "tool_use"]

    def test_a_model_that_thinks_by_itself_gets_its_thinking_back(self):
        body = encode(call_of(*self.history(self.REASONED), tools=(LOOKUP,)), NEW)
        assert body["messages"][1]["content"][0]["type"] == "thinking"
