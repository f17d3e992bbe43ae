"""One worker started by the supervisor: `python -m proxy_site.worker_process LISTENER_FD READY_FD`."""

import contextlib
import os
import socket
import sys


def main() -> None:
    listener, ready = int(sys.argv[1]), int(sys.argv[2])
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "proxy_site.settings")
    from proxy_site.lean_start import set_up

    set_up()
    from django.conf import settings

    from proxy_site.asgi import pages, worker
    from proxy_site.server import GatewayServer, server_config

    def started() -> None:
        # Where a start takes long, nobody waits for the word any more; the worker is none the worse for it.
        with contextlib.suppress(BrokenPipeError):
            os.write(ready, b"+")
        os.close(ready)
        pages.begin()

    server = GatewayServer(
        server_config(host="", port=0),
        on_drain=worker.drain,
        on_started=started,
        is_busy=worker.is_busy,
        drain_timeout_s=settings.DRAIN_TIMEOUT_S,
    )
    server.run(sockets=[socket.socket(fileno=listener)])


if __name__ == "__main__":
    main()
