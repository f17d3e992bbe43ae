"""Who may ask for what: every route of the site, for everybody. A route that is not in the table fails the test."""

import re
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import Permission, User
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.models import ApiKey
from providers.models import Credential, Provider
from tests.integration.api.conftest import PEOPLE, ClientFor
from tests.integration.api.fake_live import FakeLive

KEYS = ("nobody", "garbage", "completions", "read", "admin")
STAFF = ("staff", "viewer", "changer", "superuser")
ROLES = (*KEYS, "person", *STAFF)
# What a role gets for a GET or, where only writing is possible, a POST. `in` means: not turned away.
PUBLIC = dict.fromkeys(ROLES, "in")
READ = {**PUBLIC, "nobody": 401, "garbage": 401, "completions": 403, "person": 403}
ADDRESSES = {**READ, "read": 403}
ADMIN = {**ADDRESSES, "staff": 403}
ADMIN_POST = {**ADMIN, **dict.fromkeys(STAFF, 403)}  # a session without a CSRF token
STAFF_PAGES = dict.fromkeys(ROLES, "elsewhere")  # Django's own login; tested with the pages

RULES: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("GET", r"livez|readyz|health", PUBLIC),
    ("GET", r"openapi\.json|docs|favicon\.ico", PUBLIC),
    ("GET", r"metrics|providers|status|status/<name>|usage|routes/explain|requests/<request_id>", READ),
    ("POST", r"check|discover|cache/clear|circuit-breakers/reset", ADMIN_POST),
    (
        "POST",
        r"api/(providers/<pk>/(test|adopt-models)|api-keys/<pk>/(rotate|revoke)|history/<pk>/rollback)/",
        ADMIN_POST,
    ),
    ("GET", r"api/", ADDRESSES),
    ("GET", r"api/.+", ADMIN),
)
MODELS = {
    "providers": "providers.provider", "credentials": "providers.credential", "deployments": "providers.deployment",
    "model-aliases": "routing.modelalias", "route-policies": "routing.routepolicy", "teams": "accounts.team",
    "api-keys": "accounts.apikey", "limits": "accounts.limit", "budgets": "accounts.budget", "prices": "accounts.price",
}  # fmt: skip
NEEDS = {
    **{
        (method, path): model.replace(".", f".{verb}_")
        for name, model in MODELS.items()
        for method, path, verb in (
            ("GET", f"api/{name}/", "view"), ("POST", f"api/{name}/", "add"), ("GET", f"api/{name}/<pk>/", "view"),
            ("PUT", f"api/{name}/<pk>/", "change"), ("PATCH", f"api/{name}/<pk>/", "change"),
            ("DELETE", f"api/{name}/<pk>/", "delete"),
        )
    },
    ("GET", "api/history/"): "routing.view_configurationrevision",
    ("GET", "api/history/<pk>/"): "routing.view_configurationrevision",
    ("POST", "api/history/<pk>/rollback/"): "routing.change_configurationrevision",
    ("GET", "api/settings/"): "routing.view_gatewaysettings",
    ("PUT", "api/settings/"): "routing.change_gatewaysettings",
    ("PATCH", "api/settings/"): "routing.change_gatewaysettings",
    ("POST", "api/api-keys/<pk>/rotate/"): "accounts.change_apikey",
    ("POST", "api/api-keys/<pk>/revoke/"): "accounts.change_apikey",
    ("POST", "api/providers/<pk>/test/"): "providers.change_provider",
    ("POST", "api/providers/<pk>/adopt-models/"): "providers.add_deployment",
    ("GET", "api/providers/<pk>/models/"): "providers.view_provider",
    ("GET", "api/providers/<pk>/reports/"): "providers.view_provider",
    ("POST", "check"): "providers.change_provider",
    ("POST", "circuit-breakers/reset"): "providers.change_provider",
    ("POST", "discover"): "providers.change_discovered",
    ("POST", "cache/clear"): "routing.change_gatewaysettings",
}  # fmt: skip
"""What a person has to have, as the admin asks it for the same. Keys with the scope `admin` need none of it."""
OPEN_PAGES = {"", "admin/login/", "admin/logout/", "admin/jsi18n/"}
PAGES = re.compile(r"(admin|i18n|dashboard|playground|ws|static)(/.*)?|")


def routes(patterns: list[URLPattern | URLResolver], prefix: str = "") -> Iterator[str]:
    for pattern in patterns:
        text = prefix + _plain(str(pattern.pattern))
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, text)
        else:
            yield text


def _plain(pattern: str) -> str:
    """Django's two notations as one: `<name>` for every parameter, no anchors."""
    pattern = re.sub(r"\(\?P<(\w+)>[^)]*\)", r"<\1>", pattern).replace("\\.", ".").replace("\\Z", "")
    return re.sub(r"<\w+:(\w+)>", r"<\1>", pattern).removeprefix("^").removesuffix("$")


ALL = sorted(set(routes(get_resolver().url_patterns)))
GUARDED = [route for route in ALL if not PAGES.fullmatch(route)]


def rule_of(route: str) -> tuple[str, dict[str, object]] | None:
    return next(((method, table) for method, form, table in RULES if re.fullmatch(form, route)), None)


def test_names_every_route_so_that_a_new_one_is_denied_until_somebody_decides() -> None:
    assert [route for route in GUARDED if rule_of(route) is None] == []
    assert len(GUARDED) > 40, "the routes were not found"


