"""The door of `/v1/messages`: what it asks of the gateway, and what is counted."""

from typing import Any

import orjson
import pytest

from providers.types import Operation
from routing.endpoints.messages import count_message_tokens, read_message_request
from routing.errors import InvalidRequest
from routing.estimation import may_fill_window


def asked(**body: Any) -> bytes:
    return orjson.dumps({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}], **body})


def test_a_request_is_a_chat_of_the_size_that_it_came_in() -> None:
    picture = {"type": "image", "source": {"type": "url", "url": "https://a"}}
    body = asked(stream=True, messages=[{"role": "user", "content": [picture]}])
    request, _ = read_message_request(body, "req_1")
    assert (request.operation, request.stream, request.include_usage) == (Operation.CHAT, True, True)
    assert (request.size_bytes, request.has_media) == (len(body), True)


@pytest.mark.parametrize(
    ("more", "open_ended"),
    [
        ({}, False),
        ({"mcp_servers": [{"type": "url", "url": "https://a", "name": "n"}]}, True),
        ({"container": {"id": "c"}}, True),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, True),
        ({"top_k": 5}, False),
    ],
)
def test_what_anthropics_servers_look_up_may_fill_the_window(more: dict[str, Any], open_ended: bool) -> None:
    """A budget reserves for all of it."""
    request, _ = read_message_request(asked(**more), "req_1")
    assert may_fill_window(request) is open_ended


def test_what_the_gateway_itself_refuses_has_the_clients_name() -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_message_request(asked(model="m" * 300), "req_1")
    assert caught.value.param == "model"
    with pytest.raises(InvalidRequest) as caught:
        read_message_request(asked(max_tokens=2**53, messages=[{"role": "user", "content": []}]), "req_1")
    assert caught.value.param == "messages"


def test_counting_grows_with_what_is_said_and_needs_no_limit() -> None:
    request, short = count_message_tokens(asked(max_tokens=None))
    _, long = count_message_tokens(asked(system="word " * 400))
    assert request.model == "m"
    assert 500 <= long["input_tokens"] - short["input_tokens"] <= 520
