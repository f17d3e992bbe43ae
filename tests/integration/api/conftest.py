"""The control plane without a server: Django's test client, keys of every scope, and a worker that is not one."""

from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from accounts.models import Team
from accounts.provisioning import KeyOrder, create_key
from monitoring import health_facts, live
from tests.integration.api.fake_live import FakeLive

ClientFor = Callable[[str], Client]
PEOPLE: dict[str, tuple[str, ...]] = {
    "person": (), "staff": (), "viewer": ("view_",), "changer": ("view_", "change_"), "superuser": (),
}  # fmt: skip
"""How the names begin of the permissions that each has."""


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    health_facts.forget()


@pytest.fixture
def worker() -> Iterator[FakeLive]:
    fake = FakeLive()
    live.install(fake)
    yield fake
    live.install(None)


@pytest.fixture
def team(db: None) -> Team:
    return Team.objects.create(name="research")


@pytest.fixture
def client_for(db: None) -> ClientFor:
    """By role: `nobody`, `garbage`, a scope (`completions`, `read`, `admin`), or with a session a `person`, `staff` without
    any permission, a `viewer` who may see everything, a `changer` who may change it, too, and a `superuser`. Sessions
    enforce CSRF as in production."""

    def make(role: str) -> Client:
        client = Client(enforce_csrf_checks=True)
        if role == "nobody":
            return client
        if role in PEOPLE:
            user = User.objects.create_user(username=role, is_staff=role != "person", is_superuser=role == "superuser")
            user.user_permissions.set(
                each for each in Permission.objects.all() if each.codename.startswith(PEOPLE[role])
            )
            client.force_login(user)
            return client
        if role == "garbage":
            return Client(headers={"Authorization": "Bearer llmp-0123456789abcdef-" + "x" * 43})
        token = create_key(KeyOrder(name=role, scopes=(role,))).token
        return Client(enforce_csrf_checks=True, headers={"Authorization": f"Bearer {token}"})

    return make


@pytest.fixture
def admin(client_for: ClientFor, worker: FakeLive) -> Client:
    return client_for("admin")
