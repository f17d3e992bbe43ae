"""The playground in a real browser: a question is streamed, stopped, compared and turned into code."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Site, Watched, log_in

Open = Callable[..., Page]


@pytest.fixture(autouse=True)
def patience() -> None:
    """A machine that is busy with other tests is slow, not wrong."""
    expect.set_options(timeout=15_000)


def ask(page: Page, text: str) -> None:
    page.get_by_label("Your message").fill(text)
    page.get_by_role("button", name="Run").click()


def test_an_answer_streams_in_with_its_tokens_cost_and_reason(open_page: Open) -> None:
    page = open_page("/playground/")
    page.get_by_label("Model", exact=True).first.select_option("demo-small")
    ask(page, "Say something about rivers.")
    pane = page.locator("#pane1")
    expect(pane.locator("[data-part=state]")).to_have_text("Done")
    expect(pane.locator("[data-part=answer]")).to_contain_text("rivers")
    expect(pane.locator("[data-part=provider]")).to_have_text("first/demo-small")
    expect(pane.locator("[data-part=tokens]")).to_contain_text("out")
    expect(pane.locator("[data-part=times]")).to_contain_text("first token")
    expect(pane.locator("[data-part=times]")).to_contain_text(re.compile(r"\d ms in all"))
    pane.get_by_role("link", name="Why this one?").click()
    expect(page.get_by_role("region", name="Candidates")).to_contain_text("first/demo-small")


def test_two_models_answer_side_by_side(open_page: Open) -> None:
    page = open_page("/playground/")
    page.get_by_label("Compare two models").check()
    page.locator("#model1").select_option("demo-small")
    page.locator("#model2").select_option("first/demo-large")
    ask(page, "Say something about hills.")
    for number, model in ((1, "demo-small"), (2, "demo-large")):
        pane = page.locator(f"#pane{number}")
        expect(pane.locator("[data-part=state]")).to_have_text("Done")
        expect(pane.locator("[data-part=answer]")).to_contain_text(model)


def test_an_error_says_what_is_wrong(open_page: Open) -> None:
    page = open_page("/playground/")
    page.evaluate("document.querySelector('#model1').append(new Option('gone', 'gone'))")
    page.locator("#model1").select_option("gone")
    ask(page, "Hello?")
    expect(page.locator("#pane1 [data-part=state]")).to_contain_text("The model 'gone' does not exist")


def test_an_error_is_not_shown_with_the_figures_of_the_answer_before_it(open_page: Open) -> None:
    page = open_page("/playground/")
    page.evaluate("document.querySelector('#model1').append(new Option('gone', 'gone'))")
    page.locator("#model1").select_option("demo-small")
    ask(page, "Hello?")
    expect(page.locator("#pane1 [data-part=provider]")).to_have_text("first/demo-small")
    page.locator("#model1").select_option("gone")
    ask(page, "Hello?")
    expect(page.locator("#pane1 [data-part=state]")).to_contain_text("The model 'gone' does not exist")
    for part in ("provider", "tokens", "cost"):
        expect(page.locator(f"#pane1 [data-part={part}]")).to_have_text("–")


def test_the_same_request_is_shown_as_code(open_page: Open) -> None:
    page = open_page("/playground/")
    page.get_by_label("Your message").fill('It\'s "quoted"')
    page.locator("summary", has_text="Parameters").click()
    page.get_by_label("Temperature").fill("0.3")
    code = page.locator("#code")
    expect(code).to_contain_text("It'\\''s")
    expect(code).to_contain_text('"temperature": 0.3')
    page.get_by_role("button", name="Python").click()
    expect(code).to_contain_text("temperature=0.3,")
    expect(code).to_contain_text("stream=True,")
    page.get_by_role("button", name="JavaScript").click()
    expect(code).to_contain_text("await client.chat.completions.create(")


def test_a_copy_button_that_is_pressed_twice_has_its_word_again(open_page: Open) -> None:
    page = open_page("/playground/", permissions=["clipboard-read", "clipboard-write"])
    copy = page.get_by_role("button", name="Copy")
    copy.click()
    expect(page.locator("[data-copy]")).to_have_text("✓")
    page.locator("[data-copy]").click()
    page.wait_for_timeout(2000)
    expect(page.locator("[data-copy]")).to_have_text("Copy")


def test_who_has_logged_out_elsewhere_is_told_to_log_in_again(open_page: Open, site: Site, watched: Watched) -> None:
    watched.allowed.add("HTTP Authentication failed")
    page = open_page("/admin/login/", logged_in=False)
    log_in(page, site)
    page.goto(f"{site.url}/playground/")
    state = page.locator("#pane1 [data-part=state]")
    ask(page, "Hello?")
    expect(state).to_have_text("Done")
    elsewhere = page.context.new_page()
    elsewhere.goto(f"{site.url}/playground/")
    elsewhere.get_by_role("button", name="Log out").click()
    elsewhere.wait_for_load_state()
    for _ in ("on the socket that is open", "on a new one, which is refused"):
        ask(page, "Hello?")
        expect(state).to_have_text("Your session has ended: log in again.")
