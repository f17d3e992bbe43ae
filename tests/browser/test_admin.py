"""The admin as an operator meets it: wizard, keys, switches, keyboard, narrow screens, contrast."""

import re
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Site, Watched, log_in, violations

Open = Callable[..., Page]
TOKEN = re.compile(r"llmp-[0-9a-f]{16}-[A-Za-z0-9_-]{43}")
READ_BY_ALL = (
    "/admin/", "/admin/providers/provider/", "/admin/accounts/budget/", "/admin/accounts/usagerecord/",
    "/admin/routing/gatewaysettings/", "/admin/accounts/apikey/add/", "/admin/providers/provider/1/change/",
    "/admin/providers/provider/wizard/", "/admin/providers/provider/wizard/new/anthropic/",
    "/admin/providers/provider/wizard/1/models/",
)  # fmt: skip
PHONE = {"width": 360, "height": 780}
UNSEEN_FOCUS = """() => {
    const {outlineStyle, outlineWidth, boxShadow} = getComputedStyle(document.activeElement);
    const marked = (outlineStyle !== 'none' && parseFloat(outlineWidth) > 0) || boxShadow !== 'none';
    return marked || document.activeElement === document.body ? '' : document.activeElement.outerHTML.slice(0, 200);
}"""
LISTS = (
    "providers/provider", "providers/credential", "providers/deployment", "accounts/apikey", "accounts/team",
    "accounts/limit", "accounts/budget", "accounts/price", "accounts/usagerecord", "routing/modelalias",
    "routing/routepolicy", "routing/gatewaysettings", "routing/configurationrevision",
)  # fmt: skip
PAGES = (
    "/admin/", *(f"/admin/{name}/" for name in LISTS), "/admin/providers/provider/add/", "/admin/accounts/apikey/add/",
    "/admin/accounts/budget/add/", "/admin/routing/modelalias/add/", "/admin/providers/provider/1/change/",
    "/admin/providers/provider/wizard/", "/admin/providers/provider/wizard/new/anthropic/",
    "/admin/providers/provider/wizard/1/models/", "/admin/providers/provider/wizard/1/done/",
    "/admin/routing/payloadrecord/", "/admin/routing/payloadrecord/dataset/",
)  # fmt: skip


def eventually(condition: Callable[[], bool], within_s: float = 5) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False


def test_a_provider_added_with_the_wizard_answers_without_a_restart(open_page: Open, site: Site) -> None:
    page = open_page("/admin/")
    page.get_by_role("link", name="Add a provider").click()
    page.get_by_role("link", name="OpenAI or compatible").click()
    expect(page.get_by_label("Base URL")).to_have_value("https://api.openai.com/v1")
    page.get_by_label("Name").fill("second")
    page.get_by_label("Base URL").fill(f"{site.upstream}/v1")
    page.get_by_label("API key").fill("sk-typed-by-hand-0123456789")
    page.get_by_role("button", name="Save and test").click()
    expect(page.get_by_role("heading", name="second works")).to_be_visible(timeout=15_000)
    page.get_by_role("link", name="Choose models").click()
    page.get_by_role("checkbox", name="demo-small").check()
    page.get_by_label("Input price of demo-small").fill("0.5")
    page.get_by_role("button", name="Serve these models").click()
    expect(page.get_by_role("heading", name="second is live")).to_be_visible()
    assert "second/demo-" in page.locator("#curl-line").inner_text()
    assert eventually(lambda: site.chat("second/demo-small")[0] == 200)


def test_a_provider_that_is_disabled_hands_its_calls_to_the_next(open_page: Open, site: Site) -> None:
    page = open_page("/admin/providers/provider/add/")
    page.get_by_label("Name").fill("spare")
    page.get_by_label("Base URL").fill(f"{site.upstream}/v1")
    page.get_by_label("Priority").fill("50")
    page.locator("a[href='#credentials']").click()
    page.locator("#credentials-group").get_by_text("Add another").click()
    page.locator("[name=credentials-0-secret]").fill("sk-typed-by-hand-0123456789")
    page.locator("a[href='#deployments']").click()
    page.locator("#deployments-group").get_by_text("Add another").click()
    page.locator("[name=deployments-0-model]").fill("demo-large")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("was added successfully")).to_be_visible()
    assert eventually(lambda: site.chat("spare/demo-large")[0] == 200)
    # Whoever else serves the model: "second" too, when the wizard was tried before.
    others = [name for name in ("first", "second") if page.get_by_role("link", name=name, exact=True).count()]
    assert site.chat("demo-large")[1]["x-llm-proxy-provider"] in others

    def change(action: str) -> None:
        for name in others:
            row = page.locator("tr", has=page.get_by_role("link", name=name, exact=True))
            row.locator("input.action-select").check()
        page.locator("select[name=action]").select_option(action)
        page.get_by_role("button", name="Run").click()
        expect(page.get_by_text(f"{len(others)} changed.")).to_be_visible()

    change("disable")
    assert eventually(lambda: site.chat("demo-large")[1].get("x-llm-proxy-provider") == "spare")
    change("enable")
    assert eventually(lambda: site.chat("demo-large")[1].get("x-llm-proxy-provider") in others)


