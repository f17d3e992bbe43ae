"""The file of PROXY_API_CONFIG while the gateway runs: a change takes effect on every worker within two seconds, a broken
file changes nothing, and no request fails or sees half a change."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.gateway_process import GatewayProcess, fresh_copy, shared_redis
from tests.e2e.neighbours import Neighbours

CHAT = "/v1/chat/completions"
KEY = "a-key-of-the-file"


def document(url: str, **keys: Any) -> str:
    provider = {"name": "first", "base_url": f"{url}/v1", "models": ["demo-small"], "api_key_env": "UPSTREAM_KEY"}
    return json.dumps({"api_keys": [KEY], "providers": [provider], **keys})


def replace(path: Path, text: str) -> None:
    """As deployments do it: the new file takes the old one's place at once."""
    draft = path.with_suffix(".draft")
    draft.write_text(text)
    draft.rename(path)


def within(seconds: float, condition: Callable[[], bool]) -> float:
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        if condition():
            return time.monotonic() - started
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s")


@pytest.fixture
def configured(migrated_data_dir: Path, tmp_path: Path, demo_url: str) -> Iterator[tuple[GatewayProcess, Path]]:
    path = tmp_path / "config.json"
    path.write_text(document(demo_url))
    process = GatewayProcess(
        fresh_copy(migrated_data_dir, tmp_path / "data"), env={"PROXY_API_CONFIG": str(path), "UPSTREAM_KEY": "sk-up"}
    )
    process.key = KEY
    process.start()
    yield process, path
    process.end()


def models(gateway: GatewayProcess) -> set[str]:
    status, _, body = gateway.get("/v1/models")
    return {model["id"] for model in json.loads(body)["data"]} if status == 200 else set()


def test_the_file_is_in_force_from_the_first_request_on(configured: tuple[GatewayProcess, Path]) -> None:
    gateway, _ = configured
    body = {"model": "demo-small", "messages": [{"role": "user", "content": "hi"}]}
    status, headers, _ = gateway.post(CHAT, body)

    assert (status, headers["x-llm-proxy-provider"]) == (200, "first")


def test_a_change_takes_effect_and_a_broken_file_does_not(
    configured: tuple[GatewayProcess, Path], demo_url: str
) -> None:
    gateway, path = configured
    replace(path, document(demo_url, model_aliases={"added": {"targets": ["demo-small"]}}))
    assert within(4, lambda: "added" in models(gateway)) < 2.5

    replace(path, '{"providers": [{"name": "first", "base_url": "nonsense"}]}')
    within(4, lambda: "refused" in gateway.log.read_text())
    assert "config.json:1:" in gateway.log.read_text()
    assert {"added", "demo-small"} <= models(gateway)

    replace(path, document(demo_url, model_aliases={"other": {"targets": ["demo-small"]}}))
    within(4, lambda: "other" in models(gateway))
    assert "added" not in models(gateway)


def test_a_key_that_left_the_file_opens_nothing(configured: tuple[GatewayProcess, Path], demo_url: str) -> None:
    gateway, path = configured
    assert gateway.get("/v1/models")[0] == 200
    replace(path, document(demo_url, api_keys=["another-key-of-the-file"]))

    within(4, lambda: gateway.get("/v1/models")[0] == 401)
    assert gateway.get("/v1/models", {"authorization": "Bearer another-key-of-the-file"})[0] == 200


class Load:
    """Steady requests from several threads, noting each answer; the pause leaves the machine room to show delays of ours."""

    def __init__(self, gateway: GatewayProcess, threads: int = 4) -> None:
        self._gateway = gateway
        self._stop = threading.Event()
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]

    def _run(self) -> None:
        body = {"model": "moving", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5}
        while not self._stop.is_set():
            self.answers.append(self._gateway.post(CHAT, body))
            time.sleep(0.03)

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


@pytest.mark.slow
@pytest.mark.redis
def test_a_hundred_changes_under_load_on_three_workers(migrated_data_dir: Path, tmp_path: Path, demo_url: str) -> None:
    """Each change moves the alias between providers that are named after it: an answer whose provider does not belong to
    its revision would show a request that saw half a change."""
    path = tmp_path / "config.json"

    def version(number: int) -> str:
        model = {"name": f"model-{number}", "upstream": "demo-small"}
        provider = {
            "name": f"v{number}",
            "base_url": f"{demo_url}/v1",
            "models": [model],
            "api_key_env": "UPSTREAM_KEY",
        }
        alias = {"moving": {"targets": [f"model-{number}"]}}
        return json.dumps({"api_keys": [KEY], "providers": [provider], "model_aliases": alias})

    path.write_text(version(0))
    env = {"PROXY_API_CONFIG": str(path), "UPSTREAM_KEY": "sk-up", **shared_redis()}
    gateway = GatewayProcess(fresh_copy(migrated_data_dir, tmp_path / "data"), env=env)
    gateway.key = KEY
    gateway.start("--workers", "3")
    try:
        within(20, lambda: gateway.get("/v1/models")[0] == 200)
        delays = []
        neighbours = Neighbours()
        with Load(gateway) as load:
            for number in range(1, 101):
                replace(path, version(number))
                delays.append(_everywhere(load, f"v{number}"))
        failed = [answer for answer in load.answers if answer[0] != 200]
        provider_of: dict[str, set[str]] = {}
        for _, headers, _ in load.answers:
            provider_of.setdefault(headers["x-llm-proxy-revision"], set()).add(headers["x-llm-proxy-provider"])
        assert failed == []
        assert all(len(providers) == 1 for providers in provider_of.values())
        print(f"{len(load.answers)} requests, slowest change {max(delays):.2f} s, revisions {len(provider_of)}")
        assert max(delays) <= 2.0 or neighbours.excuse(f"{max(delays):.1f} s"), max(delays)
    finally:
        gateway.stop()


def _everywhere(load: Load, provider: str) -> float:
    """Seconds until the last answer of an older version: twenty in a row are taken for all three workers."""
    started = time.monotonic()
    changed_at = started
    while time.monotonic() - started < 10:
        newest = [headers.get("x-llm-proxy-provider") for _, headers, _ in load.answers[-40:]]
        if len(newest) == 40 and all(name == provider for name in newest):
            return changed_at - started
        if any(name != provider for name in newest[-5:]):
            changed_at = time.monotonic()
        time.sleep(0.01)
    raise AssertionError(f"{provider} is not in force everywhere after 10 s")
