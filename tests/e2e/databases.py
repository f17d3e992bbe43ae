"""PostgreSQL databases for the servers under test, when TEST_DATABASE_URL asks for the whole suite on PostgreSQL.

A data directory then holds the address of its database in a file; `GatewayProcess` reads it.
"""

import os
import secrets
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

SERVER = os.environ.get("TEST_DATABASE_URL", "")
_FILE = "database_url"
_made: list[str] = []


def give_database(data_dir: Path, template: Path | None = None) -> None:
    """Makes a database for `data_dir`, empty or like the one of `template`. Nothing to do on SQLite."""
    if not SERVER:
        return
    name = f"gateway_test_{secrets.token_hex(4)}"
    origin = "template1" if template is None else urlsplit(url_of(template)).path.lstrip("/")
    with psycopg.connect(SERVER, autocommit=True) as administration:
        administration.execute(f"CREATE DATABASE {name} TEMPLATE {origin}")
    _made.append(name)
    (data_dir / _FILE).write_text(urlsplit(SERVER)._replace(path=f"/{name}").geturl())


def url_of(data_dir: Path) -> str:
    """Empty on SQLite."""
    file = data_dir / _FILE
    return file.read_text() if file.exists() else ""


def drop_databases() -> None:
    """All that this process made."""
    if not _made:
        return
    with psycopg.connect(SERVER, autocommit=True) as administration:
        while _made:
            administration.execute(f"DROP DATABASE IF EXISTS {_made.pop()} WITH (FORCE)")
