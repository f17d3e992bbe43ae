"""The demo's pure parts: what it answers, how it counts, the values it makes up, its vectors."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.demo import schemas, tokens, vectors
from providers.demo.answering import OfferedTool, Question, reply_to

TOOLS = tuple(OfferedTool(name=name, schema={"type": "object"}) for name in ("alpha", "beta", "gamma"))

SCHEMA_WORDS = (
    "type", "enum", "const", "default", "examples", "$ref", "anyOf", "oneOf", "allOf", "properties", "required", "items",
    "format", "minItems", "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
    "multipleOf", "a",
)  # fmt: skip


def question(**more):
    return Question(**{"model": "demo-small", "texts": ("hello",), "asked": "hello", **more})


@given(st.text())
def test_pieces_are_whole_characters_of_one_token_each(text):
    found = tokens.pieces(text)
    assert "".join(found) == text
    assert all(tokens.count_tokens(piece) == 1 for piece in found)


@given(st.text(), st.integers(0, 50))
def test_a_cut_text_is_the_longest_beginning_that_fits(text, limit):
    kept = tokens.cut(text, limit)
    assert text.startswith(kept)
    assert tokens.count_tokens(kept) == min(limit, tokens.count_tokens(text))


@given(st.integers(1, 200))
def test_a_filled_text_has_the_length_asked_for(length):
    assert tokens.count_tokens(reply_to(question(), length=length).text) == length


@given(st.text(min_size=1), st.integers(1, 30), st.lists(st.text(min_size=1, max_size=2), max_size=4))
def test_never_exceeds_its_limit_nor_shows_a_stop_sequence(asked, limit, stop):
    reply = reply_to(question(asked=asked, max_tokens=limit, stop=tuple(stop)))
    assert reply.output_tokens == tokens.count_tokens(reply.text) <= limit
    assert not any(entry in reply.text for entry in stop)


def test_shortens_a_long_echo():
    assert len(reply_to(question(asked="x" * 10_000)).text) < 400


@pytest.mark.parametrize(
    ("more", "called"),
    [
        ({}, ["alpha"]),
        ({"asked": "use gamma and beta"}, ["beta", "gamma"]),
        ({"asked": "use gamma and beta", "parallel_tools": False}, ["beta"]),
        ({"tool_choice": "gamma"}, ["gamma"]),
        ({"tool_choice": "none"}, []),
        ({"tool_result": "done"}, []),
        ({"tool_result": "done", "tool_choice": "required"}, ["alpha"]),
        ({"max_tokens": 1}, []),
    ],
)
def test_chooses_tools(more, called):
    reply = reply_to(question(tools=TOOLS, **more))
    assert [call.name for call in reply.calls] == called
    assert (reply.ending == "tool_calls") == bool(called)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string", "enum": ["b", "a"]}, "b"),
        ({"const": 7}, 7),
        ({"type": "integer", "default": 3}, 3),
        ({"type": ["null", "boolean"]}, True),
        ({"type": "integer", "exclusiveMinimum": 4}, 5),
        ({"type": "integer", "minimum": 4, "multipleOf": 3}, 6),
        ({"type": "number", "maximum": 0.5}, 0.5),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [1, 1]),
        ({"type": "string", "format": "date"}, "2026-01-02"),
        ({"type": "string", "minLength": 8, "maxLength": 9}, "demo...."),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 1),
        ({"allOf": [{"properties": {"a": {"type": "integer"}}, "required": ["a"]}]}, {"a": 1}),
        ({"$ref": "#/$defs/x", "$defs": {"x": {"type": "boolean"}}}, True),
        ({"type": "object", "properties": {"a": {}, "b": {}}, "required": ["b"]}, {"b": "demo b"}),
        ({"type": "null"}, None),
    ],
)
def test_makes_up_a_value_that_satisfies_the_schema(schema, value):
    assert schemas.sample(schema) == value


def test_where_nothing_is_required_the_whole_answer_is_still_not_empty():
    inner = {"type": "object", "properties": {"name": {"type": "string"}, "again": {"$ref": "#"}}, "required": ["name"]}
    tasks = {"type": "object", "properties": {"tasks": {"type": "array", "items": inner}}, "required": []}
    assert schemas.sample(tasks) == {"tasks": [{"name": "Demo"}]}
    assert schemas.sample({"type": "object", "properties": {"next": {"$ref": "#"}}}) == {"next": {}}


def test_a_schema_that_refers_to_itself_comes_to_an_end():
    node = {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}
    assert json.dumps(schemas.sample(node)).count("next") < 20


NONSENSE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 9)
    | st.sampled_from([0.5, 1e300, 5e-324, "integer", "array", "x", "#/a"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(SCHEMA_WORDS), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(SCHEMA_WORDS), NONSENSE, max_size=5))
def test_a_schema_whose_keywords_mean_nothing_still_gets_an_answer(schema):
    tool = OfferedTool(name="f", schema=schema)
    assert [call.name for call in reply_to(question(tools=(tool,))).calls] == ["f"]


@pytest.mark.parametrize("bounds", [{"minimum": 1e300}, {"maximum": -1e300}, {"minimum": 1, "multipleOf": 5e-324}])
def test_a_number_beyond_what_json_is_written_with_still_gets_an_answer(bounds):
    schema = {"type": "integer", **bounds}
    assert json.loads(reply_to(question(schema=schema)).text) == 1


@given(st.text(min_size=1), st.integers(1, 600))
def test_vectors_have_length_one_and_depend_on_the_text_alone(text, dimensions):
    vector = vectors.embed(text, dimensions)
    assert len(vector) == dimensions
    assert math.isclose(math.hypot(*vector), 1, rel_tol=1e-5)
    assert vector == vectors.embed(text, dimensions)


def test_quantised_vectors_keep_the_signs():
    vector = [0.5, -0.25, 0.1, -0.1, 0.9, 0.2, -0.3, 0.4, -0.6]
    assert vectors.to_int8(vector)[4] == 127
    assert vectors.to_ubinary(vector) == [0b10101101, 0]
    assert vectors.to_binary(vector) == [0b10101101 - 128, -128]
