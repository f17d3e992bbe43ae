"""The documents agree with each other and with what they speak of: links lead somewhere, every page is in the site's
navigation, what is named exists, and the README's translation has all of its parts."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from django.conf import settings
from django.core.management import get_commands

from providers.adapters import REGISTRY, options_of
from providers.dialects.anthropic_messages import ModelTraits
from routing.endpoints.cors import EXPOSED_HEADERS
from routing.errors import RequestError

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
READMES = (ROOT / "README.md", ROOT / "README.pt-BR.md")
OTHERS = [path for name in ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md") if (path := ROOT / name).exists()]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
PICTURE = re.compile(r'\b(?:src|srcset)="([^"]+)"')
FAMILIES = ("x-llm-proxy-", "x-ratelimit-")
"""Headers that the document names together."""
PART = re.compile(
    r"(?<![\w/.-])(?:tests|docker|docs|routing|monitoring|providers|accounts|proxy_site|rows(?!/s\b))/[\w./-]*\w"
)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(path: Path) -> str:
    """Without blocks of code, in which brackets are not links."""
    return re.sub(r"^```.*?^```", "", path.read_text(), flags=re.M | re.S)


def anchors(path: Path) -> set[str]:
    """Of the headings, as GitHub and mkdocs make them."""
    titles = re.findall(r"^#+ (.+)$", prose(path), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def page_names(entry: object) -> set[str]:
    if isinstance(entry, str):
        return {entry}
    parts = entry.values() if isinstance(entry, dict) else entry
    return set().union(*(page_names(part) for part in parts))  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", [*PAGES, *READMES, *OTHERS], ids=name)
def test_links_lead_somewhere(path: Path) -> None:
    text = prose(path)
    for target in LINK.findall(text) + PICTURE.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), target
        if path.is_relative_to(DOCS):
            assert there.is_relative_to(DOCS), f"{target} is outside the site"
        assert not anchor or anchor in anchors(there), target


def test_every_page_is_in_the_navigation() -> None:
    listed = page_names(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    decisions = {str(path.relative_to(DOCS)) for path in (DOCS / "adr").glob("[0-9]*.md")}
    assert listed == {str(path.relative_to(DOCS)) for path in PAGES} - decisions
    assert decisions == {f"adr/{target}" for target in LINK.findall((DOCS / "adr" / "README.md").read_text())}


@pytest.mark.parametrize("path", [*PAGES, *READMES], ids=name)
def test_files_and_commands_that_are_named_exist(path: Path) -> None:
    text = path.read_text()
    for part in PART.findall(text):
        assert (ROOT / part).exists() or list(ROOT.glob(f"{part}*")), part
    for command in re.findall(r"manage\.py ([a-z_]+)", text):
        assert command in get_commands() or command == "COMMAND", command


@pytest.mark.parametrize("path", [*PAGES, *READMES], ids=name)
def test_variables_that_are_named_are_read(path: Path) -> None:
    read = (ROOT / "proxy_site" / "settings.py").read_text()
    kinds = {f"PROXY_API_{kind}_API_KEY" for kind in settings.PROVIDER_KINDS_IN_ENVIRONMENT}
    named = set(re.findall(r"\bPROXY_API_[A-Z_]+[A-Z]\b", path.read_text())) - kinds - {"PROXY_API_KIND_API_KEY"}
    assert {each for each in named if f'"{each.removesuffix("_FILE")}"' not in read} == set()


def test_every_code_of_an_error_and_every_header_that_pages_may_read_is_listed() -> None:
    text = (DOCS / "api.md").read_text()
    kinds = [RequestError, *RequestError.__subclasses__()]
    assert [kind.code for kind in kinds if kind.code is not None and f"`{kind.code}`" not in text] == []
    headers = [header for header in EXPOSED_HEADERS.decode().split(", ") if not header.startswith(FAMILIES)]
    assert [header for header in headers if f"`{header}" not in text] == []


def test_every_option_that_an_adapter_reads_is_declared_and_every_other_is_read() -> None:
    adapters = [path.read_text() for path in (ROOT / "providers" / "adapters").glob("*.py")]
    read = {option for text in adapters for option in re.findall(r'options(?:\.get\(|\[)"(\w+)"', text)}
    elsewhere = {"app_url", "app_title", "app_categories", "preset", "web_search", "list_prices", "region"}
    assert read >= {"paths", "dialect"}
    declared = {each.name for kind in REGISTRY for model in (False, True) for each in options_of(kind, of_model=model)}
    assert declared == read | elsewhere
    text = (DOCS / "configuration.md").read_text().partition("## options of")[2]
    assert {name for name in (*declared, *(trait.name for trait in fields(ModelTraits))) if name not in text} == set()


def test_the_translation_has_every_part_of_the_readme() -> None:
    def parts(path: Path) -> list[object]:
        text = path.read_text()
        code = re.findall(r"^(?: {4}\S.*|```\w*)$", text, re.M)
        shown = [re.sub(r"#.*|Hello!|Olá!", "", line).rstrip() for line in code]
        commands = sorted(set(re.findall(r"`(manage\.py [a-z_]+|/v1/[a-z/]+|--?[a-z-]+)", text)))
        rows = len(re.findall(r"^\| (?!---)", text, re.M))
        return [len(re.findall(r"^## ", text, re.M)), shown, commands, rows]

    english, portuguese = map(parts, READMES)
    assert portuguese == english
