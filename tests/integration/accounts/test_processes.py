"""Several workers as real processes on one database: what they promise together, and what `kill -9` leaves."""

import json
import os
import random
import secrets
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

ROOT = Path(__file__).resolve().parents[3]
ESTIMATE = 1_000
KILLS = int(os.environ.get("KILLS", "200"))
"""Of the long round, which may be run in pieces."""


@dataclass(frozen=True)
class Site:
    """One database and one data directory that workers share."""

    environment: dict[str, str]
    data_dir: Path

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "tests.integration.accounts.worker_program", *arguments]
        environment = {**os.environ, **self.environment}
        environment["DJANGO_SETTINGS_MODULE"] = "tests.integration.accounts.small_settings"
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)

    def run(self, *arguments: str) -> Any:
        return finish(self.start(*arguments))


def finish(process: "subprocess.Popen[str]") -> Any:
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return json.loads(output.splitlines()[-1])


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def site(request, tmp_path) -> Site:
    if request.param == "postgres":
        where = {"TEST_DATABASE_URL": request.getfixturevalue("postgres_url")}
    else:
        where = {"TEST_DATABASE_URL": "", "TEST_SQLITE_FILE": str(tmp_path / "ledger.sqlite3")}
    return Site(where, tmp_path)


@pytest.fixture
def redis_prefix(redis_url):
    prefix = f"test:{{{secrets.token_hex(4)}}}:"
    yield prefix
    with Redis.from_url(redis_url) as redis:
        for key in redis.scan_iter(f"{prefix}*"):
            redis.delete(key)


@pytest.mark.postgres
@pytest.mark.redis
def test_four_processes_never_exceed_one_budget_or_one_limit(postgres_url, redis_url, redis_prefix, tmp_path):
    site = Site({"TEST_DATABASE_URL": postgres_url}, tmp_path)
    token = site.run("key", "450", str(200 * ESTIMATE), "1000000")
    workers = [site.start("calls", str(tmp_path), redis_url, redis_prefix, token, "125") for _ in range(4)]
    outcomes = [finish(worker) for worker in workers]
    total = {name: sum(outcome[name] for outcome in outcomes) for name in outcomes[0]}

    assert total["limited"] == 50
    assert total["admitted"] + total["over_budget"] == 450
    # About 200 estimates fit at a time; slices leased to another worker hide at most a few, settling makes room for more.
    assert total["admitted"] >= 190
    state = site.run("state")
    assert state["spent"] == [total["spent"], 6 * total["admitted"]]
    assert total["spent"] <= 200 * ESTIMATE
    assert (state["reserved"], state["leases"]) == ([0, 0], 0)
    assert len(state["rows"]) == total["admitted"]
    assert state["daily"] == state["hourly"] == [total["admitted"], total["spent"]]
    assert list((tmp_path / "journal").iterdir()) == []


@pytest.mark.slow
def test_what_a_lost_machine_held_is_free_again_after_its_lease_has_expired(site, tmp_path):
    """Its journal is gone with it, so nobody can replay it: only the lease's expiry frees what it held."""
    (tmp_path / "lost").mkdir()
    (tmp_path / "other").mkdir()
    token = site.run("key", "-", str(20 * ESTIMATE), "1000000")
    lost = site.start("hold", str(tmp_path / "lost"), token)
    assert lost.stdout is not None
    assert lost.stdout.readline() == "held\n"
    alive = site.run("state")
    assert alive["reserved"][0] >= ESTIMATE
    lost.send_signal(signal.SIGKILL)
    lost.communicate()
    assert site.run("state") == alive, "a lease outlives its worker until it expires"

    swept = site.run("sweep", str(tmp_path / "other"), "0.5")

    assert (swept["reserved"], swept["spent"], swept["leases"]) == ([0, 0], [0, 0], 0)


def kill_and_replay(site: Site, times: int) -> None:
    token = site.run("key", "-", str(10**15), str(10**12))
    upstream = site.data_dir / "upstream"
    upstream.touch()
    for number in range(1, times + 1):
        worker = site.start("load", str(site.data_dir), token, str(upstream))
        deadline, size = time.monotonic() + 60, upstream.stat().st_size
        while upstream.stat().st_size == size:
            assert worker.poll() is None, "the worker ended by itself"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(random.random() * 1.2)
        worker.send_signal(signal.SIGKILL)
        worker.communicate()
        state = site.run("replay", str(site.data_dir))
        check(state, upstream.read_text().split(), kills=number)


def check(state: dict[str, Any], sent: list[str], *, kills: int) -> None:
    booked = [call_id for call_id, _, _ in state["rows"]]
    assert len(set(booked)) == len(booked), "booked twice"
    assert set(sent) <= set(booked), "lost"
    # Killed between the journal's line and the first byte sent. Nothing else runs between the two: at most one a kill.
    unsent = set(booked) - set(sent)
    assert all(source == "estimated" for call_id, _, source in state["rows"] if call_id in unsent)
    assert len(unsent) <= kills
    cost = sum(cost for _, cost, _ in state["rows"])
    assert state["spent"][0] == cost
    assert (state["reserved"], state["leases"]) == ([0, 0], 0)
    assert state["daily"] == state["hourly"] == [len(booked), cost]


def test_a_killed_worker_loses_and_doubles_nothing(site):
    kill_and_replay(site, times=1)


@pytest.mark.slow
def test_two_hundred_kills_on_each_database_lose_and_double_nothing(site):
    kill_and_replay(site, times=KILLS)
