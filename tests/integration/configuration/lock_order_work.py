"""Each way to write configuration against a loading of the same rows, on PostgreSQL; prints how the two ended, as JSON.

The loading has its turn, and writes its first row only when the other writer waits for it.
"""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import django

django.setup()

from django.contrib.auth import get_user_model  # noqa: E402
from django.db import connection, connections  # noqa: E402
from django.test import Client  # noqa: E402

from accounts.models import Limit, Team  # noqa: E402
from providers.models import Deployment, Provider  # noqa: E402
from routing.models import GatewaySettings, ModelAlias  # noqa: E402
from routing.revisions import one_revision  # noqa: E402

PATIENCE_S = 20.0
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"


def client() -> Client:
    found = Client(raise_request_exception=False)
    found.force_login(get_user_model().objects.get(username="root"))
    return found


def sent(method: str, path: str, body: dict[str, Any]) -> int:
    return int(client().generic(method, path, json.dumps(body), content_type="application/json").status_code)


def in_the_admin(path: str, form: dict[str, Any]) -> int:
    return int(client().post(path, form).status_code)


def disable(path: str, row: Any) -> int:
    return in_the_admin(path, {"action": "disable", "_selected_action": [row.pk]})


def main() -> None:
    get_user_model().objects.create_superuser("root", password="x")
    provider = Provider.objects.create(name="p", kind="openai", base_url="https://p.test/v1")
    Deployment.objects.create(provider=provider, model="n")
    alias = ModelAlias.objects.create(name="a", targets=["m"])
    team = Team.objects.create(name="t")
    limit = Limit.objects.create(scope="team", team=team, requests=1)
    settings = GatewaySettings.load()
    writers: dict[str, tuple[Callable[[], object], Any]] = {
        "provider, API": (lambda: sent("PATCH", f"/api/providers/{provider.pk}/", {"priority": 7}), provider),
        "team, API": (lambda: sent("PATCH", f"/api/teams/{team.pk}/", {"enabled": False}), team),
        "settings, API": (lambda: sent("PATCH", "/api/settings/", {"app_name": "renamed"}), settings),
        "alias, API": (lambda: sent("PATCH", f"/api/model-aliases/{alias.pk}/", {"targets": ["n"]}), alias),
        "new team, API": (lambda: sent("POST", "/api/teams/", {"name": "new"}), Team(name="new")),
        "provider, admin's action": (lambda: disable("/admin/providers/provider/", provider), provider),
        "limit, API": (lambda: sent("DELETE", f"/api/limits/{limit.pk}/", {}), limit),
        "team, admin's page": (lambda: in_the_admin(f"/admin/accounts/team/{team.pk}/delete/", {"post": "yes"}), team),
    }
    # Loads the pages, which takes its time.
    sent("GET", "/api/providers/", {})
    print(json.dumps({name: against_a_loading(write, row) for name, (write, row) in writers.items()}))


def against_a_loading(write: Callable[[], object], row: Any) -> list[str]:
    turn = Event()

    def load() -> str:
        with one_revision(source="file", reason="test"):
            turn.set()
            others_wait()
            row.save()
        return "loaded"

    with ThreadPoolExecutor() as threads:
        loading = threads.submit(ended, load)
        turn.wait(PATIENCE_S)
        writing = threads.submit(ended, write)
        return [loading.result(), writing.result()]


def ended(work: Callable[[], object]) -> str:
    try:
        return str(work())
    except Exception as error:
        return repr(error)
    finally:
        connections.close_all()


def others_wait() -> None:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        with connection.cursor() as cursor:
            cursor.execute(WAITING)
            if cursor.fetchone()[0]:
                return
        time.sleep(0.02)
    raise TimeoutError("nobody waits")


if __name__ == "__main__":
    main()
