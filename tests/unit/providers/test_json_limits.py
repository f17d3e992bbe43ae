"""One meaning for every body: duplicates, depth, numbers that are none, text that is none."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.dialects.json_limits import JsonRefusedError, loads_strict


def nested(depth: int, *, padding: int = 0) -> bytes:
    value: Any = "x" * padding
    for level in range(depth):
        value = {"a": value} if level % 2 or level == depth - 1 else [value]
    return json.dumps(value).encode()


@pytest.mark.parametrize("padding", [0, 5000])
def test_takes_64_levels_and_not_one_more(padding: int) -> None:
    assert loads_strict(nested(64, padding=padding))
    with pytest.raises(JsonRefusedError, match="deeper than 64"):
        loads_strict(nested(65, padding=padding))


@pytest.mark.parametrize("depth", [200, 300, 1000, 5000, 100_000])
def test_refuses_any_greater_depth(depth: int) -> None:
    with pytest.raises(JsonRefusedError):
        loads_strict(b'{"a":' + b"[" * depth + b"]" * depth + b"}")


def test_takes_many_brackets_that_are_not_deep() -> None:
    assert len(loads_strict(json.dumps({"a": [[]] * 500, "b": "[" * 500}).encode())["a"]) == 500


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":2}',
        b'{"a":1, "b": {"c" : 1, "c" : 2}}',
        b'{"a":1,"\\u0061":2}',
        b'{"a":"\\u0022","b":1,"b":2}',
        b'{"x":"\\u0022\\u0022","a":1,"a":2}',
        b'{"a\\\\":1,"a\\\\":2}',
        b'{"a":[{"b":1,"b":1}]}',
        b'{"":1,"":2}',
        b'{"a":{"x":{"y":1}},"a":{}}',
        b'{"a":1,"a":1}',
        b'{"a":1\n,"a"\n:\t2}',
        '{"é":1,"\\u00e9":2}'.encode(),
    ],
)
def test_refuses_a_key_that_comes_twice(body: bytes) -> None:
    with pytest.raises(JsonRefusedError, match="twice"):
        loads_strict(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  ",
        b"\xff",
        b"{",
        b"nope",
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b"{'a':1}",
        b'{"a":"\xc3"}',
        b'{"a":1}x',
        b'{"a":"\\ud800"}',
        b'\xef\xbb\xbf{"a":1}',
    ],
)
def test_refuses_what_is_not_json(body: bytes) -> None:
    with pytest.raises(JsonRefusedError) as caught:
        loads_strict(body)
    assert caught.value.message
    assert "Traceback" not in caught.value.message


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"1", b"null", b"true"])
def test_refuses_what_is_no_object(body: bytes) -> None:
    with pytest.raises(JsonRefusedError, match="object"):
        loads_strict(body)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(
    value=st.dictionaries(st.text(max_size=5), JSON, max_size=5),
    ascii_only=st.booleans(),
    indent=st.sampled_from([None, 1]),
)
def test_takes_every_object_however_it_is_written(value: dict[str, Any], ascii_only: bool, indent: int | None) -> None:
    assert loads_strict(json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()) == value


@given(
    value=st.dictionaries(st.text(max_size=4), JSON, min_size=1, max_size=4),
    ascii_only=st.booleans(),
    spacing=st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : ")]),
)
def test_finds_every_key_that_was_doubled(value: dict[str, Any], ascii_only: bool, spacing: tuple[str, str]) -> None:
    text = json.dumps({"outer": [value]}, ensure_ascii=ascii_only, separators=spacing)
    inner = json.dumps(value, ensure_ascii=ascii_only, separators=spacing)
    key = json.dumps(next(iter(value)))
    doubled = text.replace(inner, "{" + key + spacing[1] + '"\\u0022\\"",' + inner[1:], 1)
    with pytest.raises(JsonRefusedError, match="twice"):
        loads_strict(doubled.encode())
