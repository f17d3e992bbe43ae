import base64
from dataclasses import replace

import pytest

from providers.errors import ClientFault, Unsupported
from providers.types import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    OpaquePart,
    Tool,
    ToolChoice,
)
from tests.unit.providers.anthropic_calls import (
    JPEG,
    LOOKUP,
    NEW,
    OLD,
    PDF,
    PNG,
    WEBP,
    assistant,
    call_of,
    encode,
    result,
    tool_call,
    user,
)


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
        hosted = Tool(name=raw["name"], extra={key: raw[key] for key in ("type", "max_uses")})
        assert encode(call_of(tools=(hosted,)))["tools"] == [raw]

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
