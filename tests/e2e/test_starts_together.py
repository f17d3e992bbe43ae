"""A job that migrates and the control planes beside it, as `kubectl apply` starts them: all at once, on an empty database."""

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from tests.e2e import ledger
from tests.e2e.gateway_process import GatewayProcess, on_postgres
from tests.e2e.postgres_copies import POSTGRES

FIRST_START = """
import django
django.setup()
from proxy_site.bootstrap import migrate_if_needed, prepare
migrate_if_needed()
print(prepare(demo_base_url="http://127.0.0.1:9/v1").api_key is not None)
"""


@pytest.fixture
def empty_database() -> Iterator[str]:
    name = f"empty_{secrets.token_hex(4)}"
    with psycopg.connect(f"{POSTGRES}/test", autocommit=True) as administration:
        administration.execute(f"CREATE DATABASE {name}")
        try:
            yield f"{POSTGRES}/{name}"
        finally:
            administration.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.postgres
def test_they_take_turns_and_make_everything_once(empty_database: str, tmp_path: Path) -> None:
    env = {**on_postgres(empty_database), "DJANGO_SETTINGS_MODULE": "proxy_site.settings"}
    places = [tmp_path / str(number) for number in range(3)]
    for place in places:
        place.mkdir()
    servers = [GatewayProcess(place, env=env) for place in places]
    with ThreadPoolExecutor() as threads:
        job = threads.submit(servers[0].run, "manage.py", "migrate", "--verbosity=0")
        starts = [threads.submit(server.run, "-c", FIRST_START) for server in servers[1:]]
        job.result()
        made = sorted(start.result().strip() for start in starts)
    assert made == ["False", "True"]
    (noted,) = ledger.query(
        servers[0], "SELECT count(*) AS n, count(DISTINCT (app, name)) AS once FROM django_migrations"
    )
    assert noted["n"] == noted["once"]
    assert ledger.missing_migrations(servers[0]) == set()
