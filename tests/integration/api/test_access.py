"""Who may ask for what: every route of the site, for everybody. A route that is not in the table fails the test."""

import re
from collections.abc import Iterator

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from tests.integration.api.conftest import ClientFor
from tests.integration.api.fake_live import FakeLive

ROLES = ("nobody", "garbage", "completions", "read", "admin", "staff", "person")
# What a role gets for a GET or, where only writing is possible, a POST. `in` means: not turned away.
PUBLIC = dict.fromkeys(ROLES, "in")
READ = {"nobody": 401, "garbage": 401, "completions": 403, "read": "in", "admin": "in", "staff": "in", "person": 403}
ADMIN = {**READ, "read": 403}
ADMIN_POST = {**ADMIN, "staff": 403}  # a session without a CSRF token
STAFF_PAGES = dict.fromkeys(ROLES, "elsewhere")  # Django's own login; tested with the pages

RULES: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("GET", r"livez|readyz|health", PUBLIC),
    ("GET", r"openapi\.json|docs", PUBLIC),
    ("GET", r"metrics|providers|status|status/<name>|usage|routes/explain|requests/<request_id>", READ),
    ("POST", r"check|discover|cache/clear|circuit-breakers/reset", ADMIN_POST),
    (
        "POST",
        r"api/(providers/<pk>/(test|adopt-models)|api-keys/<pk>/(rotate|revoke)|history/<pk>/rollback)/",
        ADMIN_POST,
    ),
    ("GET", r"api/.*", ADMIN),
)
OPEN_PAGES = {"", "admin/login/", "admin/jsi18n/"}
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
        if got != table[role]:
            wrong[f"{method} {path}"] = (answer.status_code, table[role])
        if got != "in":
            assert answer["Content-Type"].startswith("application/json"), path
            assert set(answer.json()["error"]) == {"message", "type", "param", "code"}, path
    assert wrong == {}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("role", ["nobody", "garbage", "completions", "read", "staff", "person"])
def test_lets_nobody_write_who_is_no_admin(method: str, role: str, client_for: ClientFor, worker: FakeLive) -> None:
    client = client_for(role)
    for route in GUARDED:
        if route.startswith("api/"):
            path = "/" + re.sub(r"<\w+>", "999", route)
            answer = client.generic(method, path, "{}", content_type="application/json")
            assert answer.status_code in (401, 403), (method, path, answer.status_code)


@pytest.mark.parametrize("role", [role for role in ROLES if role != "staff"])
def test_pages_open_for_nobody_who_is_not_staff(role: str, client_for: ClientFor, worker: FakeLive) -> None:
    client = client_for(role)
    opened = {}
    for route in set(ALL) - set(GUARDED) - OPEN_PAGES:
        answer = client.get("/" + re.sub(r"<\w+>", "999", route), headers={"Accept": "text/html"})
        if answer.status_code < 300:
            opened[route] = answer.status_code
    assert opened == {}
