"""Sets Django up without what no request of `/v1` needs.

httpx brings a command line (rich, Pygments), structlog a bridge to Twisted, Django REST framework a test client
(requests), unfold widgets for PostgreSQL's own fields (psycopg), only because they happen to be installed. A server uses
none of that, and it is a fifth of a worker's memory and of its start. The admin is loaded with the other pages, once the
process listens (see `late_pages`).
"""

import gc
import sys
from importlib.util import find_spec

NEVER_USED = ("rich", "pygments", "twisted", "requests")
OF_POSTGRESQL = ("psycopg",)
EXPORTER = "opentelemetry.exporter.otlp.proto.http"
"""Of the extra `otel`: it sends spans with requests."""
ADMIN, ADMIN_LATER = "django.contrib.admin", "django.contrib.admin.apps.SimpleAdminConfig"


def set_up() -> None:
    """In place of `django.setup()`, which does nothing when it is called afterwards. Until `started`, the garbage
    collector rests: all that a start makes is there to stay, and looking through it again and again was a sixth of it."""
    gc.disable()
    import django
    from django.conf import settings

    _hide(NEVER_USED if not _installed(EXPORTER) else tuple(name for name in NEVER_USED if name != "requests"))
    if "postgresql" not in settings.DATABASES["default"]["ENGINE"]:
        _hide(OF_POSTGRESQL)
    settings.INSTALLED_APPS = [ADMIN_LATER if app == ADMIN else app for app in settings.INSTALLED_APPS]
    django.setup()


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package that it would be in
        return False


def _hide(names: tuple[str, ...]) -> None:
    """From here on, importing one of these fails in this process as if it were not installed."""
    for name in names:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type] # None there is Python's own way to say so


def started() -> None:
    """The process begins to serve. What is there now stays, so the collector need not look at it any more, not even once:
    that would take a tenth of a second, and finds next to nothing."""
    gc.freeze()
    gc.enable()
