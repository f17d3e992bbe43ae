"""A setting of the environment that cannot be meant is refused by name, with what it must be; never guessed, and never a
stack trace."""

import base64
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from io import StringIO
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command

from proxy_site import environment

ROOT = Path(__file__).resolve().parents[3]
READ = [
    (
        environment.whole_number,
        {"default": 7, "least": 1, "most": 9},
        [("", 7), (" 9 ", 9), ("1", 1)],
        ["0", "10", "x", "1.5", "-1", "²"],
    ),
    (
        environment.seconds,
        {"default": 5.0},
        [("", 5.0), ("0.5", 0.5), ("30", 30.0)],
        ["0", "-1", "nan", "inf", "1e9", "ten"],
    ),
    (
        environment.switch,
        {},
        [("", False), ("yes", True), ("TRUE", True), ("0", False), ("Off", False)],
        ["ture", "2", "none"],
    ),
    (environment.one_of, {"choices": {"a", "b"}, "default": "a"}, [("", "a"), ("b", "b")], ["c", "A"]),
    (
        environment.one_of,
        {"choices": {"INFO", "WARN"}, "default": "INFO", "upper": True},
        [("", "INFO"), ("warn", "WARN"), (" Warn ", "WARN")],
        ["foo", "INFOS"],
    ),
    (
        environment.host_names,
        {},
        [
            ("", []),
            ("*", ["*"]),
            ("a.example.com, .example.org,", ["a.example.com", ".example.org"]),
            ("localhost,10.0.0.1,[::1]", ["localhost", "10.0.0.1", "[::1]"]),
        ],
        [
            "https://a.example.com",
            "a.example.com:8443",
            "a.example.com/admin",
            "*.example.com",
            "a b",
            "ok.example,::1",
        ],
    ),
    (
        environment.origins,
        {},
        [
            ("", []),
            (
                " https://Gateway.example.com , http://10.0.0.1:8080,",
                ["https://gateway.example.com", "http://10.0.0.1:8080"],
            ),
            ("https://*.example.com", ["https://*.example.com"]),
            ("http://[::1]:80", ["http://[::1]:80"]),
        ],
        ["foo", "gateway.example.com", "https://gateway.example.com/", "https://", "null", "https://a b"],
    ),
]


@pytest.mark.parametrize(("read", "options", "good", "bad"), READ, ids=lambda value: getattr(value, "__name__", ""))
def test_a_value_is_read_or_refused_by_its_name(monkeypatch, read, options, good, bad):
    monkeypatch.delenv("A_SETTING", raising=False)
    assert read("A_SETTING", **options) == good[0][1]
    for text, value in good:
        monkeypatch.setenv("A_SETTING", text)
        assert read("A_SETTING", **options) == value
    for text in bad:
        monkeypatch.setenv("A_SETTING", text)
        with pytest.raises(ImproperlyConfigured, match=re.escape(f"A_SETTING is '{text}'")):
            read("A_SETTING", **options)


