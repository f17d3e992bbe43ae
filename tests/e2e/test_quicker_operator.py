"""Two operators save at once: what the second one's form was checked against is no longer so when it is written."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest

from tests.e2e.gateway_process import GatewayProcess, on_postgres
from tests.e2e.postgres_copies import postgres_copy
from tests.integration.api.pages import controls

pytestmark = pytest.mark.postgres
USER, PASSWORD = "operator", "a-password-for-tests"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
Post = Callable[[str, dict[str, Any], str], httpx.Response]


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with postgres_copy() as url:
        yield url


@pytest.fixture(scope="module")
def client(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    gateway = GatewayProcess(tmp_path_factory.mktemp("quicker"), env=on_postgres(database))
    provider = {"name": "first", "base_url": "http://127.0.0.1:9/v1", "models": []}
    gateway.seed({"providers": [provider], "administrators": [{"username": USER, "password": PASSWORD}]}).start()
    with httpx.Client(base_url=gateway.url, timeout=60) as client:
        login = "/admin/login/"
        client.get(login)
        form = {"username": USER, "password": PASSWORD, "csrfmiddlewaretoken": client.cookies["csrftoken"]}
        assert client.post(login, data=form, headers={"referer": gateway.url + login}).status_code == 302
        for name in ("red", "gone"):
            assert send(client, "/admin/accounts/team/add/", {"name": name}).status_code == 302
        yield client
    gateway.end()


def send(client: httpx.Client, page: str, typed: dict[str, Any]) -> httpx.Response:
    form = {**controls(client.get(page).text), **typed, "csrfmiddlewaretoken": client.cookies["csrftoken"]}
    headers = {"referer": f"{client.base_url}{page}", "accept": "application/json"}
    return client.post(page, data=form, headers=headers)


def sent_while(client: httpx.Client, database: str, page: str, typed: dict[str, Any], quicker: str) -> httpx.Response:
    """What is answered to who is kept waiting by a statement that then holds."""
    with psycopg.connect(database) as other, psycopg.connect(database, autocommit=True) as watch:
        assert other.execute(quicker).rowcount == 1
        with ThreadPoolExecutor(1) as thread:
            answer = thread.submit(send, client, page, typed)
            while not watch.execute(WAITING).fetchone() > (0,):  # type: ignore[operator]
                assert not answer.done()
            other.commit()
            return answer.result()


@pytest.mark.parametrize(
    ("page", "typed", "quicker", "told"),
    [
        (
            "/admin/accounts/team/add/",
            {"name": "crimson"},
            "UPDATE accounts_team SET name = 'crimson' WHERE name = 'red'",
            "Team with this Name already exists.",
        ),
        (
            "/admin/providers/provider/wizard/new/openai/",
            {"name": "second", "base_url": "http://127.0.0.1:9/v1", "secret": "sk-of-nobody-0123456789"},
            "UPDATE providers_provider SET name = 'second' WHERE name = 'first'",
            "Provider with this Name already exists.",
        ),
        (
            "/admin/accounts/limit/add/",
            {"scope": "team", "team": "GONE", "requests": "5"},
            "DELETE FROM accounts_team WHERE name = 'gone'",
            "Select a valid choice.",
        ),
    ],
)
def test_the_second_is_told_in_the_form(
    client: httpx.Client, database: str, page: str, typed: dict[str, str], quicker: str, told: str
) -> None:
    with psycopg.connect(database) as asked:
        (gone,) = asked.execute("SELECT id FROM accounts_team WHERE name = 'gone'").fetchone()  # type: ignore[misc]
    typed = {name: value.replace("GONE", str(gone)) for name, value in typed.items()}
    answer = sent_while(client, database, page, typed, quicker)
    assert answer.status_code == 200, answer.text
    assert told in answer.text
    assert "added successfully" not in answer.text
