"""The playground in a real browser: a conversation is streamed, compared, taken back and turned into code."""

import base64
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Site, Watched, log_in, violations

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


def test_a_conversation_goes_on_is_taken_back_and_begun_anew(open_page: Open) -> None:
    page = open_page("/playground/")
    pane, box = page.locator("#pane1"), page.get_by_label("Your message")
    for question in ("Say something about lakes.", "And about wells?"):
        ask(page, question)
        expect(pane.locator("[data-part=answer]")).to_contain_text(question)
        expect(pane.locator("[data-part=state]")).to_have_text("Done")
        expect(box).to_have_value("")
    expect(pane.locator(".turn")).to_have_count(3)
    roles = page.locator("#code").inner_text().count('"role": "assistant"')
    assert roles == 1, "the code does not ask what was asked last"
    page.get_by_role("button", name="Take back").click()
    expect(box).to_have_value("And about wells?")
    expect(pane.locator(".turn")).to_have_count(2)
    box.fill("")
    page.get_by_role("button", name="New conversation").click()
    expect(box).to_have_value("Say something about lakes.")
    expect(pane.locator(".turn")).to_have_count(0)


def test_a_tool_that_the_model_calls_is_given_its_result_and_the_model_goes_on(open_page: Open) -> None:
    page = open_page("/playground/")
    page.locator("summary", has_text="Tools").click()
    page.get_by_label("Tools as JSON").fill('{"type": "function"}')
    ask(page, "What is the weather?")
    expect(page.get_by_role("alert").filter(has_text="A list of tools is needed")).to_be_visible()
    page.get_by_role("button", name="Put an example").click()
    page.get_by_role("button", name="Run").click()
    result = page.get_by_label("Result of get_weather")
    expect(page.locator("#pane1 .calls")).to_contain_text('get_weather {\n  "city"')
    page.get_by_role("button", name="Send the results").click()
    expect(result).to_be_focused()
    result.fill('{"celsius": 21}')
    page.keyboard.press("Control+Enter")
    expect(page.locator("#pane1 [data-part=answer]")).to_contain_text('the tool returned {"celsius": 21}')
    assert violations(page) == []


# One pixel.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PASTE = """(box, letters) => {
    const bytes = Uint8Array.from(atob(letters), (letter) => letter.charCodeAt(0));
    const clipboardData = new DataTransfer();
    clipboardData.items.add(new File([bytes], "pasted.png", { type: "image/png" }));
    box.dispatchEvent(new ClipboardEvent("paste", { clipboardData, cancelable: true }));
}"""


def test_images_are_chosen_pasted_or_named_and_go_with_the_message(open_page: Open, tmp_path: Path) -> None:
    page = open_page("/playground/")
    chosen, huge, notes = (tmp_path / name for name in ("chosen.png", "huge.png", "notes.txt"))
    for file in (chosen, huge, notes):
        file.write_bytes(PNG)
    os.truncate(huge, 5 * 1024 * 1024 + 1)
    page.locator("#image-file").set_input_files([chosen, huge, notes])
    expect(page.locator("#image-problem")).to_have_text(re.compile("huge.png has 5.0 MiB.*notes.txt is no image"))
    page.get_by_label("Your message").evaluate(PASTE, base64.b64encode(PNG).decode())
    page.locator("summary", has_text="Images").click()
    page.get_by_label("Address of an image").fill("https://images.invalid/far.png")
    page.keyboard.press("Enter")
    expect(page.locator("#images li")).to_have_count(3)
    expect(page.get_by_role("img", name="chosen.png")).to_be_visible()
    page.get_by_role("button", name="Remove chosen.png").click()
    ask(page, "What is this?")
    expect(page.locator("#pane1 [data-part=answer]")).to_contain_text("I received 2 images")
    expect(page.locator("#images li")).to_have_count(0)


PRINTED = re.compile(r"DEMO answer from demo-small: you asked .It's .quoted. \$HOME")


def test_the_same_request_as_code_is_a_program_that_works(open_page: Open, site: Site) -> None:
    page = open_page("/playground/", permissions=["clipboard-read", "clipboard-write"])
    page.locator("#model1").select_option("demo-small")
    page.locator("#image-file").set_input_files(
        [{"name": "a.png", "mimeType": "image/png", "buffer": PNG + b"x" * 200_000}]  # type: ignore[list-item]
    )
    page.get_by_label("Your message").fill('It\'s "quoted" $HOME')
    page.locator("summary", has_text="Parameters").click()
    page.get_by_label("Temperature").fill("0.3")
    page.locator("[data-copy]").click()
    expect(page.locator("[data-copy]")).to_have_text("✓")
    programs = {"curl": page.evaluate("navigator.clipboard.readText()")}
    for language in ("Python", "JavaScript"):
        page.get_by_role("button", name=language).click()
        expect(page.locator("#code")).to_contain_text("0.3")
        assert len(page.locator("#code").inner_text()) < 2000
        programs[language] = page.locator("#code").evaluate("code => code.wholeText()")
    environment = {**os.environ, "LLM_PROXY_KEY": site.process.key}
    # As input: no shell takes an argument of that length.
    for program, text in (("bash", programs["curl"]), (sys.executable, programs["Python"])):
        done = subprocess.run(
            [program], input=text, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        streamed = "".join(re.findall(r'"content":"((?:[^"\\]|\\.)*)"', done.stdout)) or done.stdout
        assert PRINTED.match(streamed.replace("\\", "")), done
    assert "await client.chat.completions.create(" in programs["JavaScript"]


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