def test_a_proxy_is_read_from_either_spelling_or_a_file(monkeypatch, tmp_path):
    for name in ("HTTPS_PROXY", "https_proxy", "HTTPS_PROXY_FILE", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert environment.proxy_address("HTTPS_PROXY") is None
    (tmp_path / "proxy").write_text("http://u:hunter2@file.example:3128\n")
    monkeypatch.setenv("HTTPS_PROXY_FILE", str(tmp_path / "proxy"))
    assert environment.proxy_address("HTTPS_PROXY") == "http://u:hunter2@file.example:3128"
    monkeypatch.delenv("HTTPS_PROXY_FILE")
    monkeypatch.setenv("HTTPS_PROXY", " http://upper.example:3128 ")
    monkeypatch.setenv("https_proxy", "")
    assert environment.proxy_address("HTTPS_PROXY") == "http://upper.example:3128"
    monkeypatch.setenv("https_proxy", "http://lower.example:3128")
    assert environment.proxy_address("HTTPS_PROXY") == "http://lower.example:3128"
    monkeypatch.setenv("NO_PROXY", "upper.example")
    assert environment.direct_hosts("NO_PROXY").names == (("upper.example", None),)
    monkeypatch.setenv("no_proxy", "lower.example")
    assert environment.direct_hosts("NO_PROXY").names == (("lower.example", None),)


SECRETS = {"PROXY_API_SECRET_KEY": "s" * 40, "PROXY_API_ENCRYPTION_KEYS": Fernet.generate_key().decode()}


def manage(tmp_path: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PROXY_API", "DATABASE", "REDIS"))
    }
    env = {**kept, "PROXY_API_DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "proxy_site.settings", **more}
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    ("arguments", "more", "said"),
    [
        ([], {"PROXY_API_PORT": "70000"}, "PROXY_API_PORT is '70000'; it must be a whole number from 1 to 65535."),
        ([], {"PROXY_API_SECURE_COOKIES": "ture"}, "PROXY_API_SECURE_COOKIES is 'ture'; it must be true or false."),
        (
            [],
            {"PROXY_API_TRUSTED_ORIGINS": "foo"},
            "PROXY_API_TRUSTED_ORIGINS is 'foo'; it must be origins with their scheme",
        ),
        ([], {"DATABASE_URL": "postgres://x/y"}, "PROXY_API_SECRET_KEY is not set."),
        (
            [],
            {"DATABASE_URL": "postgres://x/y", "PROXY_API_SECRET_KEY": "s" * 40},
            "PROXY_API_ENCRYPTION_KEYS (or PROXY_API_ENCRYPTION_KEYS_FILE) to 32 random bytes in base64, as `openssl",
        ),
        (
            [],
            {"PROXY_API_ENCRYPTION_KEYS": "hunter2" * 7},
            "PROXY_API_ENCRYPTION_KEYS is no encryption key; it must be 32 random bytes in base64, as `openssl rand",
        ),
        (
            [],
            {"PROXY_API_ENCRYPTION_KEYS": f"{SECRETS['PROXY_API_ENCRYPTION_KEYS']}, {'hunter2' * 7}"},
            "key 2 of PROXY_API_ENCRYPTION_KEYS is no encryption key",
        ),
        ([], {"PROXY_API_ENCRYPTION_KEYS": ","}, "PROXY_API_ENCRYPTION_KEYS holds no key"),
        ([], {"DATABASE_URL": "localhost", **SECRETS}, "DATABASE_URL must be a postgres:// address"),
        ([], {"DATABASE_URL": "postgres://u:se/cret@h/y", **SECRETS}, "DATABASE_URL has no port that could be one"),
        ([], {"REDIS_URL": "localhost:6379"}, "REDIS_URL must begin with redis://, rediss:// or unix://."),
        ([], {"PROXY_API_DATA_DIR": "/proc/nowhere"}, "PROXY_API_DATA_DIR is /proc/nowhere, which cannot be made"),
        (
            [],
            {"HTTPS_PROXY": "u:hunter2@proxy:3128"},
            "HTTPS_PROXY is no proxy that can be used: it does not begin with",
        ),
        (
            [],
            {"http_proxy": "socks5://u:hunter2@proxy"},
            "http_proxy is no proxy that can be used: it begins with socks5",
        ),
        ([], {"LOG_LEVEL": "foo"}, "LOG_LEVEL is 'foo'; it must be one of CRITICAL, DEBUG, ERROR, FATAL, INFO, WARN"),
        (
            [],
            {"PROXY_API_ALLOWED_HOSTS": "https://gateway.example.com"},
            "PROXY_API_ALLOWED_HOSTS is 'https://gateway.example.com'; it must be names of hosts without scheme",
        ),
        (
            [],
            {"PROXY_API_AZURE_BASE_URL": "mine"},
            "PROXY_API_AZURE_BASE_URL is no address that a provider can have: a",
        ),
        ([], {"PROXY_API_AZURE_BASE_URL": "https://u:hunter2@a.example"}, "PROXY_API_AZURE_BASE_URL is no address"),
        ([], {"PROXY_API_TRUSTED_ORIGINS": "gateway.example.com"}, "it must be origins with their scheme and no path"),
        (["--port", "70000"], {}, "'70000' is not a port, a number from 1 to 65535"),
        (["--host", "nowhere.invalid"], {}, "Cannot listen on nowhere.invalid:8000"),
    ],
)
def test_a_start_that_cannot_be_meant_is_one_sentence(tmp_path, arguments, more, said):
    done = manage(tmp_path, "serve", *arguments, **more)
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr + done.stdout


@pytest.mark.parametrize("standard", [True, False])
def test_an_encryption_key_may_be_written_in_either_alphabet_of_base64(monkeypatch, tmp_path, standard):
    """`openssl rand -base64 32` writes `+` and `/`, Fernet's own keys have `-` and `_`."""
    encode = base64.b64encode if standard else base64.urlsafe_b64encode
    key = encode(bytes(range(224, 256))).decode()
    monkeypatch.setenv("PROXY_API_ENCRYPTION_KEYS", f"{key},")
    (read,) = environment.encryption_keys("PROXY_API_ENCRYPTION_KEYS", data_dir=tmp_path, embedded=False)
    sealed = Fernet(read).encrypt(b"secret")
    assert Fernet(base64.urlsafe_b64encode(bytes(range(224, 256)))).decrypt(sealed) == b"secret"


EMPTY = """
from django.conf import settings
print(settings.HOST, settings.PORT, settings.ALLOWED_HOSTS, settings.LOG_FORMAT, sorted(settings.SET_IN_ENVIRONMENT))
"""


def test_a_variable_that_is_set_to_nothing_is_not_set(tmp_path):
    """Compose files pass variables on that nobody has given a value. An empty host would listen on every address."""
    names = ("PROXY_API_HOST", "PROXY_API_PORT", "PROXY_API_ALLOWED_HOSTS", "LOG_FORMAT", "LOG_LEVEL")
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "proxy_site.settings", "PROXY_API_DATA_DIR": str(tmp_path)}
    env.update(dict.fromkeys(names, ""))
    done = subprocess.run([sys.executable, "-c", EMPTY], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "127.0.0.1 8000 ['*'] json []"


def test_a_command_before_there_are_tables_says_what_to_run(tmp_path):
    done = manage(tmp_path, "usage_report")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "run `manage.py migrate`, or `manage.py serve` once" in done.stderr
    assert "Traceback" in manage(tmp_path, "usage_report", "--traceback").stderr


def test_a_database_that_is_away_is_one_sentence_with_the_cause(tmp_path):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"postgresql://someone:hunter2-hunter2@127.0.0.1:{nobody.getsockname()[1]}/db"
        done = manage(tmp_path, "usage_report", DATABASE_URL=url, **SECRETS)
        checked = manage(tmp_path, "validate_env", DATABASE_URL=url, **SECRETS)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "The database cannot be used: connection failed:" in done.stderr
    assert "Connection refused" in done.stderr
    assert "the database does not answer (connection failed:" in checked.stdout
    assert "hunter2" not in done.stdout + done.stderr + checked.stdout + checked.stderr


CONNECT = """
from proxy_site.lean_start import set_up
set_up()
from django.db import connection
connection.ensure_connection()
"""


def test_what_a_start_makes_is_for_its_user_alone_and_what_was_there_stays_as_it_is(tmp_path):
    def modes(directory: Path) -> tuple[list[int], set[int]]:
        line = f"umask 022; exec {sys.executable} -c '{CONNECT}'"
        env = {**os.environ, "PROXY_API_DATA_DIR": str(directory), "DJANGO_SETTINGS_MODULE": "proxy_site.settings"}
        subprocess.run(["bash", "-c", line], cwd=ROOT, env=env, capture_output=True, check=True)
        with closing(sqlite3.connect(directory / "llm_proxy.sqlite3")) as database:
            database.executescript("PRAGMA journal_mode=WAL; PRAGMA user_version=1;")
            files = [path.stat().st_mode & 0o777 for path in sorted(directory.glob("llm_proxy.sqlite3*"))]
        return files, {directory.stat().st_mode & 0o777}

    assert modes(tmp_path / "made" / "here") == ([0o600] * 3, {0o700})
    (given := tmp_path / "given").mkdir(mode=0o750)
    (given / "llm_proxy.sqlite3").touch(mode=0o640)
    assert modes(given) == ([0o640] * 3, {0o750})


def test_a_reader_that_has_enough_ends_a_command_in_silence(tmp_path):
    env = {**os.environ, "PROXY_API_DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "proxy_site.settings"}
    (tmp_path / "litellm.yaml").write_text("model_list: [{model_name: a, litellm_params: {model: openai/a}}]")
    line = f"set -o pipefail; {sys.executable} manage.py import_litellm {tmp_path}/litellm.yaml | true"
    done = subprocess.run(["bash", "-c", line], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("PROXY_API_DATABASE_URL", "DATABASE_URL"),
        ("PROXY_API_REDIS_URL_FILE", "REDIS_URL_FILE"),
        ("PROXY_API_LOG_LEVEL", "LOG_LEVEL"),
        ("PROXY_API_DRAIN_TIMOUT", "PROXY_API_DRAIN_TIMEOUT"),
        ("PROXY_API_ENCRYPTION_KEY", "PROXY_API_ENCRYPTION_KEYS"),
        ("PROXY_API_SECRET_KEY_FILE", None),
        ("PROXY_API_OPENAI_API_KEY_2", None),
        ("PROXY_API_OF_MY_OWN", None),
        ("DRAIN_TIMOUT", None),
    ],
)
def test_a_variable_that_nothing_reads_is_told_with_the_one_that_was_meant(
    monkeypatch: pytest.MonkeyPatch, name: str, meant: str | None
) -> None:
    monkeypatch.setenv(name, "x")
    assert environment.mistaken().get(name) == meant


def test_a_key_that_a_credential_names_is_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXY_API_GROQ_API_KEY", "x")
    assert environment.mistaken()["PROXY_API_GROQ_API_KEY"] == "PROXY_API_GROK_API_KEY"
    assert "PROXY_API_GROQ_API_KEY" not in environment.mistaken({"PROXY_API_GROQ_API_KEY"})


@pytest.mark.django_db
def test_validate_env_warns_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXY_API_DATABASE_URL", "postgres://nowhere/")
    out = StringIO()
    call_command("validate_env", "--json", stdout=out)
    told = {finding["key"]: finding["remedy"] for finding in json.loads(out.getvalue())["findings"]}
    assert told["PROXY_API_DATABASE_URL"] == "Set DATABASE_URL if that was meant, or leave it out"
