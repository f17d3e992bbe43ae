"""What runs beside the server in the embedded default: the demo upstream, a real HTTP server in a thread of its own."""

import socket
import threading
import time

import uvicorn

from providers.demo import create_app
from providers.models import Provider, Source

START_TIMEOUT_S = 5.0
LAST_PORT = 65535


class DemoUpstream:
    """Serves the demo provider on 127.0.0.1, on its former port when that is still free.

    A port is shared with the demo of another `serve` on the same data: one of its own would be written into the
    database, and the other server left with an address where nobody listens once this one has stopped.
    """

    def __init__(self, *, preferred_port: int, but_not: int = 0) -> None:
        """`but_not` is the server's own port, which nobody has taken yet: a start on the demo's former one would take it
        from itself."""
        former = _former_port()
        self.port = _free_port(former if former and former != but_not else preferred_port)
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        config = uvicorn.Config(
            create_app(), host="127.0.0.1", port=self.port, log_config=None, access_log=False, lifespan="off"
        )
        self._server = uvicorn.Server(config)
        sockets = [_bound(self.port)]
        self._thread = threading.Thread(target=self._server.run, args=(sockets,), name="demo-upstream", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._server.started and time.monotonic() < deadline:
            time.sleep(0.01)

    def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(timeout=START_TIMEOUT_S)


def _former_port() -> int | None:
    provider = Provider.objects.filter(source=Source.DEMO).first()
    if provider is None:
        return None
    tail = provider.base_url.rsplit(":", 1)[-1].split("/", 1)[0]
    return int(tail) if tail.isdigit() else None


def _free_port(preferred: int) -> int:
    for port in (preferred if preferred <= LAST_PORT else 0, 0):
        try:
            with _bound(port) as probe:
                return int(probe.getsockname()[1])
        except OSError:
            continue
    return 0


def _bound(port: int) -> socket.socket:
    """Fails where somebody else listens; another demo of this user does not mind."""
    bound = socket.socket()
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(("127.0.0.1", port))
    except OSError:
        bound.close()
        raise
    return bound
