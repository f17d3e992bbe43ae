"""Trials of Anthropic's that a message asks for by `anthropic-beta`: which reach whom."""

import json
from typing import Any

import pytest

from providers.adapters.anthropic import AnthropicAdapter
from providers.adapters.cohere import CohereAdapter
from providers.dialects.served_messages import to_chat
from providers.dialects.served_messages.betas import passed_betas
from providers.dialects.served_messages.own_fields import OWN, without_own
from providers.transport import UpstreamRequest
from providers.types import ClientRequest, JsonObject, Operation
from tests.unit.providers.test_anthropic_adapter import deployment, with_options

LONG, THINKING, EDITS = "context-1m-2025-08-07", "interleaved-thinking-2025-05-14", "context-management-2025-06-27"
CLEAR = {"type": "clear_tool_uses_20250919", "keep": {"type": "tool_uses", "value": 3}}
COMPACT = {"type": "compact_20260112"}
ASKED: JsonObject = {"model": "claude", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}


def prepared(beta: str, *, adapter: Any = None, options: JsonObject | None = None, **asked: Any) -> UpstreamRequest:
    chat = to_chat({**ASKED, **asked}, beta=beta)
    request = ClientRequest(operation=Operation.CHAT, model="claude", body=chat, stream=False, include_usage=True)
    target = deployment(provider=with_options(**(options or {})))
    result: UpstreamRequest = (adapter or AnthropicAdapter()).prepare(request, target, "sk-ant-x")
    return result


def header(beta: str, **more: Any) -> str | None:
    return dict(prepared(beta, **more).headers).get("anthropic-beta")


@pytest.mark.parametrize(
    ("said", "passed"),
    [
        (f"{THINKING}, {LONG}", [LONG, THINKING]),
        (f"{LONG},{LONG}", [LONG]),
        (f"claude-code-20250219,{LONG},oauth-2025-04-20", [LONG]),
        ("compact-2026-01-12,fast-mode-2026-02-01,message-threads-2026-08-12,files-api-2025-04-14", []),
        ("context-1m,context-1m-soon,CONTEXT-1M-2025-08-07,context-1m-2025-08-07\tx", []),
        ("", []),
    ],
)
def test_only_what_an_answer_can_carry_is_passed_on(said: str, passed: list[str]) -> None:
    assert passed_betas(said) == passed


def test_what_the_client_asks_for_stands_behind_what_is_configured() -> None:
    assert header(f"{THINKING},{LONG}") == f"{LONG},{THINKING}"
    assert header(LONG, options={"beta": "mine-2026-01-01"}) == f"mine-2026-01-01,{LONG}"
    assert header(LONG, options={"beta": f"a, {LONG}"}) == f"a,{LONG}"
    assert header("oauth-2025-04-20", options={"beta": "a"}) == "a"
    assert header("") is None


def test_the_headers_of_whoever_asks_for_none_are_made_once() -> None:
    adapter = AnthropicAdapter()
    target, secret = deployment(), "sk-ant-x"
    request = ClientRequest(operation=Operation.CHAT, model="claude", body=to_chat(ASKED), stream=False)
    assert adapter.prepare(request, target, secret).headers is adapter.prepare(request, target, secret).headers


def test_a_display_of_thinking_goes_along_with_the_beta_that_it_needs() -> None:
    """Claude Code asks for it of whoever it takes for Anthropic; without the beta the field is refused there."""
    updates = {"type": "adaptive", "display": "updates"}
    sent = prepared("thinking-display-updates-2026-08-18", thinking=updates)
    assert dict(sent.headers)["anthropic-beta"] == "thinking-display-updates-2026-08-18"
    assert json.loads(sent.body)["thinking"] == updates


def test_no_other_provider_is_told() -> None:
    assert header(LONG, adapter=CohereAdapter()) is None
    body = without_own(to_chat(ASKED, beta=LONG), provider="openai", reasons=True)
    assert LONG not in json.dumps(body)
    assert OWN not in body


@pytest.mark.parametrize(
    ("beta", "edits", "sent"),
    [
        (EDITS, [CLEAR], [CLEAR]),
        (EDITS, [COMPACT, CLEAR], [CLEAR]),
        (EDITS, [COMPACT], None),
        (LONG, [CLEAR], None),
        ("", [CLEAR], None),
        (EDITS, "clear_all", None),
        (EDITS, [5], None),
    ],
)
def test_edits_of_the_context_go_along_with_their_beta(beta: str, edits: Any, sent: Any) -> None:
    body = json.loads(prepared(beta, context_management={"edits": edits}).body)
    assert body.get("context_management") == (None if sent is None else {"edits": sent})
    assert "betas" not in body
