"""A server on a Unix that is not Linux. Here it is Linux without what only that has, since no other system is at hand: names
that Python has there alone, and `/proc`."""

import json
import os
from pathlib import Path

from tests.e2e.gateway_process import GatewayProcess, fresh_copy

# Loaded by Python before anything else.
WITHOUT_LINUX = """
import mmap, os, pathlib, select, signal, socket

for module, names in {
    mmap: ("MAP_POPULATE", "MAP_STACK"),
    os: (
        "copy_file_range", "eventfd", "fdatasync", "getrandom", "memfd_create", "pidfd_open", "pipe2", "posix_fadvise",
        "posix_fallocate", "sched_getaffinity", "sched_setaffinity", "splice",
    ),
    select: ("epoll",),
    signal: ("sigtimedwait", "sigwaitinfo", "SIGPWR", "SIGRTMIN", "SIGRTMAX"),
    socket: ("SOCK_CLOEXEC", "SOCK_NONBLOCK", "SO_PEERCRED", "TCP_CORK", "TCP_DEFER_ACCEPT", "TCP_USER_TIMEOUT"),
}.items():
    for name in names:
        if hasattr(module, name):
            delattr(module, name)

read_text = pathlib.Path.read_text

def without_proc(path, *options, **named):
    if str(path).startswith("/proc/"):
        raise FileNotFoundError(2, "No such file or directory", str(path))
    return read_text(path, *options, **named)

pathlib.Path.read_text = without_proc
"""


def test_a_server_starts_and_accounts_for_calls_where_nothing_is_linux(
    tmp_path: Path, migrated_data_dir: Path, demo_url: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_LINUX)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    server = GatewayProcess(fresh_copy(migrated_data_dir, tmp_path / "data"), env={"PYTHONPATH": path})
    server.seed({"providers": [{"name": "first", "base_url": f"{demo_url}/v1", "models": ["demo-small"]}]})
    server.start()
    try:
        chat = {"model": "demo-small", "messages": [{"role": "user", "content": "hi"}]}
        status, _, body = server.post("/v1/chat/completions", chat)
        assert (status, json.loads(body)["choices"][0]["finish_reason"]) == (200, "stop")
        assert b"llm_proxy_requests_total" in server.get("/metrics")[2]
    finally:
        server.stop()
    counted = "from accounts.models import UsageRecord; print(UsageRecord.objects.filter(status=200).count())"
    assert server.shell(counted).strip() == "1"
    assert "Traceback" not in server.log.read_text()
