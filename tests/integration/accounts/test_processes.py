"""Several workers as real processes on one PostgreSQL: what they promise together, and what `kill -9` leaves."""

import contextlib
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from accounts import keys
from tests.integration.accounts.worker_program import ESTIMATE, PEPPER

ROOT = Path(__file__).resolve().parents[3]


def environment(database_url: str) -> dict[str, str]:
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.integration.accounts.small_settings",
        "TEST_DATABASE_URL": database_url,
    }


def start(database_url: str, *arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.integration.accounts.worker_program", *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=environment(database_url), stdout=subprocess.PIPE, text=True)


def finish(process: "subprocess.Popen[str]") -> dict[str, int]:
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return json.loads(output.splitlines()[-1])


@pytest.fixture
def database(postgres_url) -> Iterator["psycopg.Connection[tuple]"]:
    command = [sys.executable, "-m", "django", "migrate", "--skip-checks", "--verbosity", "0"]
    subprocess.run(command, cwd=ROOT, env=environment(postgres_url), check=True)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


def add_key(database, *, requests: int | None = None, amount: int | None = None, tokens: int | None = None) -> str:
    key = keys.new_key(PEPPER.encode())
    lists = {name: "[]" for name in ("scopes", "allowed_models", "allowed_networks", "tags")}
    row = {
        "public_id": key.public_id, "digest": key.digest, "hint": key.hint, "name": "k", "enabled": True,
        "previous_digest": "", "managed_by": "", **lists,
    }  # fmt: skip
    key_id = insert(database, "accounts_apikey", row)
    owner = {"scope": "key", "key_id": key_id, "managed_by": ""}
    if requests is not None:
        insert(database, "accounts_limit", {
            **owner, "requests": requests, "requests_window_s": 3600, "tokens_window_s": 60, "strict": True,
        })  # fmt: skip
    if amount is not None:
        insert(database, "accounts_budget", {
            **owner, "name": "b", "amount_nano_usd": amount, "tokens": tokens, "period": "month",
            "on_unknown_price": "refuse", "enabled": True,
        })  # fmt: skip
    return key.token


def insert(database, table: str, values: dict) -> int:
    values = {**values, "created_at": "now", "updated_at": "now"}
    columns, marks = ", ".join(values), ", ".join(["%s"] * len(values))
    return database.execute(
        f"INSERT INTO {table} ({columns}) VALUES ({marks}) RETURNING id", list(values.values())
    ).fetchone()[0]


def one(database, statement: str) -> tuple:
    return database.execute(statement).fetchone()


@pytest.mark.postgres
@pytest.mark.redis
def test_four_processes_never_exceed_one_budget_or_one_limit(database, postgres_url, redis_url, tmp_path):
    token = add_key(database, requests=450, amount=200 * ESTIMATE, tokens=1_000_000)
    prefix = f"test:{{{secrets.token_hex(4)}}}:"
    workers = [start(postgres_url, "calls", str(tmp_path), redis_url, prefix, token, "125") for _ in range(4)]
    outcomes = [finish(worker) for worker in workers]
    total = {name: sum(outcome[name] for outcome in outcomes) for name in outcomes[0]}

    assert total["limited"] == 50
    assert total["admitted"] + total["over_budget"] == 450
    # All are reserved at their estimate at the same time, so about 200 fit; slices of others hide at most a few.
    assert 190 <= total["admitted"] <= 450
    spent, reserved, tokens, reserved_tokens = one(
        database, "SELECT spent_nano_usd, reserved_nano_usd, spent_tokens, reserved_tokens FROM accounts_budgetperiod"
    )
    assert spent == total["spent"] <= 200 * ESTIMATE
    assert (reserved, reserved_tokens) == (0, 0)
    assert one(database, "SELECT count(*), sum(cost_nano_usd) FROM accounts_usagerecord") == (total["admitted"], spent)
    assert one(database, "SELECT sum(requests), sum(cost_nano_usd) FROM accounts_usagedaily") == (
        total["admitted"], spent,
    )  # fmt: skip
    assert tokens == 6 * total["admitted"]
    assert one(database, "SELECT count(*) FROM accounts_budgetlease") == (0,)
    assert list((tmp_path / "journal").iterdir()) == []


def kill_and_replay(database, postgres_url: str, tmp_path: Path, token: str, times: int) -> None:
    upstream = tmp_path / "upstream"
    for _ in range(times):
        worker = start(postgres_url, "load", str(tmp_path), token, str(upstream))
        deadline = time.monotonic() + 60
        size = upstream.stat().st_size if upstream.exists() else 0
        while time.monotonic() < deadline and (not upstream.exists() or upstream.stat().st_size == size):
            time.sleep(0.02)
        time.sleep(random.random() * 1.2)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        with contextlib.suppress(OSError):
            worker.stdout.close()
        finish(start(postgres_url, "replay", str(tmp_path)))
        sent = upstream.read_text().split()
        check(database, sent, in_flight=8)


def check(database, sent: list[str], *, in_flight: int) -> None:
    rows = database.execute("SELECT call_id, cost_nano_usd, usage_source FROM accounts_usagerecord").fetchall()
    booked = [call_id for call_id, _, _ in rows]
    assert len(set(booked)) == len(booked), "booked twice"
    assert set(sent) <= set(booked), "lost"
    extra = set(booked) - set(sent)
    # Killed between the journal line and the first byte sent: booked as estimated, one at most per kill and caller.
    assert all(source == "estimated" for call_id, _, source in rows if call_id in extra)
    assert len(extra) <= in_flight
    spent, reserved = one(database, "SELECT spent_nano_usd, reserved_nano_usd FROM accounts_budgetperiod")
    assert spent == sum(cost for _, cost, _ in rows)
    assert reserved == 0
    assert one(database, "SELECT sum(requests) FROM accounts_usagehourly") == (len(rows),)


@pytest.mark.postgres
def test_a_killed_worker_loses_and_doubles_nothing(database, postgres_url, tmp_path):
    token = add_key(database, amount=10**15)

    kill_and_replay(database, postgres_url, tmp_path, token, times=2)


@pytest.mark.postgres
@pytest.mark.slow
def test_two_hundred_kills_lose_and_double_nothing(database, postgres_url, tmp_path):
    token = add_key(database, amount=10**15)

    kill_and_replay(database, postgres_url, tmp_path, token, times=200)
