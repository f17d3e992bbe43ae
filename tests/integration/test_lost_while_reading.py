"""A connection that is lost when all rows are read, at the closing of the server's cursor."""

import pytest

from tests.e2e.gateway_process import GatewayProcess, on_postgres

LOSES_IT = """
import django
django.setup()
import psycopg
from django.db import DatabaseError, connection
from providers.loading import Defaults, load_deployments

connection.ensure_connection()
read = psycopg.ServerCursor.fetchmany

def read_and_lose(self, size=0):
    rows = read(self, size)
    if not rows:
        with psycopg.connect(connection.connection.info.dsn, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
    return rows

psycopg.ServerCursor.fetchmany = read_and_lose
try:
    load_deployments(Defaults())
    print("read")
except DatabaseError:
    print("the database failed")
"""


@pytest.mark.postgres
def test_is_a_failure_of_the_database_and_not_an_error_of_the_configuration(postgres_url, tmp_path):
    gateway = GatewayProcess(tmp_path, env=on_postgres(postgres_url))
    assert gateway.run("-c", LOSES_IT).splitlines()[-1] == "the database failed"
