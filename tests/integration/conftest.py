import os
import socket
from urllib.parse import urlsplit

import pytest

from tests.e2e.postgres_copies import POSTGRES, postgres_copy


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
    """The address of a database of this test's own, with every migration and nothing else."""
    _needs("PostgreSQL", POSTGRES, 5432)
    with postgres_copy() as url:
        yield url
