"""Ids of tool calls, which a client sends back, and of which some providers refuse those of others for their length. Pure."""

import hashlib


def fitting(identifier: str, most: int) -> str:
    """At most so many characters: the same for the same id, so that calls and results still find each other."""
    if len(identifier) <= most:
        return identifier
    digest = hashlib.sha256(identifier.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{identifier[: most - 17]}_{digest}"
