"""What a request says survives the way to Anthropic's shape and back, for everything that both sides can say."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from providers.dialects.anthropic_messages import ModelTraits, encode_request
from providers.dialects.anthropic_messages.schema import restrict_schema
from providers.types import (
    ChatCall,
    FilePart,
    ImagePart,
    Message,
    ReasoningBlock,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCall,
    ToolChoice,
)
from tests.unit.providers.anthropic_reading import read_request

QUIETLY = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
OLD = ModelTraits()
NEW = ModelTraits(structured_output=True, late_system=True, adaptive_thinking=True, xhigh_effort=True)

PNG = "data:image/png;base64,iVBORw0KGgowMDAwMDAwMDAw"
PDF = "data:application/pdf;base64,JVBERi0xLjcgMDAwMDAw"

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(lambda text: text.strip())
names = st.from_regex(r"[a-zA-Z0-9_-]{1,10}", fullmatch=True)
cache_marks = st.none() | st.just({"type": "ephemeral"})
text_parts = st.builds(TextPart, text=texts, cache_control=cache_marks)
file_parts = st.builds(FilePart, data=st.sampled_from([PDF, "https://example.org/a.pdf"]), filename=st.none() | names)
parts = st.one_of(
    text_parts,
    st.builds(ImagePart, url=st.sampled_from([PNG, "https://example.org/a.png"])),
    file_parts,
    st.builds(FilePart, file_id=st.just("file_011"), filename=st.none() | names),
)
reasoning = st.lists(
    st.builds(ReasoningBlock, text=texts, signature=names) | st.builds(ReasoningBlock, encrypted=names), max_size=2
).map(tuple)
arguments = st.sampled_from(
    ["{}", '{"q":"x"}', '{"q":{"n":[1,2.5,null]}}', "{broken", "[1]", '{"n":123456789012345678901}']
)


@st.composite
def exchanges(draw, number):
    """A user's turn, what the assistant made of it, and the results of its calls, if it made any. Ids that came back in
    another exchange would be told apart, so they have its number."""
    user = Message(role="user", parts=tuple(draw(st.lists(parts, min_size=1, max_size=3))))
    identifiers = [f"{name}-{number}" for name in draw(st.lists(names, max_size=3, unique=True))]
    calls = tuple(ToolCall(id=each, name="f", arguments=draw(arguments)) for each in identifiers)
    said = tuple(draw(st.lists(text_parts, min_size=0 if calls else 1, max_size=2)))
    assistant = Message(role="assistant", parts=said, tool_calls=calls, reasoning=draw(reasoning))
    results = [
        Message(
            role="tool",
            tool_call_id=each,
            parts=tuple(draw(st.lists(parts, max_size=2))),
            extra=draw(st.sampled_from([{}, {"is_error": True}])),
        )
        for each in identifiers
    ]
    return [user, assistant, *results]


tools = st.builds(
    Tool,
    name=names,
    description=st.none() | texts,
    parameters=st.none()
    | st.just({"type": "object", "properties": {"q": {"type": "string"}}, "additionalProperties": False}),
    strict=st.none() | st.booleans(),
    extra=st.sampled_from([{}, {"cache_control": {"type": "ephemeral"}}]),
)
hosted = st.just(Tool(name="web_search", extra={"type": "web_search_20250305", "max_uses": 2}))


@st.composite
def calls(draw):
    system = draw(st.lists(st.lists(text_parts, min_size=1, max_size=2), max_size=1))
    messages = [Message(role="system", parts=tuple(each)) for each in system]
    for number in range(draw(st.integers(0, 2))):
        messages += draw(exchanges(number))
    messages.append(Message(role="user", parts=tuple(draw(st.lists(parts, min_size=1, max_size=2)))))
    if messages[-2:-1] and messages[-2].role == "tool" and draw(st.booleans()):
        messages.pop()
    given_tools = draw(st.lists(tools | hosted, min_size=1, max_size=3, unique_by=lambda tool: tool.name))
    choice = draw(st.none() | st.sampled_from(["auto", "none"]).map(lambda mode: ToolChoice(mode=mode)))
    one_at_a_time = choice is not None and choice.mode == "auto" and draw(st.booleans())
    stream = draw(st.booleans())
    closed = {"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": False}
    return ChatCall(
        model="claude-x",
        messages=tuple(messages),
        tools=tuple(given_tools),
        tool_choice=choice,
        parallel_tool_calls=False if one_at_a_time else None,
        response_format=draw(
            st.none()
            | st.just(ResponseFormat(kind="json_object"))
            | st.just(ResponseFormat(kind="json_schema", name="answer", schema=closed, strict=True))
        ),
        max_output_tokens=draw(st.integers(1, 64000)),
        stop=tuple(draw(st.lists(texts, max_size=2))),
        reasoning_effort=draw(st.none() | st.sampled_from(["none", "low", "medium", "high", "xhigh", "max"])),
        user=draw(st.none() | st.from_regex(r"u-[a-z]{1,8}", fullmatch=True)),
        service_tier=draw(st.none() | st.sampled_from(["auto", "default"])),
        stream=stream,
        include_usage=stream,
        extra=draw(st.sampled_from([{}, {"container": "c", "inference_geo": "eu"}])),
    )


def encode(call, traits):
    return encode_request(call, model=call.model, max_output_tokens=None, traits=traits, version="2023-06-01")


def without_reasoning(call):
    return [{**vars_of(message), "reasoning": ()} for message in call.messages]


def vars_of(message):
    return {name: getattr(message, name) for name in Message.__dataclass_fields__}


@QUIETLY
@given(call=calls())
def test_a_call_comes_back_as_it_was(call):
    """Without thinking, the thinking of earlier turns is left out on purpose; everything else is the same."""
    decoded = read_request(encode(call, NEW))
    if call.reasoning_effort == "none":
        assert without_reasoning(decoded) == without_reasoning(call)
    else:
        assert decoded.messages == call.messages
    for name in ChatCall.__dataclass_fields__:
        if name != "messages":
            assert getattr(decoded, name) == getattr(call, name), name


@QUIETLY
@given(call=calls(), traits=st.sampled_from([OLD, NEW]), temperature=st.floats(0, 1), top_p=st.floats(0, 1))
def test_a_body_that_was_read_is_written_as_it_was(call, traits, temperature, top_p):
    body = {**encode(call, traits), "temperature": temperature, "top_p": top_p, "top_k": 4}
    again = encode(read_request(body), traits)
    if body.get("thinking", {"type": "disabled"}) != {"type": "disabled"}:
        for name in ("temperature", "top_p", "top_k"):
            del body[name]
    if traits is NEW or "output_config" not in body:
        assert again == body


class TestSchema:
    def test_an_acceptable_schema_is_unchanged(self):
        schema = {
            "type": "object",
            "properties": {
                "when": {"type": "string", "format": "date"},
                "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 1},
                "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
            },
            "required": ["when"],
            "additionalProperties": False,
            "$defs": {"node": {"const": 1, "description": "one"}},
        }
        assert restrict_schema(schema) == schema

    @pytest.mark.parametrize(
        ("given_schema", "accepted"),
        [
            ({"type": "string", "format": "regex"}, {"type": "string", "description": '{format: "regex"}'}),
            (
                {"type": "array", "minItems": 2, "maxItems": 3},
                {"type": "array", "description": "{minItems: 2, maxItems: 3}"},
            ),
            ({"oneOf": [{"type": "null"}]}, {"anyOf": [{"type": "null"}]}),
            (
                {"type": "number", "description": "A size", "minimum": 0},
                {"type": "number", "description": "A size\n\n{minimum: 0}"},
            ),
            (
                {"type": "object", "additionalProperties": {"type": "string"}},
                {
                    "type": "object",
                    "additionalProperties": False,
                    "description": '{additionalProperties: {"type": "string"}}',
                },
            ),
            ({"type": ["object", "null"]}, {"type": ["object", "null"], "additionalProperties": False}),
            ({"$schema": "x", "type": "null"}, {"type": "null"}),
            (
                {"type": "string", "pattern": "^a", "x-y": 1},
                {"type": "string", "description": '{pattern: "^a", x-y: 1}'},
            ),
        ],
    )
    def test_what_is_refused_moves_into_the_description(self, given_schema, accepted):
        assert restrict_schema(given_schema) == accepted
        assert restrict_schema(accepted) == accepted
