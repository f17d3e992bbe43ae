"""Two requests are the same for the cache only when nothing that could change the answer differs."""

from typing import Any

import pytest

from providers.dialects.embeddings import inputs_of
from providers.types import ClientRequest, Operation
from routing.cache_key import cache_key, embedding_keys

BODY: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "temperature": 1}


def request(operation: Operation = Operation.CHAT, model: str = "m", **changes: Any) -> ClientRequest:
    body = {name: value for name, value in {**BODY, **changes}.items() if value is not ...}
    return ClientRequest(operation=operation, model=model, body=body)


def key(made: ClientRequest, *, tenant: str = "team:1", revision: int = 1, tags: tuple[str, ...] = ()) -> bytes:
    return cache_key(made, tenant=tenant, revision=revision, tags=tags)


@pytest.mark.parametrize(
    "changes",
    [
        {"stream": True},
        {"stream_options": {"include_usage": True}},
        {"user": "u"},
        {"metadata": {"a": "b"}},
        {"safety_identifier": "s"},
        {"prompt_cache_key": "p"},
    ],
)
def test_how_an_answer_travels_and_who_asks_makes_no_difference(changes: dict[str, Any]) -> None:
    assert key(request(**changes)) == key(request())


def test_the_order_of_keys_makes_no_difference() -> None:
    turned = ClientRequest(operation=Operation.CHAT, model="m", body=dict(reversed(BODY.items())))
    assert key(turned) == key(request())


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature": 1.0},
        {"temperature": ...},
        {"temperature": None},
        {"messages": [{"role": "user", "content": "hi "}]},
        {"messages": [{"role": "user", "content": "Hi"}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]},
        {"messages": [{"role": "user", "content": "e\u0301"}]},
        {"messages": [{"role": "system", "content": "x"}, *BODY["messages"]]},
        {"tools": []},
        {"n": 2},
        {"store": True},
        {"response_format": {"type": "json_object"}},
        {"anything_new": 0},
    ],
)
def test_every_other_field_makes_another_request(changes: dict[str, Any]) -> None:
    assert key(request(**changes)) != key(request())


def test_tenant_model_operation_revision_and_tags_belong_to_it() -> None:
    made = request()
    keys = {
        key(made),
        key(made, tenant="team:2"),
        key(made, tenant="key:1"),
        key(made, revision=2),
        key(made, tags=("eu",)),
        key(request(model="n")),
        key(request(Operation.COMPLETIONS)),
    }
    assert len(keys) == 7
    assert key(made, tags=("a", "b")) == key(made, tags=("b", "a"))


def test_no_two_lists_of_parts_run_together() -> None:
    one = key(request(model='m",1,["t'), tenant="a")
    assert one != key(request(model="m"), tenant='a","m')
    assert key(request(), tenant="a", tags=("b,c",)) != key(request(), tenant="a", tags=("b", "c"))


@pytest.mark.parametrize(
    ("given", "inputs"),
    [("a", ["a"]), (["a", "b"], ["a", "b"]), ([1, 2], [[1, 2]]), ([[1, 2], [3]], [[1, 2], [3]])],
)
def test_inputs_of_embeddings_are_told_apart(given: Any, inputs: list[Any]) -> None:
    assert inputs_of({"input": given}) == inputs


def test_an_input_has_the_same_key_in_whatever_list_it_comes() -> None:
    def keys(given: Any, tenant: str = "t", **more: Any) -> list[bytes]:
        body = {"model": "m", "input": given, **more}
        made = ClientRequest(operation=Operation.EMBEDDINGS, model="m", body=body)
        return embedding_keys(made, inputs_of(body), tenant=tenant, revision=1)

    a, b = keys(["a", "b"])
    assert keys("a") == keys(["a"], user="u") == [a]
    assert keys(["b", "a", "b"]) == [b, a, b]
    others = [
        *keys("a", dimensions=2),
        *keys("a", encoding_format="base64"),
        *keys("a", tenant="u"),
        *keys([1]),
        *keys("1"),
    ]
    assert len({a, b, *others}) == 7
