"""Whatever a document can say survives being written and read again, in both formats."""

import contextlib
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from providers.adapters import REGISTRY
from providers.types import Operation
from routing.configuration.difference import difference
from routing.configuration.document import (
    AliasEntry,
    BudgetEntry,
    Condensation,
    Configuration,
    PolicyEntry,
    TeamEntry,
)
from routing.configuration.kinds import Reading
from routing.configuration.nodes import MappingNode
from routing.configuration.problems import START, ConfigurationRefused
from routing.configuration.provider_entry import CredentialEntry, ModelEntry, ProviderEntry, Timeouts
from routing.configuration.rendering import plain, render
from routing.configuration.schema import ROOT, kind_of, read, resolve
from rows.bounds import UNPRINTABLE

NAMES = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,20}\Z")
MODELS = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), min_size=1, max_size=30)
SEEN = st.characters(codec="utf-8", exclude_categories=("C", "Z")).filter(lambda sign: not UNPRINTABLE.search(sign))
TEXTS = st.text(SEEN, min_size=1, max_size=30)
SECONDS = st.floats(min_value=0.001, max_value=86_400.0)
MAYBE_SECONDS = st.none() | SECONDS
USD = st.none() | st.integers(min_value=0, max_value=10**15)
COUNTS = st.integers(min_value=1, max_value=2**31 - 1)
SCALARS = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | TEXTS
OPTIONS = st.dictionaries(NAMES, SCALARS | st.lists(SCALARS, max_size=3).map(tuple), max_size=3).map(MappingProxyType)


def unique(items: st.SearchStrategy[Any], key: Any = None) -> st.SearchStrategy[Any]:
    return st.lists(items, max_size=4, unique_by=key or (lambda item: item)).map(tuple)


MODEL_ENTRIES = st.builds(
    ModelEntry,
    name=MODELS, upstream=st.none() | MODELS, context_window=st.none() | COUNTS, input_usd_per_mtok=USD,
    output_usd_per_mtok=USD, capabilities=unique(TEXTS), reasoning=st.booleans(), weight=COUNTS,
)  # fmt: skip
PROVIDER_OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "region": TEXTS,
        "list_prices": st.booleans(),
        "paths": st.dictionaries(st.sampled_from(list(Operation)).map(str), st.just("/x?y=1")).map(MappingProxyType),
    },
).map(MappingProxyType)
PROVIDERS = st.builds(
    ProviderEntry,
    name=NAMES, kind=st.sampled_from(sorted(REGISTRY)), base_url=st.just("http://10.0.0.1:8080/v1"), enabled=st.booleans(),
    credentials=unique(st.builds(CredentialEntry, name=NAMES, weight=COUNTS), lambda entry: entry.name),
    models=unique(MODEL_ENTRIES, lambda entry: entry.name), priority=COUNTS, tags=unique(TEXTS), timeout=MAYBE_SECONDS,
    timeouts=st.builds(Timeouts, connect=MAYBE_SECONDS, idle=MAYBE_SECONDS), retry_delay=st.floats(0, 60),
    headers=st.dictionaries(st.just("x-team"), TEXTS, max_size=1).map(MappingProxyType), options=PROVIDER_OPTIONS,
)  # fmt: skip
ALIASES = st.builds(
    AliasEntry,
    targets=unique(MODELS).filter(bool),
    strategy=st.sampled_from([None, "cost", "weighted"]),
    cache=st.none() | st.booleans(),
)
POLICY_OPTIONS = st.fixed_dictionaries({}, optional={"price": st.floats(0, 9), "hedge_after": st.integers(0, 9)})
POLICIES = st.builds(
    PolicyEntry,
    name=NAMES,
    position=st.integers(0, 100),
    options=POLICY_OPTIONS.map(MappingProxyType),
    fallbacks=unique(MODELS),
)
BUDGETS = unique(
    st.builds(BudgetEntry, usd=st.integers(0, 10**15), period=st.sampled_from(["day", "month"])),
    lambda entry: entry.period,
)
TEAMS = st.builds(
    TeamEntry, rpm=st.none() | COUNTS, requests_window=COUNTS, tokens_window=COUNTS, budgets=BUDGETS, metadata=OPTIONS
)
CONDENSATION = st.builds(
    lambda tokens, words: Condensation(
        given=frozenset({"max_tokens_default", "error_keywords"}), max_tokens_default=tokens, error_keywords=words
    ),
    st.integers(1, 10**6),
    unique(TEXTS),
)


