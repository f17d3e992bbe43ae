"""What libraries log while Redis or the database is away: one sentence, and not the same again for a minute. Theirs is a
stack trace: each second from every worker's channel layer, and of 12 KB for each task that beat cannot send."""

import logging
import time
from collections.abc import Callable

from django.db import InterfaceError, OperationalError

LIBRARIES = frozenset({"channels_redis", "celery", "django_celery_beat"})
AWAY = (ConnectionError, TimeoutError, InterfaceError, OperationalError)
AGAIN_AFTER_S = 60.0


class OutageLines(logging.Filter):
    """For a handler. What is not about an outage, and what we log ourselves, passes as it is."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said: dict[str, tuple[str, float]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if error is None or not _of_library(record.name) or not is_outage(error):
            return True
        said, cause = record.getMessage().partition("\n")[0].rstrip(":"), str(error).strip().partition("\n")[0]
        sentence = said if cause in said else f"{said}: {cause}"
        record.msg, record.args, record.exc_info, record.exc_text = sentence, None, None, None
        now = self._clock()
        last, at = self._said.get(record.name, ("", 0.0))
        if sentence == last and now - at < AGAIN_AFTER_S:
            return False
        self._said[record.name] = sentence, now
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
