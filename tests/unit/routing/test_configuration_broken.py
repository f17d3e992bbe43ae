"""Forty ways to write a configuration wrong: each is refused with its line and a remedy."""

import re

import pytest

from routing.configuration.parse import MAX_BYTES
from routing.configuration.problems import ConfigurationRefused
from routing.configuration.schema import read

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(8)
)
PROVIDER = "providers:\n  - name: a\n    base_url: http://10.0.0.1\n"

# (name, document, line, what the message says)
BROKEN = [
    ("unknown key", "debug: false\nprovidres: []\n", 2, "expected providers?"),
    ("unknown key in a provider", PROVIDER + "    timout: 3\n", 4, "expected timeout?"),
    ("unknown key in a model", PROVIDER + "    models:\n      - {name: m, window: 5}\n", 5, "context_window"),
    ("text for a number", "rate_limit_rpm: many\n", 1, "a whole number"),
    ("number in quotes", 'port: "8000"\n', 1, "a whole number"),
    ("fraction for a whole number", "port: 80.5\n", 1, "a whole number"),
    ("octal number", "port: 010\n", 1, "a whole number"),
    ("negative number", "rate_limit_rpm: -5\n", 1, "from 1"),
    ("zero seconds", "request_timeout: 0\n", 1, "from 0.001"),
    ("alias to nothing", "model_aliases:\n  smart: {targets: []}\n", 2, "at least 1"),
    ("not a number", "request_timeout: .nan\n", 1, "a number"),
    ("endless", "request_timeout: .inf\n", 1, "a number"),
    ("port out of range", "port: 70000\n", 1, "65535"),
    ("text for a flag", "debug: maybe\n", 1, "true or false"),
    ("number for a text", "app_name: 5\n", 1, "put it in quotes"),
    ("mapping for a list", "providers:\n  name: a\n", 2, "a list"),
    ("list for a mapping", "condensation:\n  - enabled\n", 2, "a mapping"),
    ("scalar as document", "just words\n", 1, "a mapping"),
    ("no name", "providers:\n  - base_url: http://10.0.0.1\n", 2, "required"),
    ("name with a slash", "providers:\n  - name: a/b\n", 2, "letters, digits"),
    ("duplicate provider", PROVIDER + "  - name: a\n", 4, "each provider once"),
    ("duplicate model", PROVIDER + "    models:\n      - m\n      - n\n      - m\n", 7, "each model once"),
    ("duplicate key", "port: 1\nhost: x\nport: 2\n", 3, "each key once"),
    ("key and alias", PROVIDER + "    type: openai\n    kind: openai\n", 5, "not both"),
    ("unknown kind", PROVIDER + "    type: opanai\n", 4, "one of anthropic"),
    ("no such scheme", "providers:\n  - name: a\n    base_url: ftp://x.example\n", 3, "http"),
    ("user in a URL", "providers:\n  - name: a\n    base_url: http://u:p@x.example\n", 3, "no user information"),
    ("decimal address", "providers:\n  - name: a\n    base_url: http://2130706433/\n", 3, "four decimal numbers"),
    ("no address at all", "providers:\n  - name: a\n    kind: azure\n", 2, "has no address of its own"),
    ("two ways of naming a key", PROVIDER + "    api_key_env: A\n    api_keys_env: [B]\n", 2, "one of api_key_env"),
    ("variable with a dash", PROVIDER + "    api_key_env: MY-KEY\n", 4, "environment variable"),
    ("key header that is taken", "api_key_header: Authorization\n", 1, "a meaning of its own"),
    ("header that we set", PROVIDER + "    headers: {Authorization: x}\n", 4, "sets this one itself"),
    ("price with ten decimals", PROVIDER + "    models: [{name: m, input_usd_per_mtok: 0.0000000001}]\n", 4, "nine"),
    (
        "price above all",
        PROVIDER + "    models: [{name: m, input_usd_per_mtok: 9000000}]\n",
        4,
        "nine decimals and at most 1000000.",
    ),
    ("factor above one", "condensation: {adaptive_factor: 1.5}\n", 1, "greater than 0 to 1"),
    ("unknown strategy", "default_strategy: fastest\n", 1, "one of balanced"),
    ("alias without targets", "model_aliases:\n  smart: {strategy: cost}\n", 2, "required"),
    ("origin with a path", "cors_origins: ['https://x.example/app']\n", 1, "without a path"),
    ("key too short", "api_keys:\n  - abc\n", 2, "8 to 256 printable characters without spaces."),
    ("half of one of our keys", "api_keys:\n  - llmp-0123456789abcdef-cut\n", 2, "the whole key"),
    ("budget of nothing", "teams:\n  red:\n    budgets:\n      - period: day\n", 4, "at least one"),
    ("no such range", "discovery: {allow_cidrs: [10.0.0.0/99]}\n", 1, "CIDR"),
    ("tab for indentation", "providers:\n\t- name: a\n", 2, "tabs"),
    ("unclosed bracket", "providers: [a, b\n", 2, "well-formed YAML"),
    ("two documents", "debug: true\n---\ndebug: false\n", 3, "exactly one"),
    ("object tag", "app_name: !!python/object/apply:os.system ['id']\n", 1, "without tags"),
    ("alias inside itself", "a: &a [*a]\n", 1, "less nesting"),
    ("alias bomb", BOMB, 1, "fewer values"),
    ("nested too deep", "a: " + "[" * 40 + "]" * 40 + "\n", 1, "less nesting"),
    ("empty file", "\n  \n", 1, "a mapping of keys"),
    ("control character", "app_name: a\x07b\n", 1, "control characters"),
    ("a team that looks like another", 'teams:\n  "pay\\u200broll": {}\n', 2, 'found the text "pay<U+200B>roll"'),
    ("a model written backwards", 'model_aliases:\n  "gpt\\u202e4": {targets: [m]}\n', 2, "<U+202E>"),
    ("binary", b"\x89PNG\r\n\x1a\n\x00\x00", 1, "UTF-8"),
    ("latin-1", "debug: true\napp_name: café\n".encode("latin-1"), 2, "UTF-8"),
    ("huge file", b"# " + b"x" * MAX_BYTES, 1, "at most"),
    ("JSON with a trailing comma", '{\n  "port": 1,\n}', 3, "double quotes"),
    ("JSON with a second value", '{"port": 1} {"port": 2}', 1, "one JSON object"),
    ("a comment in JSON", '{"debug": # no\n false}', 1, "JSON has no comments"),
    ("a word of another language in JSON", '{"debug": True,\n "port": 1}', 1, 'found "True,"; expected a JSON value'),
    ("JSON cut short", '{"providers": [', 1, "a JSON value"),
    ("JSON duplicate key", '{"port": 1,\n "port": 2}', 2, "each key once"),
    ("more open brackets than the C stack is deep", "teams: " + "[" * 100_000, 1, "more than 24 levels"),
    ("JSON with half of a pair", '{"port": 1,\n "\\ud800": "\\udfff"}', 2, "one of api_key_header"),
    ("JSON with single quotes", "{'port': 1}", 1, "double quotes"),
]


