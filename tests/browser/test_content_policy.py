"""The policy of our pages in a real browser: none of them needs what it forbids, and what it forbids does not happen.

Every other test here fails, too, when a page is refused something: Chromium says so in the console, as an error.
"""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Site, Watched

Open = Callable[..., Page]
TELL = """document.addEventListener("securitypolicyviolation", (event) =>
    console.warn(`policy: ${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));"""
FURTHER_PAGES = (
    "/docs", "/api/", "/api/providers/", "/api/teams/", "/api/api-keys/?format=api",
    "/admin/auth/user/", "/admin/auth/user/1/change/", "/admin/auth/user/1/password/", "/admin/auth/group/add/",
    "/admin/django_celery_beat/periodictask/", "/admin/django_celery_beat/periodictask/1/change/",
    "/admin/django_celery_beat/crontabschedule/add/", "/admin/axes/accessattempt/", "/admin/password_change/",
    "/admin/providers/provider/1/delete/", "/admin/providers/provider/1/history/", "/admin/providers/provider/wizard/1/test/",
    "/admin/accounts/team/add/?_popup=1",
)  # fmt: skip
NOT_FOUND = ("/no/such/page", "/admin/no/such/page/", "/dashboard/providers/999/")


@pytest.fixture
def open_told(open_page: Open) -> Open:
    """As `open_page`; what the policy refused becomes one of the test's problems, even before a page's own scripts run."""

    def open_one(path: str, **options: object) -> Page:
        return open_page(path, init_script=TELL, **options)

    return open_one


@pytest.fixture(scope="module")
def request_id(site: Site) -> str:
    return site.chat("demo-small")[1]["x-request-id"]


def test_no_further_page_asks_for_what_its_policy_forbids(open_told: Open, site: Site, watched: Watched) -> None:
    """Beside those that `test_admin` and `test_dashboard` open."""
    page = open_told("/")
    for path in FURTHER_PAGES:
        answer = page.goto(site.url + path, wait_until="load")
        assert answer is not None
        assert (answer.status, "content-security-policy" in answer.headers) == (200, True), path
    watched.allowed.add("the server responded with a status of 404")
    for path in NOT_FOUND:
        page.goto(site.url + path, wait_until="load")
        expect(page.locator(".problem")).to_be_visible()


def test_the_login_page_asks_for_nothing_that_is_forbidden(open_told: Open) -> None:
    page = open_told("/admin/login/", logged_in=False)
    expect(page.get_by_label("Username")).to_be_visible()


def test_the_reference_opens_and_sends_requests(open_told: Open) -> None:
    page = open_told("/docs")
    page.locator("#operations-tag-operations").click()
    page.locator("[id$=operations_api_health]").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table")).to_contain_text('"providers"')
    page.get_by_role("button", name="Authorize").first.click()
    expect(page.locator(".modal-ux")).to_contain_text("X-API-Key")


def test_what_moves_on_the_admins_pages_still_moves(open_told: Open, site: Site) -> None:
    page = open_told("/admin/providers/provider/1/change/")
    page.locator("a[href='#deployments']").click()
    expect(page.locator("#deployments-group")).to_be_visible()
    page.goto(site.url + "/admin/accounts/budget/add/")
    page.locator("[name=scope]").select_option("team")
    expect(page.locator("#id_key + .select2")).to_be_hidden()
    page.locator("#id_team + .select2").click()
    expect(page.locator(".select2-results")).to_be_visible()
    page.goto(site.url + "/admin/")
    page.keyboard.press("Control+k")
    page.get_by_placeholder("Type to search").press_sequentially("prov")
    expect(page.locator("#command-results")).to_contain_text("Providers")


def test_the_lengths_of_bars_are_as_the_server_said(open_told: Open, request_id: str) -> None:
    page = open_told(f"/dashboard/requests/{request_id}/")
    wide = "element => [element.style.width, element.dataset.width + '%', element.getBoundingClientRect().width]"
    said, expected, pixels = page.locator(".timeline .bar").first.evaluate(wide)
    assert float(said.rstrip("%")) == float(expected.rstrip("%"))
    assert pixels > 3
    ticks = page.locator(".timeline .ticks span").evaluate_all("all => all.map(each => each.style.left)")
    assert ticks == ["0%", "25%", "50%", "75%", "100%"]


PLANTED = """
    window.ran = [];
    document.body.insertAdjacentHTML("beforeend", '<img src="/nowhere" onerror="ran.push(`handler`)">');
    const script = document.createElement("script");
    script.textContent = "ran.push('element')";
    document.body.append(script);
    const base = document.createElement("base");
    base.href = "http://elsewhere.invalid/";
    document.head.append(base);
    document.body.insertAdjacentHTML("beforeend",
        '<form id="planted" action="http://elsewhere.invalid/" method="post"><button>Send</button></form>');
"""


@pytest.mark.parametrize("path", ["/dashboard/", "/admin/"])
def test_what_was_planted_in_a_page_neither_runs_nor_tells_another_host(
    open_page: Open, watched: Watched, site: Site, path: str
) -> None:
    page = open_page(path)
    watched.allowed |= {"Content Security Policy", "the server responded with a status of 404"}
    page.evaluate(PLANTED)
    page.evaluate("fetch('http://elsewhere.invalid/').catch(() => ran.push('refused'))")
    page.wait_for_function("ran.length > 0")
    page.evaluate("document.getElementById('planted').submit()")
    page.wait_for_timeout(300)
    assert page.evaluate("[ran, document.baseURI === location.href, location.origin]") == [["refused"], True, site.url]


def test_a_page_that_asks_another_host_is_noticed_by_these_tests(open_page: Open, watched: Watched) -> None:
    page = open_page("/livez")
    page.set_content("<img src='http://elsewhere.invalid/picture.png'>")
    assert "asked another host: http://elsewhere.invalid/picture.png" in watched.problems
    watched.problems.clear()


def test_no_page_can_be_put_into_another(open_page: Open, watched: Watched, site: Site) -> None:
    page = open_page("/docs")
    watched.allowed |= {"frame", "X-Frame-Options"}
    page.evaluate("""() => new Promise((done) => {
        const frame = document.createElement("iframe");
        frame.src = "/playground/";
        frame.onload = done;
        document.body.append(frame);
    })""")
    assert page.frames[-1].url.startswith("chrome-error:")
