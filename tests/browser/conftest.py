"""A real Chromium on the real server process. A test fails when the page logs an error or asks anything of another host."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Route, expect, sync_playwright

from providers.demo import create_app
from tests.conftest import CHROMIUM
from tests.e2e.gateway_process import GatewayProcess, fresh_copy
from tests.upstreams.servers import run_asgi

USER, PASSWORD = "operator", "a-password-for-tests"
# How long to wait for what a page shall show; no claim about its speed. A browser shares two cores with other tests.
expect.set_options(timeout=20_000)
AXE = Path(__file__).with_name("vendor") / "axe.min.js"
# The whole result is megabytes of what passed.
AXE_FINDINGS = """async () => {
    const rules = {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'], resultTypes: ['violations']};
    const {violations} = await axe.run(document, rules);
    return violations
        .filter(({impact}) => impact === 'serious' || impact === 'critical')
        .flatMap(({id, nodes}) => nodes.map(({target, failureSummary}) => `${id}: ${target} ${failureSummary}`));
}"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker("browser")


@dataclass
class Site:
    """The server under test, and the demo upstream that its providers lead to."""

    process: GatewayProcess
    upstream: str

    @property
    def url(self) -> str:
        return self.process.url

    def chat(self, model: str, key: str = "") -> tuple[int, dict[str, str], bytes]:
        body = {"model": model, "messages": [{"role": "user", "content": "Hello!"}]}
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return self.process.post("/v1/chat/completions", body, headers)


@dataclass
class Watched:
    """What went wrong in a page without anybody seeing it."""

    problems: list[str] = field(default_factory=list)
    allowed: set[str] = field(default_factory=set)
    """Parts of messages that belong to the test, such as the 404 of a page that shall not be found."""

    def note(self, problem: str) -> None:
        if not any(part in problem for part in self.allowed):
            self.problems.append(problem)


@pytest.fixture(scope="module")
def site(migrated_data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with run_asgi(create_app()) as upstream:
        process = GatewayProcess(fresh_copy(migrated_data_dir, tmp_path_factory.mktemp("browser") / "data"))
        models = ["demo-small", "demo-large"]
        process.seed(
            {
                "providers": [{"name": "first", "base_url": f"{upstream}/v1", "models": models}],
                "administrators": [{"username": USER, "password": PASSWORD}],
            }
        )
        process.start()
        yield Site(process, upstream)
        process.stop()


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        options = [
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
        ]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture
def watched() -> Iterator[Watched]:
    found = Watched()
    yield found
    assert found.problems == []


@pytest.fixture(scope="module")
def session_state(chromium: Browser, site: Site) -> Any:
    """The cookies of a person who is logged in, got once through the login page."""
    context = chromium.new_context()
    page = context.new_page()
    log_in(page, site)
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def open_page(chromium: Browser, site: Site, session_state: Any, watched: Watched) -> Iterator[Any]:
    """`open_page("/admin/", color_scheme="dark", …)`: a logged-in page in a context of its own."""
    contexts: list[BrowserContext] = []

    def open_one(path: str, *, logged_in: bool = True, **options: Any) -> Page:
        context = chromium.new_context(storage_state=session_state if logged_in else None, **options)
        contexts.append(context)
        page = context.new_page()
        watch(page, site, watched)
        page.goto(site.url + path)
        return page

    yield open_one
    for context in contexts:
        context.close()


def watch(page: Page, site: Site, watched: Watched) -> None:
    own = (site.url, site.url.replace("http", "ws", 1), "data:", "blob:", "about:")

    def route(request: Route) -> None:
        if request.request.url.startswith(own):
            request.continue_()
        else:
            watched.note(f"asked another host: {request.request.url}")
            request.abort()

    def console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            watched.note(f"console: {message.text}")

    page.context.route("**/*", route)
    page.on("console", console)
    page.on("pageerror", lambda error: watched.note(f"exception: {error}"))


def log_in(page: Page, site: Site, user: str = USER) -> None:
    page.goto(f"{site.url}/admin/login/")
    page.get_by_label("Username").fill(user)
    page.get_by_label("Password", exact=False).first.fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "login" not in url)


def violations(page: Page) -> list[str]:
    """Serious and critical findings of axe, WCAG 2.1 A and AA, one line each."""
    page.evaluate(AXE.read_text())
    return [f"{page.url}: {finding}" for finding in page.evaluate(AXE_FINDINGS)]
