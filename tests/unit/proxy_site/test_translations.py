"""Whatever a page can say is said in Portuguese too: every text in the source has an entry in a catalogue."""

import ast
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.utils.translation import template
from django.utils.translation.trans_real import translation

APPS = ("accounts", "monitoring", "providers", "proxy_site", "routing", "rows")
PLAIN = {"_", "gettext", "gettext_lazy", "gettext_noop"}
COUNTED = {"ngettext", "ngettext_lazy"}
IN_CONTEXT = {"pgettext", "pgettext_lazy"}
COUNTED_IN_CONTEXT = {"npgettext", "npgettext_lazy"}


def said_by(source: str) -> Iterator[str]:
    """Keys of a catalogue: the text, or context, EOT and the text."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        texts = [each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
        if not texts or name not in PLAIN | COUNTED | IN_CONTEXT | COUNTED_IN_CONTEXT:
            continue
        in_context = name in IN_CONTEXT | COUNTED_IN_CONTEXT
        yield f"{texts[0]}\x04{texts[1]}" if in_context else texts[0]


def sources() -> Iterator[tuple[Path, str]]:
    root = Path(settings.BASE_DIR)
    for app in APPS:
        for path in (root / app).rglob("*.py"):
            if "migrations" not in path.parts:
                yield path, path.read_text()
    for path in (root / "templates").rglob("*.html"):
        yield path, as_python(path.read_text())


def as_python(html: str) -> str:
    """Its texts as calls, one a line: what Django gives to gettext, without the placeholder letters between them."""
    lines = template.templatize(html).splitlines()
    return "\n".join(call for line in lines for call in _calls(line))


def _calls(line: str) -> Iterator[str]:
    for start in (
        index for index in range(len(line)) if line[index:].startswith(("gettext(", "_(", "ngettext(", "pgettext("))
    ):
        if start and (line[start - 1].isalnum() or line[start - 1] == "_"):
            continue
        for end in (index for index, letter in enumerate(line) if letter == ")" and index > start):
            try:
                ast.parse(call := line[start : end + 1].strip())
            except SyntaxError:
                continue
            yield call
            break


def test_every_text_of_programs_and_templates_has_a_portuguese_one():
    catalogue = translation("pt-br")._catalog
    missing = {
        f"{path.relative_to(settings.BASE_DIR)}: {key!r}"
        for path, source in sources()
        for key in said_by(source)
        if not catalogue.get(key) and not catalogue.get((key, 1))
    }
    assert sorted(missing) == []


def test_texts_are_found_in_every_way_of_writing_them():
    html = """{% load i18n %}{% translate "one" %}<p>{% translate 'two "quoted"' %}</p>{% translate "three" context "place" %}
    {% blocktranslate with a=b %}four {{ a }}{% endblocktranslate %}
    {% blocktranslate count n=m %}{{ n }} five{% plural %}{{ n }} fives{% endblocktranslate %} it is (fine)"""
    source = (
        as_python(html) + '\npgettext("place", "six")\nngettext("seven", "sevens", 3)\nobject.gettext("eight")\n_(text)'
    )
    expected = {"one", 'two "quoted"', "place\x04three", "four %(a)s", "%(n)s five", "place\x04six", "seven", "eight"}
    assert set(said_by(source)) == expected
