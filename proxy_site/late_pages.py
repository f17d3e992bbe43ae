"""Django's handler, loaded once the process listens: `/v1` needs neither the admin nor the other APIs, and they are a quarter
of a start."""

import gc
import threading
from asyncio import wrap_future
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any


class LatePages:
    """An ASGI application that `load` makes, in a thread: when `begin` is called, or at the first request, which waits
    for it as all do that come before it is there."""

    def __init__(self, load: Callable[[], Any]) -> None:
        self._load = load
        self._loaded: Future[Any] = Future()
        self._begun = threading.Lock()
        self._application: Any = None

    def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        if self._application is None:
            return self._wait(scope, receive, send)
        return self._application(scope, receive, send)

    def begin(self) -> None:
        """Returns at once; doing it again changes nothing."""
        if self._begun.acquire(blocking=False):
            # From now on no request that gives up waiting can cancel it.
            self._loaded.set_running_or_notify_cancel()
            threading.Thread(target=self._run, name="load-pages", daemon=True).start()

    def join(self) -> None:
        """Waits, in a thread, until nothing is being loaded any more."""
        self._loaded.exception()

    def _run(self) -> None:
        try:
            self._application = self._load()
            self._loaded.set_result(self._application)
        except BaseException as error:
            # Whoever waits for it is told; so is everybody after.
            self._loaded.set_exception(error)

    async def _wait(self, scope: Any, receive: Any, send: Any) -> None:
        self.begin()
        application = await wrap_future(self._loaded)
        await application(scope, receive, send)


def django_pages() -> Any:
    """Everything that Django answers, with its admin and its addresses already imported."""
    from importlib import import_module

    from django.conf import settings
    from django.contrib import admin
    from django.core.asgi import get_asgi_application

    from proxy_site.body_limit import BodyLimit

    admin.autodiscover()
    application = BodyLimit(get_asgi_application())
    import_module(settings.ROOT_URLCONF)
    # It is there to stay: the collector would take a fiftieth of a second, now and then, to find that out.
    gc.freeze()
    return application
