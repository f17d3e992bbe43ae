"""A database whose host vanishes closes no connection: the kernel has to give it up, and sooner than it does by itself."""

import json

import pytest

from tests.e2e.gateway_process import GatewayProcess, on_postgres

TELL = """
import django
django.setup()
import json
import socket
from django.db import connection

connection.ensure_connection()
with socket.socket(fileno=connection.connection.fileno()) as wire:
    asked = [wire.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))
             for name in ("TCP_USER_TIMEOUT", "TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")]
    asked.append(wire.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
    wire.detach()
print(json.dumps(asked))
"""


def options(url, directory):
    return json.loads(GatewayProcess(directory, env=on_postgres(url)).run("-c", TELL).splitlines()[-1])


@pytest.mark.postgres
def test_is_given_up_within_seconds_whether_it_was_being_asked_or_waited_for(postgres_url, tmp_path):
    user_timeout_ms, idle_s, interval_s, count, keepalive = options(postgres_url, tmp_path)
    assert 0 < user_timeout_ms <= 10_000
    assert keepalive
    assert idle_s + interval_s * count <= 30


@pytest.mark.postgres
def test_is_given_up_when_the_address_says_so(postgres_url, tmp_path):
    mark = "&" if "?" in postgres_url else "?"
    assert options(f"{postgres_url}{mark}tcp_user_timeout=4000&keepalives_idle=3", tmp_path)[:2] == [4000, 3]