@st.composite
def configurations(draw: st.DrawFn) -> Configuration:
    keys: dict[str, st.SearchStrategy[Any]] = {
        "app_name": TEXTS, "debug": st.booleans(), "port": st.integers(1, 65535), "request_timeout": SECONDS,
        "rate_limit_rpm": st.none() | COUNTS, "cors_origins": st.sampled_from([(), ("*",), ("https://a.example",)]),
        "log_file": st.none() | TEXTS, "condensation": CONDENSATION,
        "providers": unique(PROVIDERS, lambda entry: entry.name), "route_policies": unique(POLICIES, lambda entry: entry.name),
        "model_aliases": st.dictionaries(MODELS, ALIASES, max_size=3).map(MappingProxyType),
        "teams": st.dictionaries(NAMES, TEAMS, max_size=3).map(MappingProxyType),
    }  # fmt: skip
    chosen = draw(st.sets(st.sampled_from(sorted(keys)), max_size=8))
    return Configuration(given=frozenset(chosen), **{name: draw(keys[name]) for name in sorted(chosen)})


@pytest.mark.parametrize("style", ["yaml", "json"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(configuration=configurations())
def test_reading_what_was_written_gives_the_same(style, configuration):
    text = render(configuration, style=style)

    assert read(text.encode(), file=f"c.{style}") == configuration
    assert difference(plain(configuration), plain(read(text.encode(), file=f"c.{style}"))) == []


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_no_bytes_at_all_crash_the_reader(data):
    for name in ("c.yaml", "c.json"):
        with contextlib.suppress(ConfigurationRefused):
            read(data, file=name)


@pytest.mark.parametrize("style", ["yaml", "json"])
@pytest.mark.parametrize("odd", ["a\x85b", "\u2028", "a \u2029 ", "\x7f", "\x85\n\x85"])
def test_characters_that_are_breaks_or_refused_in_a_file_survive_in_free_values(style: str, odd: str):
    metadata = MappingProxyType({odd: odd})
    configuration = Configuration(given=frozenset({"teams"}), teams={"red": TeamEntry(metadata=metadata)})
    assert read(render(configuration, style=style).encode(), file=f"c.{style}").teams["red"].metadata == metadata


def test_merge_keys_and_anchors_are_read():
    text = b"""
    providers:
      - &base {name: a, base_url: 'http://10.0.0.1', timeout: 7, models: [m]}
      - {<<: *base, name: b}
    """
    first, second = read(text, file="c.yaml").providers
    assert (second.name, second.timeout, second.models) == ("b", 7.0, first.models)


def test_the_kind_is_told_by_the_name():
    kinds = {
        name: kind_of(ProviderEntry(name=name)) for name in ("openai", "anthropic_eu", "openai_responses-1", "mine")
    }
    assert kinds == {
        "openai": "openai", "anthropic_eu": "anthropic", "openai_responses-1": "openai_responses", "mine": "openai",
    }  # fmt: skip


def test_a_section_knows_where_it_stands():
    reading = Reading()
    ROOT.read(MappingNode(at=START, entries=()), "", reading)
    assert reading.positions == {"": START}


def test_an_empty_list_of_variables_means_no_credential():
    entry = read(b"providers: [{name: openai, api_keys_env: []}]", file="c.yaml").providers[0]
    assert resolve(entry).credentials == ()