@pytest.mark.parametrize(("document", "line", "says"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_is_refused_with_its_line_and_a_remedy(document, line, says):
    data = document if isinstance(document, bytes) else document.encode()
    name = "config.json" if data.startswith(b"{") else "config.yaml"

    with pytest.raises(ConfigurationRefused) as refused:
        read(data, file=name)

    assert str(refused.value).startswith(f"{name}:{line}:"), str(refused.value)
    assert says in str(refused.value)
    assert str(refused.value).encode(), "it can be printed and stored"


def test_every_problem_is_named_at_once():
    with pytest.raises(ConfigurationRefused) as refused:
        read(b"port: 0\ndebug: 7\nproviders:\n  - name: ''\n    weight: 0\n", file="c.yaml")

    assert [problem.key for problem in refused.value.problems] == [
        "port", "debug", "providers[0].name", "providers[0].weight",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "document",
    [
        "api_keys: ['my secret with spaces']\nproviders: [{name: a, headers: {X-K: 5}}]",
        "providers: [{name: a, api_key_env: sk-my-secret}]",
        "providers: [{name: a, api_keys_env: [VARIABLE, sk-my-secret]}]",
        "providers: [{name: a, credentials: [{env: sk-my-secret}]}]",
        f"providers: [{{name: a, api_key_env: {'my-secret' * 30}}}]",
        "providers: [{name: a, api_key: sk-my-secret}]",
        "providers: [{name: a, base_url: 'https://user:my-secret@a.example/v1'}]",
        "api_keys: [{env: my-secret}]",
        "discovery: {registry: 'https://my-secret@r.example/list'}",
        "discovery: {consul: {url: 'http://10.0.0.1', token_env: my-secret}}",
        "discovery: {allow_env: [my-secret]}",
    ],
)
def test_a_secret_is_not_repeated_in_the_message(document):
    with pytest.raises(ConfigurationRefused) as refused:
        read(document.encode(), file="c.yaml")

    assert re.search("my.secret", str(refused.value)) is None


def test_unreadable_documents_take_no_time():
    with pytest.raises(ConfigurationRefused):
        read(BOMB.encode(), file="c.yaml")
