"""The demo upstream as a server: pace, latency, leaving clients, and `manage.py demo_upstream` itself."""

import json
import os
import re
import select
import signal
import subprocess
import sys
import time

import httpx
import pytest

from providers.demo import create_app
from tests.upstreams.servers import run_asgi

HEADERS = {"authorization": "Bearer any"}
PATIENCE_S = 60
"""A start takes more than a second of processor time; a busy machine is slow, not wrong."""
CHAT = {"model": "demo-small", "messages": [{"role": "user", "content": "hi"}]}


def test_waits_and_paces_as_told():
    with run_asgi(create_app(latency_ms=50, tokens=5, events_per_second=100)) as url:
        started = time.monotonic()
        with httpx.stream("POST", f"{url}/v1/chat/completions", json={**CHAT, "stream": True}, headers=HEADERS) as got:
            headers_after_s = time.monotonic() - started
            lines = [line for line in got.iter_lines() if line]
        assert headers_after_s >= 0.05
        assert len(lines) == 1 + 5 + 1 + 1
        assert time.monotonic() - started >= 0.05 + 7 * 0.01


class Recorded:
    """The demo, and whether its calls are over."""

    def __init__(self, app):
        self.app = app
        self.running = 0

    async def __call__(self, scope, receive, send):
        self.running += scope["type"] == "http"
        try:
            await self.app(scope, receive, send)
        finally:
            self.running -= scope["type"] == "http"


def test_stops_when_the_client_leaves():
    app = Recorded(create_app(tokens=10_000, events_per_second=200))
    with run_asgi(app) as url:
        with httpx.stream("POST", f"{url}/v1/chat/completions", json={**CHAT, "stream": True}, headers=HEADERS) as got:
            lines = got.iter_lines()
            # Kept: a generator that nobody holds closes the connection, which is what comes later.
            assert next(lines).startswith("data: ")
            assert app.running == 1
        deadline = time.monotonic() + 1
        while app.running and time.monotonic() < deadline:
            time.sleep(0.005)
        assert app.running == 0


def start(*options):
    command = [sys.executable, "-m", "django", "demo_upstream", *options]
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, text=True)


def in_words(said):
    return re.fullmatch(r"DEMO upstream \(openai\) at (http://127\.0\.0\.1:\d+)\n", said)[1]


def in_json(said):
    assert json.loads(said)["dialect"] == "openai"
    return json.loads(said)["url"]


@pytest.mark.parametrize(
    ("options", "address", "number"), [([], in_words, signal.SIGTERM), (["--json"], in_json, signal.SIGINT)]
)
def test_the_program_says_where_it_listens_and_ends_in_order(options, address, number):
    with start("--port", "0", "--dialect", "openai", "--tokens", "9", *options) as program:
        try:
            assert select.select([program.stdout], [], [], PATIENCE_S)[0], "the program said nothing"
            url = address(program.stdout.readline())
            answer = httpx.post(f"{url}/v1/chat/completions", json=CHAT, headers=HEADERS).json()
            assert answer["usage"]["completion_tokens"] == 9
            program.send_signal(number)
            assert program.wait(10) == 0
            assert program.stdout.read() == ""
        finally:
            program.kill()


def test_the_program_refuses_options_that_make_no_sense():
    with start("--fail-rate", "2") as program:
        assert program.wait(PATIENCE_S) == 1
        assert "fail_rate must be within 0..1" in program.stdout.read()
