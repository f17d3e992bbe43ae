"""What libraries log while Redis or the database is away: one sentence, and not the same again for a minute. Theirs is a
stack trace: each second from every worker's channel layer, and of 12 KB for each task that beat cannot send."""

import logging
import time
from collections.abc import Callable

from django.db import InterfaceError, OperationalError

LIBRARIES = frozenset({"channels_redis", "celery", "django_celery_beat"})
POOL = "psycopg.pool"
"""Two lines from every process whenever something asks for a connection, without an error beside them."""
AWAY = (ConnectionError, TimeoutError, InterfaceError, OperationalError)
AGAIN_AFTER_S = 60.0


class OutageLines(logging.Filter):
    """For a handler. What is not about an outage, and what we log ourselves, passes as it is."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said: dict[str, tuple[str, float]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name == POOL and record.levelno >= logging.WARNING:
            return self._of_pool(record)
        error = record.exc_info[1] if record.exc_info else None
        if error is None or not _of_library(record.name) or not is_outage(error):
            return True
        said, cause = record.getMessage().partition("\n")[0].rstrip(":"), str(error).strip().partition("\n")[0]
        sentence = said if cause in said else f"{said}: {cause}"
        record.msg, record.args, record.exc_info, record.exc_text = sentence, None, None, None
        return self._is_news(record.name, sentence)

    def _of_pool(self, record: logging.LogRecord) -> bool:
        """Whichever pool of the process it is: those of Celery's threads have a number each, and the same cause."""
        template, values = str(record.msg), record.args if isinstance(record.args, tuple) else ()
        cause = str(values[-1]).partition("\n")[0] if values else ""
        record.msg, record.args = record.getMessage().partition("\n")[0], None
        return self._is_news(f"{record.name} {template}", cause)

    def _is_news(self, subject: str, sentence: str) -> bool:
        now = self._clock()
        last, at = self._said.get(subject, ("", -AGAIN_AFTER_S))
        if sentence == last and now - at < AGAIN_AFTER_S:
            return False
        self._said[subject] = sentence, now
        return True


def is_outage(error: BaseException | None) -> bool:
    """Whether it says that a server is away, or was raised because of one that does."""
    while error is not None:
        if isinstance(error, AWAY) or _is_redis(error):
            return True
        # What happened to be handled when another mistake was made is a cause only where a library words it anew.
        error = error.__cause__ or (error.__context__ if _of_library(type(error).__module__) else None)
    return False


def _is_redis(error: BaseException) -> bool:
    """Without the library, which is a tenth of a worker's memory, and which most installations do without."""
    return any((kind.__module__, kind.__name__) == ("redis.exceptions", "RedisError") for kind in type(error).__mro__)


def _of_library(name: str) -> bool:
    return name.partition(".")[0] in LIBRARIES
