"""Sets Django up without what libraries import only because it happens to be installed.

httpx brings a command line (rich, Pygments), structlog a bridge to Twisted, Django REST framework a test client
(requests), unfold widgets for PostgreSQL's own fields (psycopg). A server uses none of that, and it is a fifth of a
worker's memory and of its start.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

NEVER_USED = ("rich", "pygments", "twisted", "requests")
OF_POSTGRESQL = ("psycopg",)


def set_up() -> None:
    """In place of `django.setup()`, which does nothing when it is called afterwards. Until `started`, the garbage
    collector rests: all that a start makes is there to stay, and looking through it again and again was a sixth of it."""
    gc.disable()
    import django
    from django.conf import settings

    engine = settings.DATABASES["default"]["ENGINE"]
    with _absent(NEVER_USED if "postgresql" in engine else NEVER_USED + OF_POSTGRESQL):
        django.setup()


def started() -> None:
    """The process begins to serve. What is there now stays, so the collector need not look at it any more, not even once:
    that would take a tenth of a second, and finds next to nothing."""
    gc.freeze()
    gc.enable()


@contextmanager
def _absent(names: tuple[str, ...]) -> Iterator[None]:
    """Importing one of these fails as if it were not installed; afterwards whoever asks for it gets it."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type] # None there is Python's own way to say so
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
