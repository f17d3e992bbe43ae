"""A real Chromium on the real server process. A test fails when the page logs an error or asks anything of another host."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    CDPSession,
    ConsoleMessage,
    Page,
    Request,
    WebSocket,
    expect,
    sync_playwright,
)

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
        process.end()


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        options = [
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--renderer-process-limit=1",
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
def session_cookies(site: Site) -> list[Any]:
    """Of a person who is logged in, got once and without a browser, which would take a second and a half of processor
    time. That the login page works in one is a test's own matter."""
    page = f"{site.url}/admin/login/"
    with httpx.Client(timeout=30) as client:
        client.get(page)
        form = {"username": USER, "password": PASSWORD, "csrfmiddlewaretoken": client.cookies["csrftoken"]}
        assert client.post(page, data=form, headers={"referer": page}).status_code == 302
        return [{"name": name, "value": value, "url": site.url} for name, value in client.cookies.items()]


class Contexts:
    """One browser context for all tests of a module that open their pages in the same way, emptied after each. A page
    stays open in it: with that, and one process for what is drawn, a test's page finds the scripts and styles compiled.
    A context of its own costs a test two seconds of processor time."""

    def __init__(self, chromium: Browser, url: str) -> None:
        self._chromium = chromium
        self._url = url
        self._kept: dict[str, tuple[BrowserContext, Page, CDPSession]] = {}
        self._fresh: list[BrowserContext] = []

    def page(self, cookies: list[Any], init_script: str, *, fresh: bool, options: dict[str, Any]) -> Page:
        key = repr((init_script, sorted(options.items())))
        if not fresh and key in self._kept:
            context = self._kept[key][0]
        else:
            context = self._chromium.new_context(**options)
            if init_script:
                context.add_init_script(init_script)
            if fresh:
                self._fresh.append(context)
            else:
                kept = context.new_page()
                kept.goto(f"{self._url}/livez")
                self._kept[key] = context, kept, context.new_cdp_session(kept)
        if cookies:
            context.add_cookies(cookies)
        return context.new_page()

    def empty(self) -> None:
        """No test finds what another left."""
        while self._fresh:
            self._fresh.pop().close()
        for context, kept, devtools in self._kept.values():
            for page in context.pages:
                if page is not kept:
                    # Not on its way to another: a page that is closed then may take long to end.
                    page.wait_for_load_state("domcontentloaded")
                    page.close()
            devtools.send("Storage.clearDataForOrigin", {"origin": self._url, "storageTypes": "all"})

    def close(self) -> None:
        for context, *_ in self._kept.values():
            context.close()


@pytest.fixture(scope="module")
def contexts(chromium: Browser, site: Site) -> Iterator[Contexts]:
    contexts = Contexts(chromium, site.url)
    yield contexts
    contexts.close()


@pytest.fixture
def open_page(contexts: Contexts, site: Site, session_cookies: list[Any], watched: Watched) -> Iterator[Any]:
    """`open_page("/admin/", color_scheme="dark", …)`: a page of somebody who is logged in. `fresh`: with an empty cache."""

    def open_one(
        path: str, *, logged_in: bool = True, init_script: str = "", fresh: bool = False, **options: Any
    ) -> Page:
        page = contexts.page(session_cookies if logged_in else [], init_script, fresh=fresh, options=options)
        watch(page, site, watched)
        page.goto(site.url + path)
        return page

    yield open_one
    contexts.empty()


def watch(page: Page, site: Site, watched: Watched) -> None:
    """Requests are looked at, not held: a browser whose requests are held keeps no cache, and every page costs twice."""
    own = (site.url, site.url.replace("http", "ws", 1), "data:", "blob:", "about:")

    def asked(request: Request | WebSocket) -> None:
        if not request.url.startswith(own):
            watched.note(f"asked another host: {request.url}")

    def console(message: ConsoleMessage) -> None:
        # Chromium asks for the icon by itself where a page names none.
        if message.type in ("error", "warning") and not message.location["url"].endswith("/favicon.ico"):
            watched.note(f"console: {message.text}")

    page.on("request", asked)
    page.on("websocket", asked)
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
