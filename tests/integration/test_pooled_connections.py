"""Every worker's connections to PostgreSQL come from a pool. Here it holds one: whatever asks SQL from a thread that ends,
and does not give its connection back, leaves none for the next."""

import json

import pytest

from tests.e2e.gateway_process import GatewayProcess, on_postgres


@pytest.mark.postgres
def test_whatever_asks_sql_in_a_thread_gives_its_connection_back(postgres_url, tmp_path):
    gateway = GatewayProcess(tmp_path, env={**on_postgres(postgres_url), "PROXY_API_DATABASE_POOL": "1"})
    ended = json.loads(gateway.run("-m", "tests.integration.pooled_work").splitlines()[-1])
    assert len(ended) == 10
    assert set(ended.values()) == {"gives it back"}, ended
