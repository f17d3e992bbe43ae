import os
import secrets
import socket
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.integration.accounts.postgres import POSTGRES


def _listens(url: str, default_port: int) -> bool:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "127.0.0.1", parts.port or default_port), timeout=1).close()
    except OSError:
        return False
    return True


def _needs(what: str, url: str, port: int) -> None:
    if not _listens(url, port):
        if os.environ.get("REQUIRE_SERVICES") == "1":
            pytest.fail(f"{what} is required and does not answer")
        pytest.skip(f"{what} does not answer")


@pytest.fixture
def redis_url() -> str:
    url = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/0")
    _needs("Redis", url, 6379)
    return url


@pytest.fixture
def postgres_url():
    """The address of an empty database of this test's own."""
    _needs("PostgreSQL", POSTGRES, 5432)
    name = f"integration_test_{secrets.token_hex(4)}"
    with psycopg.connect(f"{POSTGRES}/test", autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        yield f"{POSTGRES}/{name}"
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")
