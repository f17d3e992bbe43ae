"""Names as long as they may be, without a place to break at: no page becomes wider than its window."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from providers.demo import create_app
from tests.browser.conftest import PASSWORD, USER, Site
from tests.e2e.gateway_process import GatewayProcess, fresh_copy
from tests.upstreams.servers import run_asgi

Open = Callable[..., Page]
PROVIDER, MODEL, KEY, TEAM = "p" * 63, "m" * 100, "k" * 100, "t" * 100
PHONE, DESK = {"width": 390, "height": 850}, {"width": 1300, "height": 900}
PAGES = (
    "/dashboard/", "/dashboard/requests/", "/dashboard/requests/{}/", "/dashboard/providers/1/", "/playground/",
    "/dashboard/usage/", *(f"/dashboard/usage/?by={group}" for group in ("team", "key", "model", "provider")),
)  # fmt: skip
BEYOND_ITS_WINDOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
CUT_OFF = """() => [...document.querySelectorAll('#result_list [data-label]')]
    .filter((cell) => cell.scrollWidth > cell.clientWidth + 1 || cell.scrollHeight > cell.clientHeight + 1)
    .map((cell) => cell.dataset.label)"""


@pytest.fixture(scope="module")
def site(migrated_data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with run_asgi(create_app()) as upstream:
        process = GatewayProcess(fresh_copy(migrated_data_dir, tmp_path_factory.mktemp("browser") / "data"))
        model = {"model": MODEL, "upstream_model": "demo-small", "input_nano_usd_per_mtok": 10**12}
        process.seed(
            {
                "providers": [{"name": PROVIDER, "base_url": f"{upstream}/v1", "models": [model]}],
                "administrators": [{"username": USER, "password": PASSWORD}],
            }
        )
        order = ("create_api_key", KEY, "--team", TEAM, "--budget-tokens", "1000000000", "--json")
        process.key = json.loads(process.manage(*order))["key"]
        process.start()
        site = Site(process, upstream)
        yield site
        process.end()


@pytest.fixture(scope="module")
def request_id(site: Site) -> str:
    """Of a call that was made, so that pages have something to show."""
    status, headers, _ = site.chat(MODEL, site.process.key)
    assert (status, headers["x-llm-proxy-provider"]) == (200, PROVIDER)
    site.process.get("/usage")
    time.sleep(1)
    return headers["x-request-id"]


@pytest.mark.parametrize("window", [PHONE, DESK], ids=["phone", "desk"])
def test_no_page_is_wider_than_its_window(open_page: Open, site: Site, request_id: str, window: dict[str, int]) -> None:
    page = open_page("/livez", viewport=window)
    beyond = {}
    for path in PAGES:
        page.goto(site.url + path.format(request_id))
        page.wait_for_load_state("networkidle")
        beyond[path] = page.evaluate(BEYOND_ITS_WINDOW)
    assert {path: pixels for path, pixels in beyond.items() if pixels > 0} == {}


@pytest.mark.parametrize("language", ["en-US", "pt-BR"])
def test_lists_of_requests_need_no_scrolling_sideways_on_a_phone(
    open_page: Open, site: Site, request_id: str, language: str
) -> None:
    page = open_page("/livez", viewport=PHONE, locale=language)
    for path in ("/dashboard/", "/dashboard/requests/"):
        page.goto(site.url + path)
        expect(page.locator("table.requests .went").first).to_be_visible()
        beyond = page.locator(".table-scroll:has(table.requests)").evaluate(
            "(node) => node.scrollWidth - node.clientWidth"
        )
        assert beyond <= 0, path
        assert page.locator("table.requests tbody tr").first.bounding_box()["height"] <= 130, path  # type: ignore[index]


@pytest.mark.parametrize("language", ["en-US", "pt-BR"])
def test_tables_of_one_request_of_one_provider_and_of_usage_need_no_scrolling_sideways_on_a_phone(
    open_page: Open, site: Site, request_id: str, language: str
) -> None:
    page = open_page("/livez", viewport=PHONE, locale=language)
    beyond = {}
    for path, tables in ((f"/dashboard/requests/{request_id}/", 2), ("/dashboard/providers/1/", 1), (PAGES[-1], 1)):
        page.goto(site.url + path)
        expect(page.locator("table.stacked")).to_have_count(tables)
        for index, table in enumerate(page.locator(".table-scroll:has(table.stacked)").all()):
            beyond[path, index] = table.evaluate("(node) => node.scrollWidth - node.clientWidth")
        unsaid = "[...document.querySelectorAll('.stacked td.number:not([data-label])')].map((cell) => cell.outerHTML)"
        assert page.evaluate(unsaid) == [], path
    assert {where: pixels for where, pixels in beyond.items() if pixels > 0} == {}


def test_figures_stay_beside_a_long_name(open_page: Open, request_id: str) -> None:
    page = open_page("/dashboard/usage/?by=model", viewport=DESK)
    expect(page.get_by_role("columnheader", name="Cached tokens")).to_be_in_viewport(ratio=1)


def test_every_grouping_can_be_chosen_on_a_phone(open_page: Open, request_id: str) -> None:
    page = open_page("/dashboard/usage/", viewport=PHONE)
    for name in ("Team", "Key", "Model", "Provider", "Day"):
        expect(page.get_by_role("link", name=name, exact=True)).to_be_in_viewport(ratio=1)


def test_lists_of_the_admin_cut_nothing_off_on_a_phone(open_page: Open, site: Site, request_id: str) -> None:
    page = open_page("/admin/", viewport={"width": 360, "height": 780}, locale="pt-BR")
    for name in ("accounts/apikey", "accounts/usagerecord", "routing/configurationrevision", "accounts/budget"):
        page.goto(f"{site.url}/admin/{name}/")
        expect(page.locator("#result_list [data-label]").first).to_be_visible()
        assert page.evaluate(CUT_OFF) == [], name


def test_a_long_name_leaves_the_other_columns_of_a_list_in_sight(open_page: Open, request_id: str) -> None:
    page = open_page("/admin/accounts/apikey/", viewport=DESK)
    expect(page.get_by_role("columnheader", name="State")).to_be_in_viewport(ratio=1)


def test_what_is_wrong_with_a_long_model_name_fits_into_the_wizard(open_page: Open, request_id: str) -> None:
    page = open_page("/admin/providers/provider/wizard/1/models/", viewport=DESK)
    page.get_by_label("Other model names").fill("x" * 300)
    page.get_by_role("button", name="Serve these models").click()
    note = page.locator(".errornote")
    expect(note).to_contain_text("at most 200 characters")
    # The page itself stays as it is: what sticks out of the note is cut off by what is around it.
    assert note.evaluate("(node) => node.scrollWidth - node.clientWidth") <= 0
