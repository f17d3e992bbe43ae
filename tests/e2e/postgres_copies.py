"""PostgreSQL databases with every migration, for tests that want one whatever the suite runs on.

They are copies of one that the first who needs it makes for all processes of a run: migrating takes ten seconds of
processor time, copying none.
"""

import contextlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.e2e.gateway_process import GatewayProcess, on_postgres

POSTGRES = os.environ.get("TEST_POSTGRES_SERVER", "postgresql://postgres@127.0.0.1:5432")
_RUN = "LLM_PROXY_TEST_RUN"
_LOCK = 20_200_907


def begin_run() -> None:
    """In the process that starts the others, before it does."""
    os.environ[_RUN] = secrets.token_hex(4)


def end_run() -> None:
    """In the same process, after the others have ended. Where nobody gets in, nobody made one."""
    with (
        contextlib.suppress(psycopg.OperationalError),
        psycopg.connect(f"{POSTGRES}/test", autocommit=True) as administration,
    ):
        for name in (_template(), f"{_template()}_begun"):
            administration.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@contextmanager
def postgres_copy() -> Iterator[str]:
    """The address of a database that is dropped afterwards."""
    name = f"{_template()}_{secrets.token_hex(4)}"
    with psycopg.connect(f"{POSTGRES}/test", autocommit=True) as administration:
        _make_template(administration)
        administration.execute(f"CREATE DATABASE {name} TEMPLATE {_template()}")
        try:
            yield f"{POSTGRES}/{name}"
        finally:
            administration.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _template() -> str:
    return f"migrated_{os.environ[_RUN]}"


def _make_template(administration: psycopg.Connection) -> None:
    """Under its name only when it is whole. The lock goes with the connection at the latest."""
    administration.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
    found = administration.execute("SELECT 1 FROM pg_database WHERE datname = %s", [_template()])
    if found.fetchone() is None:
        begun = f"{_template()}_begun"
        administration.execute(f"DROP DATABASE IF EXISTS {begun}")
        administration.execute(f"CREATE DATABASE {begun}")
        with tempfile.TemporaryDirectory() as directory:
            GatewayProcess(Path(directory), env=on_postgres(f"{POSTGRES}/{begun}")).manage("migrate", "--verbosity=0")
        administration.execute(f"ALTER DATABASE {begun} RENAME TO {_template()}")
    administration.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
