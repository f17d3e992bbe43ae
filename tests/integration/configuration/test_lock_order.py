"""On PostgreSQL all who write configuration lock in one order: their turn first, then rows. SQLite has one lock."""

import json

import pytest

from tests.e2e.gateway_process import GatewayProcess, on_postgres


@pytest.mark.postgres
def test_a_write_and_a_loading_of_the_same_row_wait_for_each_other_and_both_succeed(postgres_url, tmp_path):
    gateway = GatewayProcess(tmp_path, env=on_postgres(postgres_url))
    printed = gateway.run("-m", "tests.integration.configuration.lock_order_work")
    ended = json.loads(printed.splitlines()[-1])
    assert ended == {
        "provider, API": ["loaded", "200"],
        "team, API": ["loaded", "200"],
        "settings, API": ["loaded", "200"],
        "alias, API": ["loaded", "200"],
        "new team, API": ["loaded", "409"],
        "provider, admin's action": ["loaded", "302"],
        "limit, API": ["loaded", "204"],
        "team, admin's page": ["loaded", "302"],
    }
