"""A client's own trace goes on here: the log line of its call, and with the extra the spans, have its id."""

import json
import time
from pathlib import Path

from tests.e2e.gateway_process import GatewayProcess, fresh_copy

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALL = {"model": "demo-small", "messages": [{"role": "user", "content": "hi"}]}


def logged(gateway: GatewayProcess, request_id: str) -> dict[str, object]:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for line in gateway.log.read_text().splitlines():
            if request_id in line and line.startswith("{"):
                return dict(json.loads(line))
        time.sleep(0.1)
    raise AssertionError(f"no line about {request_id}")


def test_a_log_line_names_the_trace_that_the_client_sent(
    migrated_data_dir: Path, tmp_path: Path, demo_url: str
) -> None:
    gateway = GatewayProcess(fresh_copy(migrated_data_dir, tmp_path / "data"))
    gateway.seed({"providers": [{"name": "only", "base_url": f"{demo_url}/v1", "models": ["demo-small"]}]}).start()
    try:
        for number, (sent, named) in enumerate(((f"00-{TRACE}-00f067aa0ba902b7-01", TRACE), ("garbage", None))):
            headers = {"traceparent": sent, "x-request-id": f"req_of_trace_{number}"}
            assert gateway.post("/v1/chat/completions", CALL, headers)[0] == 200
            assert logged(gateway, f"req_of_trace_{number}")["trace_id"] == named
    finally:
        gateway.end()
