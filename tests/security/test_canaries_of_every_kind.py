"""Every adapter meets an indiscreet provider: none passes on the credential it was sent, in any of its dialects."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from providers.adapters import REGISTRY
from tests.e2e.gateway_process import GatewayProcess, fresh_copy
from tests.security.canaries import OF_ANSWERS, PROMPT, Watch, middle, middles

BEHAVIOURS = (
    "good", "status-400", "status-401", "status-429", "status-500", "html-200", "redirect", "not-json", "event", "broken",
    "header", "cut",
)  # fmt: skip
SECRETS = {kind: f"CANARY{kind.replace('_', '')}KEYh1j2k3l4z5x6c7v8b9" for kind in sorted(REGISTRY)}
MESSAGES = [{"role": "user", "content": PROMPT}]


def name_of(kind: str) -> str:
    return kind.replace("_", "-")


@pytest.fixture(scope="module")
def every_kind(
    migrated_data_dir: Path, tmp_path_factory: pytest.TempPathFactory, indiscreet: str
) -> Iterator[GatewayProcess]:
    data = fresh_copy(migrated_data_dir, tmp_path_factory.mktemp("kinds") / "data")
    gateway = GatewayProcess(data, env={"LOG_LEVEL": "DEBUG"})
    gateway.seed(
        {
            "providers": [
                {
                    "name": name_of(kind),
                    "kind": kind,
                    "base_url": f"{indiscreet}/v1",
                    "secret": secret,
                    "models": [{"model": f"{name_of(kind)}-{each}", "upstream_model": each} for each in BEHAVIOURS],
                }
                for kind, secret in SECRETS.items()
            ]
        }
    )
    gateway.start()
    yield gateway
    gateway.end()


@pytest.fixture
def watch(every_kind: GatewayProcess) -> Watch:
    own = {f"secret of {kind}": re.compile(re.escape(middle(text)).encode()) for kind, text in SECRETS.items()}
    return Watch({**middles(every_kind.key), **own})


@pytest.mark.parametrize("kind", SECRETS)
def test_an_adapter_passes_no_secret_on(every_kind: GatewayProcess, watch: Watch, kind: str) -> None:
    headers = {"Authorization": f"Bearer {every_kind.key}"}
    statuses, last = set(), ""
    with httpx.Client(base_url=every_kind.url, headers=headers, timeout=30) as client:
        for behaviour in BEHAVIOURS:
            for stream in (False, True):
                body = {"model": f"{name_of(kind)}-{behaviour}", "messages": MESSAGES, "stream": stream}
                answer = client.post("/v1/chat/completions", json=body)
                statuses.add(answer.status_code)
                last = answer.headers["x-request-id"]
                head = json.dumps(list(answer.headers.multi_items())).encode()
                watch.look(f"{behaviour} of {kind}", head + answer.content, ignoring=OF_ANSWERS)
            # A rejected credential rests; the next behaviour is to meet it again.
            client.post(f"/circuit-breakers/reset?provider={name_of(kind)}")
        for path in ("/metrics", f"/status/{name_of(kind)}", f"/requests/{last}", "/providers"):
            watch.look(path, client.get(path).content)
        watch.look("/check", client.post(f"/check?provider={name_of(kind)}").content)
    assert statuses & {400, 401, 429, 502, 503}, "the behaviours were not reached"
    assert watch.seen == {}


def test_nothing_is_left_in_files(every_kind: GatewayProcess, watch: Watch) -> None:
    every_kind.stop()
    files = watch.look_at_files(every_kind.data_dir)
    assert any(path.suffix == ".sqlite3" for path in files) or "DATABASE_URL" in every_kind.env
    assert every_kind.log.read_text().count("\n") > 100
    assert watch.seen == {}
