"""A worker that starts so slowly that its supervisor has stopped waiting serves all the same, instead of being replaced
by another that is as slow."""

import os
import socket
import subprocess
import sys

import pytest

from tests.e2e.gateway_process import START_TIMEOUT_S, GatewayProcess

pytestmark = pytest.mark.slow


def test_a_worker_nobody_waits_for_any_more_serves(gateway: GatewayProcess) -> None:
    gateway.seed({"providers": [{"name": "nowhere", "base_url": "http://127.0.0.1:9/v1"}]})
    read_end, write_end = os.pipe()
    with socket.create_server(("127.0.0.1", gateway.port)) as listener:
        command = [sys.executable, "-m", "proxy_site.worker_process", str(listener.fileno()), str(write_end)]
        worker = subprocess.Popen(command, cwd=gateway.code, env=gateway.env, pass_fds=(listener.fileno(), write_end))
        os.close(write_end)
        os.close(read_end)
        try:
            with socket.create_connection(("127.0.0.1", gateway.port), timeout=START_TIMEOUT_S) as client:
                client.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                assert client.makefile("rb").readline() == b"HTTP/1.1 200 OK\r\n"
            assert worker.poll() is None
        finally:
            worker.terminate()
            assert worker.wait(timeout=30) == 0
