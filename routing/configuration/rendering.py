"""A Configuration as YAML or JSON text; reading it gives the same Configuration again. Pure."""

import re
from decimal import Decimal
from typing import Any

import orjson
import yaml

from routing.configuration.document import Configuration
from routing.configuration.schema import ROOT
from routing.configuration.veiled import Veiled, shown_variable

_BREAKS = re.compile("[\x85\u2028\u2029]")


def plain(configuration: Configuration) -> dict[str, Any]:
    """Mappings, lists and scalars; money is `Decimal`, what is not to be seen `Veiled`."""
    found = ROOT.plain(configuration)
    assert isinstance(found, dict)
    return found


def shown(configuration: Configuration) -> dict[str, Any]:
    """The same to be looked at: what may be a key that was taken for the name of its variable is `Veiled` as well."""
    found = plain(configuration)
    for entry in found.get("providers", ()):
        for named, key in ((entry, "api_key_env"), *((each, "env") for each in entry.get("credentials", ()))):
            name = named.get(key)
            if name is not None and shown_variable(name) != name:
                named[key] = Veiled(name, shown_variable(name))
    return found


def render(configuration: Configuration, *, style: str = "yaml") -> str:
    """`style` is yaml or json."""
    return render_plain(plain(configuration), style=style)


def render_plain(document: dict[str, Any], *, style: str = "yaml") -> str:
    """The same of plain data, with `Decimal` for money."""
    if style == "json":
        options = orjson.OPT_INDENT_2 | orjson.OPT_PASSTHROUGH_DATACLASS
        text = orjson.dumps(document, default=_fragment, option=options).decode()
        return text.replace("\x7f", "\\u007f") + "\n"
    return str(yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120))


def _fragment(value: object) -> orjson.Fragment | str | None:
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f"))
    if isinstance(value, Veiled):
        return value.written
    raise TypeError(type(value).__name__)


class _Dumper(yaml.SafeDumper):
    """Writes money with every digit, and no anchors: a document is read by people."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _decimal(dumper: yaml.SafeDumper, value: Decimal) -> yaml.ScalarNode:
    text = format(value, "f")
    return dumper.represent_scalar(f"tag:yaml.org,2002:{'float' if '.' in text else 'int'}", text)


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    """Breaks that are no newline to people are one to YAML, and read as a space: escaped, they stay what they are."""
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style='"' if _BREAKS.search(value) else None)


def _veiled(dumper: yaml.SafeDumper, value: Veiled) -> yaml.Node:
    return dumper.represent_data(value.written)


_Dumper.add_representer(Decimal, _decimal)
_Dumper.add_representer(Veiled, _veiled)
_Dumper.add_representer(str, _text)
