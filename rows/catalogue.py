"""The catalogue of what is publicly known of models: deployments are filled in from it, and prices that no row says.

It takes 100 MB and over a second to load, too much for every worker to keep for the few models it serves; so it is loaded
in a short-lived process, which imports nothing of ours.
"""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TypedDict

PROGRAM = Path(__file__).with_name("catalogue_program.py")
TIMEOUT_S = 60
# Our kinds of provider → the catalogue's ids. Of other kinds (one's own server, a reseller) no price is known.
CATALOGUE_IDS = {
    "openai": "openai",
    "openai_responses": "openai",
    "anthropic": "anthropic",
    "grok": "x-ai",
    "perplexity": "perplexity",
    "openrouter": "openrouter",
    "cohere": "cohere",
    "azure": "azure",
}


class Listed(TypedDict):
    """`tiers` as `catalogue_program` writes them, the lowest first."""

    context_window: int | None
    tiers: list[dict[str, int | None]]


class CatalogueUnreadable(Exception):
    """It may be readable a little later: its program is killed where memory is short."""


def look_up(pairs: Iterable[tuple[str, str]]) -> list[Listed | None]:
    """For each kind of `CATALOGUE_IDS` and model; None where the catalogue does not have it. Blocks for a second or two.
    Raises `CatalogueUnreadable`."""
    question = json.dumps([(CATALOGUE_IDS[kind], model) for kind, model in pairs])
    command = [sys.executable, "-I", str(PROGRAM)]
    try:
        done = subprocess.run(  # noqa: S603 our own program, nothing from outside in its arguments
            command, input=question, capture_output=True, text=True, timeout=TIMEOUT_S, check=True
        )
        answer: list[Listed | None] = json.loads(done.stdout)
    except (subprocess.SubprocessError, OSError, ValueError) as error:
        raise CatalogueUnreadable(str(error)) from error
    return answer
