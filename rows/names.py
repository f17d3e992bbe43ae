"""What is answered to a name that there is not: the nearest one that there is, which was probably meant. Pure."""

import difflib
from collections.abc import Collection, Iterable

MOST_NAMED = 8
LONGEST_NAMED = 64


def unknown(thing: str, names: Iterable[object], known: Collection[str]) -> dict[str, str]:
    """Of the first of `names` that are not `known`, what to say of each; `thing` is such as `field`."""
    others = [str(name) for name in names if name not in known][:MOST_NAMED]
    near = {shown(name): _nearest(name, known) for name in others}
    return {name: f"There is no such {thing}" + (f"; did you mean '{it}'?" if it else ".") for name, it in near.items()}


def meant(name: str, known: Collection[str]) -> str:
    """As documents put it, after `expected`: `hedge_after?`, or all that there are."""
    near = _nearest(name, known)
    return f"{near}?" if near else "one of " + ", ".join(known)


def shown(name: str) -> str:
    # Half of a pair, as JSON can hold it, cannot be sent back.
    return name[:LONGEST_NAMED].encode("utf-8", "replace").decode()


def _nearest(name: str, known: Collection[str]) -> str | None:
    return next(iter(difflib.get_close_matches(shown(name), known, n=1)), None)
