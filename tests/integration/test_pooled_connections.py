"""Every worker's connections to PostgreSQL come from a pool. Here it holds one: whatever asks SQL from a thread that ends,
and does not give its connection back, leaves none for the next."""

import json
import secrets

import pytest

from tests.e2e.gateway_process import GatewayProcess


@pytest.mark.postgres
def test_whatever_asks_sql_in_a_thread_gives_its_connection_back(postgres_url, tmp_path):
    gateway = GatewayProcess(
        tmp_path,
        env={
            "DATABASE_URL": postgres_url,
            "PROXY_API_DATABASE_POOL": "1",
            "PROXY_API_SECRET_KEY": secrets.token_urlsafe(48),
            "PROXY_API_ENCRYPTION_KEYS": "6KkOAXwWwUQ8iTPIdv1SvdM_Oyi8y1-50vb2tQilOHk=",
        },
    )
    ended = json.loads(gateway.run("-m", "tests.integration.pooled_work").splitlines()[-1])
    assert len(ended) == 10
    assert set(ended.values()) == {"gives it back"}, ended
