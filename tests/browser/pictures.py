"""The pictures of the documentation, from real traffic: `python -m tests.browser.pictures [docs/images] [--minutes 6]`.

Every page in light and dark, as `NAME-light.png` and `NAME-dark.png`. One upstream is taken away before the end, so that
the pictures show what a failure looks like.
"""

import argparse
import contextlib
import shutil
import tempfile
import threading
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.browser.busy_site import PASSWORD, USER, BusySite, busy_site
from tests.conftest import CHROMIUM

LARGEST_BYTES = 250 * 1024
VIEW = {"width": 1280, "height": 860}
SETTLE_MS = 1500
LOST_S = 40


def log_in(page: Page, url: str) -> None:
    page.goto(f"{url}/admin/login/")
    page.get_by_label("Username").fill(USER)
    page.get_by_label("Password", exact=False).first.fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda address: "login" not in address)


def failed_over(site: BusySite) -> str:
    """A call that another provider answered after one had failed, made for the picture."""
    body = {"model": "command-a", "messages": [{"role": "user", "content": "Which tags fit this photograph?"}]}
    for _ in range(10):
        _, headers, _ = site.gateway.post("/v1/chat/completions", body)
        if int(headers.get("x-llm-proxy-attempts", "0")) > 1:
            break
    return headers["x-request-id"]


def ask_two_models(page: Page) -> None:
    page.get_by_label("Compare two models").check()
    page.locator("#model1").select_option("smart")
    page.locator("#model2").select_option("llama-3.3-70b")
    page.get_by_role("button", name="Run").click()
    for number in (1, 2):
        page.locator(f"#pane{number} [data-part=facts]").wait_for(state="visible")


def take(page: Page, site: BusySite, folder: Path, scheme: str, request_id: str) -> None:
    pages = {
        "dashboard": "/dashboard/",
        "provider": "/dashboard/providers/1/",
        "request": f"/dashboard/requests/{request_id}/",
        "usage": "/dashboard/usage/?by=model",
        "playground": "/playground/",
        "admin-home": "/admin/",
        "admin-providers": "/admin/providers/provider/",
    }
    for name, path in pages.items():
        page.goto(site.gateway.url + path)
        if name == "playground":
            ask_two_models(page)
        page.wait_for_timeout(SETTLE_MS)
        file = folder / f"{name}-{scheme}.png"
        page.screenshot(path=str(file))
        size = file.stat().st_size
        assert size <= LARGEST_BYTES, f"{file} has {size} bytes"
        print(f"{file} {size / 1024:.0f} KB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("docs/images"))
    parser.add_argument("--minutes", type=float, default=6)
    parser.add_argument("--template", type=Path, help="a data directory that is migrated already, to be copied")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        data_dir = Path(name) / "data"
        if options.template:
            shutil.copytree(options.template, data_dir)
        site = stack.enter_context(busy_site(data_dir))
        site.traffic(seconds=60 * options.minutes, rate=6)
        site.stop("cohere")
        request_id = failed_over(site)
        site.traffic(seconds=LOST_S, rate=6, seed=2)
        # The pages are looked at while calls go on.
        going_on = threading.Thread(target=site.traffic, kwargs={"seconds": 60, "rate": 6, "seed": 3})
        going_on.start()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            context = browser.new_context(viewport=VIEW)
            log_in(context.new_page(), site.gateway.url)
            state = context.storage_state()
            for scheme in ("light", "dark"):
                context = browser.new_context(viewport=VIEW, color_scheme=scheme, storage_state=state)  # type: ignore[arg-type]
                take(context.new_page(), site, options.folder, scheme, request_id)
            browser.close()
        going_on.join()


if __name__ == "__main__":
    main()