def test_a_new_key_is_shown_once_and_works(open_page: Open, site: Site) -> None:
    page = open_page("/admin/accounts/apikey/add/")
    page.get_by_label("Name", exact=False).first.fill("from the browser")
    page.get_by_role("button", name="Save", exact=True).click()
    token = TOKEN.findall(page.locator("#token").inner_text())[0]
    assert eventually(lambda: site.chat("demo-small", token)[0] == 200)
    page.reload()
    expect(page).to_have_url(re.compile(r"/admin/accounts/apikey/\d+/change/$"))
    assert token not in page.content()

    page.get_by_role("link", name="Revoke").click()
    page.get_by_role("button", name="Revoke for good").click()
    expect(page.get_by_text("is revoked.")).to_be_visible()
    assert eventually(lambda: site.chat("demo-small", token)[0] == 401)


def test_a_priority_is_changed_in_the_list(open_page: Open) -> None:
    page = open_page("/admin/providers/provider/")
    row = page.locator("tr", has=page.get_by_role("link", name="first", exact=True))
    row.get_by_role("spinbutton").fill("3")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("was changed successfully")).to_be_visible()
    expect(row.get_by_role("spinbutton")).to_have_value("3")
    row.get_by_role("spinbutton").fill("1")
    page.get_by_role("button", name="Save").click()


def test_the_language_is_the_browsers_until_somebody_chooses(open_page: Open) -> None:
    page = open_page("/admin/", locale="pt-BR")
    expect(page.get_by_role("heading", name="Precisa de atenção")).to_be_visible()
    page.locator("#nav-sidebar-inner").get_by_text("operator").first.click()
    page.get_by_role("button", name=re.compile("English")).click()
    expect(page.get_by_role("heading", name="Needs attention")).to_be_visible()


def test_the_theme_chosen_on_a_page_holds_in_the_admin(open_page: Open, watched: Watched) -> None:
    watched.allowed.add("404")
    page = open_page("/no/such/page", color_scheme="light")
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    toggle = page.get_by_role("button", name=re.compile("Theme"))
    toggle.click()
    toggle.click()
    assert page.evaluate(background) != light
    page.get_by_role("link", name="Admin").first.click()
    expect(page.locator("html")).to_have_class(re.compile("dark"))


def test_who_walks_with_the_keyboard_sees_where_they_are(open_page: Open, site: Site) -> None:
    page = open_page("/admin/")
    unseen = []
    for path in ("/admin/", "/admin/providers/provider/add/", "/dashboard/", "/playground/"):
        page.goto(site.url + path)
        for _ in range(50):
            page.keyboard.press("Tab")
            if problem := page.evaluate(UNSEEN_FOCUS):
                unseen.append((path, problem))
    assert unseen == []


def test_the_wizard_is_walked_with_the_keyboard(open_page: Open) -> None:
    page = open_page("/admin/providers/provider/wizard/")
    page.get_by_role("link", name="Anthropic").focus()
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"
    page.keyboard.press("Enter")
    expect(page.get_by_label("Base URL")).to_have_value("https://api.anthropic.com")
    page.wait_for_load_state("networkidle")
    page.get_by_label("Name").click()
    for name in ("base_url", "secret", "environment_variable"):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.name") == name, page.evaluate("document.activeElement.outerHTML")
    page.keyboard.press("Enter")
    expect(page.get_by_text("answers nobody without a key")).to_be_visible()


@pytest.mark.parametrize("language", ["en-US", "pt-BR"])
def test_no_page_is_wider_than_a_phone(open_page: Open, site: Site, language: str) -> None:
    page = open_page("/admin/", viewport=PHONE, locale=language)
    wide = {}
    for path in PAGES:
        page.goto(site.url + path)
        wide[path] = page.evaluate("document.documentElement.scrollWidth")
    assert {path: width for path, width in wide.items() if width > PHONE["width"]} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_can_be_read_by_everybody(open_page: Open, site: Site, scheme: str) -> None:
    page = open_page("/admin/", color_scheme=scheme)
    found: list[str] = []
    for path in READ_BY_ALL:
        page.goto(site.url + path)
        found += violations(page)
    assert found == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_earlier_version_can_be_read_and_leads_back_to_the_history(open_page: Open, scheme: str) -> None:
    page = open_page("/admin/providers/provider/1/history/", color_scheme=scheme)
    page.locator("table a[href*='/history/']").last.click()
    expect(page.get_by_text("This is an earlier version. Revert puts it back.")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("link", name="History").click()
    expect(page).to_have_url(re.compile(r"/provider/1/history/$"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_login_and_error_pages_can_be_read_by_everybody(
    open_page: Open, site: Site, watched: Watched, scheme: str
) -> None:
    watched.allowed.add("404")
    page = open_page("/admin/login/", logged_in=False, color_scheme=scheme)
    found = violations(page)
    page.goto(f"{site.url}/no/such/page")
    assert found + violations(page) == []


def test_a_wrong_password_is_told_and_a_right_one_leads_on(open_page: Open, site: Site) -> None:
    page = open_page("/admin/providers/provider/", logged_in=False)
    page.get_by_label("Username").fill("operator")
    page.get_by_label("Password", exact=False).first.fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Please enter the correct")).to_be_visible()
    log_in(page, site)
    page.goto(f"{site.url}/admin/providers/provider/")
    expect(page.get_by_role("link", name="first", exact=True)).to_be_visible()
