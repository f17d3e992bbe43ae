"""What the head of a request asks for, however its headers are written."""

import pytest

from routing.call import CallOptions
from routing.endpoints.request_head import RequestHead


def options(*headers: tuple[bytes, bytes]) -> CallOptions:
    return RequestHead({"method": "POST", "path": "/v1/chat/completions", "headers": list(headers)}).options


def test_tags_in_several_lines_all_bind() -> None:
    asked = options((b"x-llm-proxy-tags", b"eu"), (b"accept", b"*/*"), (b"x-llm-proxy-tags", b"fast, cheap"))
    assert asked.tags == {"eu", "fast", "cheap"}


def test_betas_in_several_lines_are_all_asked_for() -> None:
    lines = [(b"anthropic-beta", b"a"), (b"anthropic-beta", b"b, c")]
    head = RequestHead({"method": "POST", "path": "/v1/messages", "headers": lines})
    assert head.header(b"anthropic-beta") == "a,b, c"


@pytest.mark.parametrize("value", [b"no-store", b"No-Store", b"max-age=0, NO-STORE"])
def test_no_store_is_obeyed_in_any_case(value: bytes) -> None:
    assert options((b"cache-control", value)).no_cache
    assert options((b"cache-control", value), (b"cache-control", b"no-cache")).no_cache


def test_other_directives_leave_the_cache_on() -> None:
    assert not options((b"cache-control", b"no-cache")).no_cache


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({b"authorization": b"Bearer mine"}, "mine"),
        ({b"x-api-key": b"mine"}, "mine"),
        ({b"api-key": b" mine "}, "mine"),
        ({b"api-key": b"other", b"x-api-key": b"mine"}, "mine"),
        ({b"api-key": b"other", b"authorization": b"Bearer mine"}, "mine"),
        ({b"api-key": b"other", b"authorization": b"Bearer "}, ""),
        ({}, ""),
    ],
)
def test_the_key_is_found_where_clients_put_it(headers: dict[bytes, bytes], token: str) -> None:
    head = RequestHead({"method": "POST", "path": "/v1/chat/completions", "headers": list(headers.items())})
    assert head.key("x-api-key").token == token
