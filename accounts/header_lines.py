"""Response headers as HTTP writes them: encoded lines, each with its line end. Pure.

What an answer says in its headers is put together for every call. One format per group of headers, and joining what is
ready, costs a third of what pairs of names and values do.
"""

from collections.abc import Iterable
from typing import TypeAlias

HeaderLines: TypeAlias = bytes
HeaderPairs: TypeAlias = tuple[tuple[bytes, bytes], ...]


def header_lines(headers: Iterable[tuple[bytes, bytes]]) -> HeaderLines:
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def header_pairs(lines: HeaderLines) -> HeaderPairs:
    """For those who take headers one by one, as ASGI does."""
    split = [line.partition(b": ") for line in lines.split(b"\r\n") if line]
    return tuple([(name, value) for name, _, value in split])
