"""Every overflow text of every provider is recognised, through the adapters' own door, and 200 other errors are not."""

import itertools

import orjson
import pytest

from providers.dialects.upstream_errors import read_error
from providers.errors import ContextOverflow
from routing.condensation import overflow_by_keyword
from routing.configuration.document import Condensation
from tests.unit.providers.test_overflow import TEXTS
from tests.unit.routing.other_errors import OTHER_ERRORS

KEYWORDS = Condensation().error_keywords
BODIES = (
    lambda text: {"error": {"message": text, "type": "invalid_request_error", "param": None, "code": None}},
    lambda text: {"type": "error", "error": {"type": "invalid_request_error", "message": text}},
    lambda text: {"code": "Client specified an invalid argument", "error": text},
    lambda text: {"message": text},
    lambda text: {"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": text}}},
)
REFUSALS = (400, 413, 422)
OTHERS = (401, 404, 429, 500, 502, 503, 529)


@pytest.mark.parametrize("status", REFUSALS)
@pytest.mark.parametrize("text", [text for text, *_ in TEXTS])
def test_every_providers_overflow_is_one(text: str, status: int) -> None:
    for body in BODIES:
        error = read_error(status, {}, orjson.dumps(body(text)))
        assert isinstance(overflow_by_keyword(error, KEYWORDS), ContextOverflow), body(text)


def test_two_hundred_other_errors_are_none() -> None:
    assert len(set(OTHER_ERRORS)) >= 200
    for text, status, body in itertools.product(OTHER_ERRORS, REFUSALS + OTHERS, BODIES):
        error = read_error(status, {}, orjson.dumps(body(text)))
        assert not isinstance(overflow_by_keyword(error, KEYWORDS), ContextOverflow), (status, text)
