"""A library that tells of a server that is away does it in a line, and not in a stack trace each second."""

import logging
import sys
import traceback

import pytest
from celery.beat import SchedulingError
from django.db import OperationalError, ProgrammingError
from redis.exceptions import ConnectionError as RedisAway
from redis.exceptions import ReadOnlyError

from monitoring.outage_lines import AGAIN_AFTER_S, OutageLines
from tests.unit.monitoring.clock import Clock

PUBSUB = "channels_redis.pubsub"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def told(clock):
    """The record of a logger's line about an error, as a handler gets it; None when it gets none."""
    filtering = OutageLines(clock)

    def tell(name, error, text="Unexpected exception in receive task", *values):
        try:
            raise error
        except type(error):
            record = logging.LogRecord(name, logging.ERROR, __file__, 1, text, values, sys.exc_info())
        return record if filtering.filter(record) else None

    return tell


def raised_while_redis_is_away(error):
    """As beat words it anew: without a cause, while the broker's error is handled."""
    try:
        try:
            raise RedisAway("Error 111")
        except RedisAway:
            raise error  # noqa: B904
    except type(error) as raised:
        return raised


@pytest.mark.parametrize(
    "error", [RedisAway("gone"), ReadOnlyError("gone"), OperationalError("gone"), TimeoutError("gone")]
)
def test_an_outage_is_one_sentence_with_its_cause(told, error):
    record = told(PUBSUB, error)
    assert (record.getMessage(), record.exc_info) == ("Unexpected exception in receive task: gone", None)


def test_what_beat_cannot_send_is_told_without_a_stack(told):
    words = "Couldn't apply scheduled task Check: Error 111"
    error = raised_while_redis_is_away(SchedulingError(words))
    record = told("celery.beat", error, "Message Error: %s\n%s", words, traceback.format_stack())
    assert (record.getMessage(), record.exc_info) == (f"Message Error: {words}", None)


def test_the_same_is_not_said_again_for_a_minute(told, clock):
    assert told(PUBSUB, RedisAway("gone"))
    assert not told(PUBSUB, RedisAway("gone"))
    assert told("celery.beat", RedisAway("gone"))
    assert told(PUBSUB, RedisAway("refused"))
    clock.now += AGAIN_AFTER_S
    assert told(PUBSUB, RedisAway("refused"))


@pytest.mark.parametrize(
    ("name", "error"),
    [
        (PUBSUB, ValueError("a mistake")),
        ("celery.app.trace", ProgrammingError("no such column")),
        ("llm_proxy.routing.table", RedisAway("gone")),
    ],
)
def test_mistakes_and_what_we_say_ourselves_keep_their_traceback(told, name, error):
    for _ in range(2):
        record = told(name, error)
        assert record.getMessage() == "Unexpected exception in receive task"
        assert record.exc_info


def test_a_mistake_made_while_an_outage_was_handled_keeps_its_traceback(told):
    assert told("celery.app.trace", raised_while_redis_is_away(LookupError("a mistake"))).exc_info


def test_a_pool_tells_once_a_minute_why_it_has_no_connection(clock):
    filtering = OutageLines(clock)

    def tell(template, *values, level=logging.WARNING):
        record = logging.LogRecord("psycopg.pool", level, __file__, 1, template, values, None)
        return record.getMessage() if filtering.filter(record) else None

    refused = "connection failed: Connection refused\n\tIs the server running on that host?"
    failing, giving_up = "error connecting in %r: %s", "reconnection attempt in pool %r failed after %s sec"
    assert tell(failing, "pool-1", refused) == "error connecting in 'pool-1': connection failed: Connection refused"
    assert tell(giving_up, "pool-1", 2.0) == "reconnection attempt in pool 'pool-1' failed after 2.0 sec"
    assert [tell(failing, "pool-2", refused), tell(giving_up, "pool-2", 2.0)] == [None, None]
    assert tell(failing, "pool-1", "no password") is not None
    assert tell("pool %r is ready", "pool-1", level=logging.INFO) is not None
    clock.now += AGAIN_AFTER_S
    assert tell(failing, "pool-1", "no password") is not None


def test_lines_without_an_error_pass():
    record = logging.LogRecord(PUBSUB, logging.ERROR, __file__, 1, "said", (), None)
    assert OutageLines().filter(record)
