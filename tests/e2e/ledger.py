"""The ledger of a gateway that runs elsewhere, read straight from its database."""

import sqlite3
import time
from collections.abc import Callable
from typing import Any

import psycopg
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


def totals(gateway: GatewayProcess) -> dict[str, int]:
    """Sums of the ledger and of both roll-ups, which must agree."""
    sums = "COALESCE(SUM({}), 0)"
    ledger = query(
        gateway,
        f"SELECT COUNT(*) AS requests, {sums.format('output_tokens')} AS output_tokens, "
        f"{sums.format('cost_nano_usd')} AS cost FROM accounts_usagerecord WHERE "
        + ("final" if gateway.env.get("DATABASE_URL") else "final = 1"),
    )[0]
    for table in ("accounts_usagehourly", "accounts_usagedaily"):
        found = query(
            gateway,
            f"SELECT {sums.format('requests')} AS requests, {sums.format('output_tokens')} AS output_tokens, "
            f"{sums.format('cost_nano_usd')} AS cost FROM {table}",
        )[0]
        assert {name: int(value) for name, value in found.items()} == {n: int(v) for n, v in ledger.items()}, table
    return {name: int(value) for name, value in ledger.items()}
