"""Which rows a configuration file manages."""

from typing import Any

FILE = "file"


def in_file(row: Any) -> bool:
    """Whether a configuration file manages `row`, or the provider it belongs to. Two columns say so: clients' rows
    have `managed_by`, the others `source`. A stored secret is in no file, which only names it."""
    if FILE in (getattr(row, "managed_by", ""), getattr(row, "source", "")):
        return True
    return beside_file(row) and getattr(row, "environment_variable", None) != ""


def beside_file(row: Any) -> bool:
    """Whether it belongs to a provider that a configuration file manages."""
    return getattr(getattr(row, "provider", None), "source", "") == FILE
