"""Prompts and answers are stored for those who have it on, without secrets, and become a data set."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import ledger
from tests.e2e.gateway_process import GatewayProcess, fresh_copy
from tests.upstreams.counting import CountingUpstream
from tests.upstreams.servers import run_asgi

CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def server(migrated_data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    process = GatewayProcess(fresh_copy(migrated_data_dir, tmp_path_factory.mktemp("payloads") / "data"))
    with run_asgi(CountingUpstream()) as url:
        process.seed(
            {
                "providers": [
                    {
                        "name": "only",
                        "base_url": f"{url}/v1",
                        "models": [
                            "m",
                            {"model": "tight", "upstream_model": "window=5"},
                            {"model": "boastful", "upstream_model": f"usage={10**20}"},
                        ],
                    }
                ],
                "settings": {"payload_logging": {"enabled": True, "retention_days": 3}},
            }
        ).start()
        yield process
        process.end()


def rows(server: GatewayProcess, many: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 20
    while True:
        found = ledger.query(server, "SELECT * FROM routing_payloadrecord ORDER BY id")
        if len(found) >= many or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def test_what_was_said_is_stored_without_secrets_and_exported(server: GatewayProcess, tmp_path: Path) -> None:
    secret = "write to ana@example.com with sk-abcdefghijklmnopqrstuvwx"
    for stream in (False, True):
        body = {"model": "m", "messages": [{"role": "user", "content": secret}], "stream": stream}
        assert server.post(CHAT, body)[0] == 200
    refused = {"model": "tight", "messages": [{"role": "user", "content": "far too long " * 20}]}
    assert server.post(CHAT, refused)[0] == 400
    found = rows(server, 3)
    assert [row["status"] for row in found] == [200, 200, 400]
    clean = "write to [email] with [secret]"
    for row in found[:2]:
        assert json.loads(row["request"])["messages"][0]["content"] == clean
        (choice,) = json.loads(row["response"])["choices"]
        assert choice["message"]["content"].strip() == f"answer to {clean}"
        assert row["redactions"] == 4
        assert row["output_tokens"] == 7
        assert row["provider"] == "only"
    assert json.loads(found[2]["response"])["error"]["code"] == "context_length_exceeded"
    stored = server.data_dir / "set.jsonl"
    manifest = json.loads(server.manage("export_dataset", str(stored), "--dedupe", "--json"))
    assert manifest["counts"]["written"] == len(stored.read_text().splitlines()) > 0
    assert "ana@" not in stored.read_text()


def test_an_upstream_that_reports_more_tokens_than_a_column_holds_ends_nothing(server: GatewayProcess) -> None:
    before = len(rows(server, 0))
    models = ["boastful", "m"]
    for number, model in enumerate(models, start=1):
        assert server.post(CHAT, {"model": model, "messages": [{"role": "user", "content": "hi"}]})[0] == 200
        # Not in one batch: the second is sent when the first is stored.
        assert [row["model"] for row in rows(server, before + number)[before:]] == models[:number]
