"""An operator's first hour in one go: a provider is added, tried, lost, found again and understood."""

import contextlib
import re
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from providers.demo import create_app
from tests.browser.conftest import Site, log_in, violations
from tests.upstreams.servers import run_asgi

Open = Callable[..., Page]
BACKGROUND = "getComputedStyle(document.body).backgroundColor"


@pytest.fixture(autouse=True)
def patience() -> None:
    """A machine that is busy with other tests is slow, not wrong."""
    expect.set_options(timeout=15_000)


def add_with_the_wizard(page: Page, upstream: str) -> None:
    page.get_by_role("link", name="Add a provider").first.click()
    page.get_by_role("link", name="OpenAI or compatible").click()
    page.get_by_label("Name").fill("mine")
    page.get_by_label("Base URL").fill(f"{upstream}/v1")
    page.get_by_label("API key").fill("sk-typed-by-hand-0123456789")
    page.get_by_role("button", name="Save and test").click()
    expect(page.get_by_role("heading", name="mine works")).to_be_visible()
    page.get_by_role("link", name="Choose models").click()
    for name in ("demo-small", "demo-large", "demo-embedding"):
        page.get_by_role("checkbox", name=name).set_checked(name == "demo-small")
    page.get_by_role("button", name="Serve these models").click()
    expect(page.get_by_role("heading", name="mine is live")).to_be_visible()


def see_an_answer_stream(page: Page, site: Site) -> None:
    """The first words are there before the last, and the end tells where they came from."""
    option = page.locator("#model1 option[value='mine/demo-small']")
    deadline = time.monotonic() + 10
    while not option.count():
        assert time.monotonic() < deadline, "the playground does not offer the new provider"
        page.goto(f"{site.url}/playground/")
    page.locator("#model1").select_option("mine/demo-small")
    pane = page.locator("#pane1")
    page.get_by_role("button", name="Run").click()
    expect(pane.locator("[data-part=answer]")).not_to_be_empty()
    assert pane.locator("[data-part=state]").inner_text() != "Done"
    early = len(pane.locator("[data-part=answer]").inner_text())
    expect(pane.locator("[data-part=state]")).to_have_text("Done")
    assert len(pane.locator("[data-part=answer]").inner_text()) > early
    expect(pane.locator("[data-part=provider]")).to_have_text("mine/demo-small")


def test_a_provider_is_added_tried_lost_reset_and_understood(open_page: Open, site: Site) -> None:
    page = open_page("/livez", logged_in=False, color_scheme="light")
    log_in(page, site)
    page.goto(f"{site.url}/admin/")
    with contextlib.ExitStack() as running:
        upstream = running.enter_context(run_asgi(create_app(tokens=60, events_per_second=40)))
        add_with_the_wizard(page, upstream)
        see_an_answer_stream(page, site)
        page.goto(f"{site.url}/dashboard/")
        card = page.get_by_role("article", name="mine")
        expect(card.locator("header .state")).to_have_text("healthy")

    # The upstream is gone: the card turns without a reload, says why, and offers what helps.
    refused = [site.chat("mine/demo-small") for _ in range(5)]
    assert {status for status, _, _ in refused} <= {502, 503}
    expect(card.locator("header .state")).to_have_text("unavailable")
    expect(card.locator(".cause")).to_contain_text("cannot connect")
    expect(card.locator(".breaker")).to_contain_text("open until")
    expect(page.locator("#line")).to_contain_text("mine: ")
    card.get_by_role("button", name="Reset breaker").click()
    expect(card.locator(".breaker")).to_have_text("breaker closed")

    # One of the refused calls, read in Portuguese and in the dark.
    page.locator(f"#recent tr[data-id='{refused[0][1]['x-request-id']}']").get_by_role("link").click()
    expect(page.get_by_role("region", name="Attempts")).to_contain_text("cannot connect")
    page.get_by_role("button", name="Português Brasileiro").click()
    expect(page.get_by_role("heading", name="O que aconteceu")).to_be_visible()
    expect(page.get_by_role("region", name="Tentativas")).to_contain_text("não conecta")
    light = page.evaluate(BACKGROUND)
    toggle = page.get_by_role("button", name=re.compile("Tema"))
    toggle.click()
    toggle.click()
    assert page.evaluate(BACKGROUND) != light
    assert violations(page) == []
