"""What `options` may say, kind by kind: the values that adapters know what to do with, and no other."""

import json
from typing import Any

import pytest

from providers.adapter_options import LONGEST_LINE, faults, usable
from providers.adapters import REGISTRY, options_of
from providers.adapters.anthropic import check_api_version as anthropic_version
from providers.adapters.azure import check_api_version as azure_version

TAKEN: list[tuple[str, bool, dict[str, Any]]] = [
    ("openai", False, {"max_tokens_field": "max_tokens", "accepts_stream_options": False, "dialect": "mistral"}),
    ("openai", True, {"max_tokens_field": "max_tokens", "accepts_stream_options": False}),
    ("anthropic", False, {"api_version": "2023-06-01", "beta": "a,b"}),
    ("anthropic", False, {"beta": ["a", "b"]}),
    ("anthropic", True, {"base_model": "claude-opus-4-7", "traits": {"sampling": True, "prefill": False}}),
    ("perplexity", False, {"dialect": "sonar", "preset": "pro-search", "web_search": False}),
    ("perplexity", True, {"dialect": "agent", "preset": "pro-search", "web_search": True}),
    ("azure", False, {"api_version": "2025-02-01-preview", "auth": "bearer"}),
    ("azure", True, {"api_version": "v1", "base_model": "gpt-4o"}),
    ("openrouter", False, {"app_url": "https://a.example", "app_title": "Mine", "app_categories": "x"}),
    ("cohere", False, {"client_name": "mine", "input_type": "search_query"}),
    *(
        (kind, False, {"paths": {"chat/completions": "/v1/chat?x=1"}, "list_prices": True, "region": "eu"})
        for kind in REGISTRY
    ),
]
WRONG: list[tuple[str, bool, str, Any]] = [
    ("openai", False, "accepts_stream_options", "false"),
    ("openai", False, "accepts_stream_options", 0),
    ("openai", False, "accepts_stream_options", None),
    ("openai", False, "max_tokens_field", ""),
    ("openai", False, "dialect", "Mistral"),
    ("anthropic", False, "api_version", 20230601),
    ("anthropic", False, "api_version", "v1"),
    ("anthropic", False, "beta", [1]),
    ("anthropic", False, "beta", "a\r\nx-evil: 1"),
    ("anthropic", True, "traits", {"telepathy": True}),
    ("anthropic", True, "traits", {"sampling": "yes"}),
    ("azure", False, "api_version", "newest"),
    ("azure", False, "auth", "sk-a-key-in-the-wrong-place"),
    ("perplexity", True, "dialect", "responses"),
    ("openrouter", False, "app_title", "x" * (LONGEST_LINE + 1)),
    ("cohere", False, "input_type", ["search_query"]),
    ("grok", False, "paths", {"chat": "/v1/chat"}),
    ("grok", False, "paths", {"chat/completions": "v1/chat"}),
    ("grok", False, "paths", {"chat/completions": "/a b"}),
    ("grok", False, "paths", "/v1"),
    ("grok", False, "list_prices", "no"),
]
UNKNOWN: list[tuple[str, bool, str, str]] = [
    ("azure", False, "api_verson", "api_version?"),
    ("azure", False, "Auth", "auth?"),
    ("openai", True, "dialect", "one of max_tokens_field, accepts_stream_options"),  # the provider's alone
    ("azure", False, "base_model", "one of "),  # a model's alone
    ("anthropic", False, "betas", "beta?"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "of_model", "options"), TAKEN, ids=str)
def test_what_an_adapter_reads_is_taken(kind: str, of_model: bool, options: dict[str, Any]) -> None:
    declared = options_of(kind, of_model=of_model)
    assert list(faults(declared, options)) == []
    assert usable(declared, options) == options


@pytest.mark.parametrize(("kind", "of_model", "name", "value"), WRONG, ids=str)
def test_a_value_that_an_adapter_cannot_use_is_refused_and_not_repeated(
    kind: str, of_model: bool, name: str, value: Any
) -> None:
    declared = options_of(kind, of_model=of_model)
    (fault,) = faults(declared, {name: value})
    assert (fault.name, fault.is_known) == (name, True)
    assert json.dumps(value) not in fault.expected
    assert usable(declared, {name: value}) == {}


@pytest.mark.parametrize(("kind", "of_model", "name", "advice"), UNKNOWN, ids=str)
def test_a_name_that_no_adapter_reads_is_refused_with_the_nearest(
    kind: str, of_model: bool, name: str, advice: str
) -> None:
    declared = options_of(kind, of_model=of_model)
    (fault,) = faults(declared, {name: "x"})
    assert (fault.name, fault.is_known) == (name, False)
    assert fault.expected.startswith(advice)
    assert usable(declared, {name: "x"}) == {}


def test_no_kind_declares_an_option_twice_and_each_belongs_somewhere() -> None:
    for kind in REGISTRY:
        declared = {each.name: each for model in (False, True) for each in options_of(kind, of_model=model)}
        assert len(options_of(kind)) == len({each.name for each in options_of(kind)}), kind
        assert all(each.of_provider or each.of_model for each in declared.values()), kind
    assert options_of("gone") == options_of("grok")


@pytest.mark.parametrize(
    "version", ["", "v1", "latest", "preview", "2024-10-21", "2024-10-21-preview", "v9", "x", "2024"]
)
def test_versions_are_taken_that_the_adapters_can_use(version: str) -> None:
    for kind, check in (("azure", azure_version), ("anthropic", anthropic_version)):
        try:
            check(version)
            works = True
        except ValueError:
            works = False
        assert (list(faults(options_of(kind), {"api_version": version})) == []) == works, kind