@pytest.mark.parametrize("role", ROLES)
def test_lets_in_exactly_whom_the_table_names(role: str, client_for: ClientFor, worker: FakeLive) -> None:
    client = client_for(role)
    wrong = {}
    for route in GUARDED:
        found = rule_of(route)
        assert found is not None
        method, table = found
        path = "/" + re.sub(r"<\w+>", "999", route)
        answer = client.generic(method, path, content_type="application/json")
        got = answer.status_code if answer.status_code in (401, 403) else "in"
        assert (got == 401) == ("WWW-Authenticate" in answer), (method, path, role)
        if got != table[role]:
            wrong[f"{method} {path}"] = (answer.status_code, table[role])
        if got != "in":
            assert answer["Content-Type"].startswith("application/json"), path
            assert set(answer.json()["error"]) == {"message", "type", "param", "code"}, path
    assert wrong == {}


@pytest.mark.parametrize("role", ["nobody", "completions", "admin"])
def test_answers_head_as_get(role: str, client_for: ClientFor, worker: FakeLive) -> None:
    client = client_for(role)
    wrong = {}
    for route in GUARDED:
        found = rule_of(route)
        if found is not None and found[0] == "GET":
            path = "/" + re.sub(r"<\w+>", "999", route)
            seen = [(answer.status_code, answer["Content-Type"]) for answer in (client.get(path), client.head(path))]
            if seen[0] != seen[1]:
                wrong[path] = seen
    assert wrong == {}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("role", [role for role in ROLES if role != "admin"])
def test_lets_nobody_write_who_is_no_admin(method: str, role: str, client_for: ClientFor, worker: FakeLive) -> None:
    client = client_for(role)
    for route in GUARDED:
        if route.startswith("api/"):
            path = "/" + re.sub(r"<\w+>", "999", route)
            answer = client.generic(method, path, "{}", content_type="application/json")
            assert answer.status_code in (401, 403), (method, path, answer.status_code)


Door = tuple[str, str]


def ask(client: Client, method: str, route: str) -> HttpResponse:
    """With a session's CSRF token, so that what is left to say no are permissions."""
    client.handler.enforce_csrf_checks = False
    return client.generic(method, "/" + re.sub(r"<\w+>", "999", route), "{}", content_type="application/json")


def test_says_of_every_route_what_staff_need_for_it() -> None:
    free = {route for route in GUARDED if rule_of(route) is not None and rule_of(route)[1] in (PUBLIC, READ)}  # type: ignore[index]
    assert {route for _, route in NEEDS} == set(GUARDED) - free - {"api/"}


@pytest.mark.parametrize("role", STAFF)
def test_staff_may_do_what_their_permissions_say(role: str, client_for: ClientFor, worker: FakeLive) -> None:
    client, wrong = client_for(role), {}
    for (method, route), permission in NEEDS.items():
        may = role == "superuser" or permission.split(".")[1].startswith(PEOPLE[role] or "nothing")
        answer = ask(client, method, route)
        if (answer.status_code != 403) != may or answer.status_code == 401:
            wrong[f"{method} {route}"] = (answer.status_code, permission)
        if not may:
            error = answer.json()["error"]
            assert permission in error["message"], (method, route, error)
            assert (error["type"], error["code"]) == ("permission_error", "permission_denied")
    assert wrong == {}


def test_one_permission_opens_its_own_doors_and_no_other(client_for: ClientFor, worker: FakeLive) -> None:
    client, user = client_for("staff"), User.objects.get(username="staff")
    names = {f"{each.content_type.app_label}.{each.codename}": each for each in Permission.objects.all()}

    def opened(doors: list[Door], permissions: set[str]) -> list[Door]:
        user.user_permissions.set(names[name] for name in permissions)
        return [door for door in doors if ask(client, *door).status_code != 403]

    for permission in sorted(set(NEEDS.values())):
        doors = [door for door, needed in NEEDS.items() if needed == permission]
        enough = {permission, permission.replace(".view_", ".change_")}  # who may change may look, as in the admin
        for name in enough:
            assert opened(doors, {name}) == doors, name
        # What all others together do not open, none of them opens.
        assert opened(doors, set(names) - enough) == [], permission


def test_staff_without_a_permission_make_themselves_no_key(client_for: ClientFor, worker: FakeLive) -> None:
    client = client_for("viewer")
    client.handler.enforce_csrf_checks = False
    order = {"name": "mine", "scopes": ["admin"]}
    answer = client.post("/api/api-keys/", order, content_type="application/json")
    assert (answer.status_code, ApiKey.objects.count()) == (403, 0)
    assert "'accounts.add_apikey'" in answer.json()["error"]["message"]


def test_who_may_delete_a_provider_alone_does_not_delete_its_credentials(
    client_for: ClientFor, worker: FakeLive
) -> None:
    provider = Provider.objects.create(name="own", base_url="https://own.example/v1")
    Credential.objects.create(provider=provider, environment_variable="OWN_KEY")
    client, user = client_for("staff"), User.objects.get(username="staff")
    client.handler.enforce_csrf_checks = False
    user.user_permissions.set(Permission.objects.filter(codename="delete_provider"))
    refused = client.delete(f"/api/providers/{provider.pk}/")
    assert refused.status_code == 403
    assert "'providers.delete_credential'" in refused.json()["error"]["message"]
    user.user_permissions.set(Permission.objects.filter(codename__in=("delete_provider", "delete_credential")))
    assert client.delete(f"/api/providers/{provider.pk}/").status_code == 204


@pytest.mark.parametrize("role", [role for role in ROLES if role not in STAFF])
def test_pages_open_for_nobody_who_is_not_staff(role: str, client_for: ClientFor, worker: FakeLive) -> None:
    client = client_for(role)
    opened = {}
    for route in set(ALL) - set(GUARDED) - OPEN_PAGES:
        answer = client.get("/" + re.sub(r"<\w+>", "999", route), headers={"Accept": "text/html"})
        if answer.status_code < 300:
            opened[route] = answer.status_code
    assert opened == {}
