from dataclasses import replace

import pytest

from providers.dialects.anthropic_messages import ModelTraits
from providers.dialects.anthropic_messages.messages import CONTINUATION_TEXT, safe_id
from providers.dialects.anthropic_messages.request import DEFAULT_MAX_TOKENS
from providers.dialects.openai_chat import decode_request as decode_openai
from providers.errors import ClientFault, Unsupported
from providers.types import (
    ImagePart,
    Message,
    RefusalPart,
    TextPart,
)
from tests.unit.providers.anthropic_calls import LOOKUP, NEW, OLD, assistant, call_of, encode, result, tool_call, user
from tests.unit.providers.anthropic_reading import read_request

_ID_CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"


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

    @pytest.mark.parametrize("traits_and_version", [(NEW, "2023-06-01"), (OLD, "2026-10-21")])
    def test_sampling_is_left_out_where_the_model_or_the_version_refuses_it(self, traits_and_version):
        traits, version = traits_and_version
        body = encode(call_of(temperature=0.2, top_p=0.5, extra={"top_k": 5}), traits, version=version)
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
            ("web_search_options", {"extra": {"web_search_options": {}}}),
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

    @pytest.mark.parametrize(
        ("roles", "sent"),
        [
            ("user system", "user system"),
            ("user system assistant user", "user system assistant user"),
            ("user assistant system", "user assistant user"),
            ("user assistant system user", "user assistant user"),
            ("user system user assistant user", "user assistant user"),
            ("user system system assistant system user", "user system assistant user"),
        ],
    )
    def test_a_later_system_message_is_the_users_text_where_none_may_stand(self, roles, sent):
        messages = [Message(role=role, parts=(TextPart(text=f"{role} {at}"),)) for at, role in enumerate(roles.split())]
        turns = encode(call_of(*messages), NEW)["messages"]
        assert [turn["role"] for turn in turns] == sent.split()
        assert all(f"{role} {at}" in str(turns) for at, role in enumerate(roles.split()))

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
        assert read_request(body).messages[1].tool_calls[0].arguments == arguments

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

    def test_ids_that_come_back_in_later_turns_are_told_apart_and_still_pair(self):
        """The upstream refuses an id twice; some servers number the calls of every answer from 0."""
        turn = (assistant(calls=(tool_call("call_0"),)), result("call_0"))
        messages = encode(call_of(user(), *turn, user(), *turn, user(), *turn))["messages"]
        blocks = [block for message in messages if message["content"] != "hi" for block in message["content"]]
        pairs = [block.get("id") or block.get("tool_use_id") for block in blocks if block["type"] != "text"]
        assert pairs == ["call_0", "call_0", "call_0_2", "call_0_2", "call_0_3", "call_0_3"]

    def test_calls_of_one_turn_without_ids_pair_with_their_results_in_order(self):
        calls = assistant(calls=(tool_call(""), tool_call("")))
        _, called, answered = encode(call_of(user(), calls, result("", "first"), result("", "second")))["messages"]
        first, second = [block["id"] for block in called["content"]]
        assert first != second
        results = {block["tool_use_id"]: block["content"] for block in answered["content"]}
        assert results == {first: "first", second: "second"}

    def test_a_cache_mark_beside_the_content_is_of_its_last_block(self):
        """As LiteLLM takes it: without the mark a long prompt is paid in full every time."""
        mark = {"cache_control": {"type": "ephemeral"}}
        call = decode_openai(
            {
                "model": "claude",
                "messages": [{"role": "system", "content": "long", **mark}, {"role": "user", "content": "a", **mark}],
                "tools": [{"type": "function", "function": {"name": "f", **mark}}],
            }
        )
        body = encode(call)
        assert body["system"] == [{"type": "text", "text": "long", **mark}]
        assert body["messages"] == [{"role": "user", "content": [{"type": "text", "text": "a", **mark}]}]
        assert body["tools"][0]["cache_control"] == mark["cache_control"]

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
