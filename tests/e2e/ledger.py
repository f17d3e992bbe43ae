"""The ledger of a gateway that runs elsewhere, and what else its database says, read straight from it."""

import sqlite3
import time
from collections.abc import Callable
from typing import Any

import psycopg
from django.db.migrations.loader import MigrationLoader
from psycopg.rows import dict_row

from tests.e2e.gateway_process import GatewayProcess

Row = dict[str, Any]


def query(gateway: GatewayProcess, statement: str) -> list[Row]:
    if url := gateway.env.get("DATABASE_URL"):
        with psycopg.connect(url, row_factory=dict_row) as connection:
            return connection.execute(statement).fetchall()
    connection = sqlite3.connect(gateway.data_dir / "llm_proxy.sqlite3", timeout=10)
    try:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(statement)]
    finally:
        connection.close()


def missing_migrations(gateway: GatewayProcess) -> set[tuple[str, str]]:
    """What `showmigrations` would leave unchecked. It takes two seconds of processor time to say so."""
    applied = {(row["app"], row["name"]) for row in query(gateway, "SELECT app, name FROM django_migrations")}
    known = set(MigrationLoader(None).graph.nodes)
    assert applied, "no migration is noted"
    return known - applied


def rows(gateway: GatewayProcess) -> list[Row]:
    return query(gateway, "SELECT * FROM accounts_usagerecord ORDER BY request_id, attempt")


def rows_when(gateway: GatewayProcess, ready: Callable[[list[Row]], bool], timeout_s: float = 10.0) -> list[Row]:
    """The rows once they are as expected, or as they are when the time is over."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = rows(gateway)
        if ready(found) or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def rows_of(gateway: GatewayProcess, request_id: str) -> list[Row]:
    """The attempts of one call, once they are booked."""

    def mine(found: list[Row]) -> list[Row]:
        return [row for row in found if row["request_id"] == request_id]

    return mine(rows_when(gateway, lambda found: bool(mine(found))))


OF_FINAL = {
    "requests": "1",
    "errors": "CASE WHEN status >= 400 THEN 1 ELSE 0 END",
    **{name: name for name in ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "searches")},
    "cost": "cost_nano_usd",
    "unpriced": "CASE WHEN cost_nano_usd IS NULL THEN 1 ELSE 0 END",
}
"""What the roll-ups add up of the rows that are charged."""


def totals(gateway: GatewayProcess) -> dict[str, int]:
    """Sums of the ledger and of both roll-ups, which must agree."""
    wanted = [f"COALESCE(SUM(CASE WHEN final THEN {value} END), 0) AS {name}" for name, value in OF_FINAL.items()]
    wanted.append("COALESCE(SUM(provider_cost_nano_usd), 0) AS provider_cost")
    ledger = _one(gateway, f"SELECT {', '.join(wanted)} FROM accounts_usagerecord")
    columns = {name: name for name in ledger} | {"cost": "cost_nano_usd", "provider_cost": "provider_cost_nano_usd"}
    sums = ", ".join(f"COALESCE(SUM({column}), 0) AS {name}" for name, column in columns.items())
    for table in ("accounts_usagehourly", "accounts_usagedaily"):
        assert _one(gateway, f"SELECT {sums} FROM {table}") == ledger, table
    return ledger


def _one(gateway: GatewayProcess, statement: str) -> dict[str, int]:
    return {name: int(value) for name, value in query(gateway, statement)[0].items()}
