"""One worker started by the supervisor: `python -m proxy_site.worker_process LISTENER_FD READY_FD`."""

import contextlib
import logging
import os
import socket
import sys

logger = logging.getLogger("llm_proxy.proxy_site.worker_process")


def main() -> None:
    listener, ready = int(sys.argv[1]), int(sys.argv[2])
    from proxy_site.early_end import end_at_once
    from proxy_site.parent_process import end_with_parent, is_orphan

    end_at_once()
    end_with_parent()
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

    def orphaned() -> bool:
        gone = is_orphan(settings.SUPERVISOR_PID)
        if gone:
            logger.error("the supervisor is gone: worker %d finishes what runs and ends", os.getpid())
        return gone

    server = GatewayServer(
        server_config(host="", port=0),
        on_drain=worker.drain,
        on_started=started,
        is_busy=worker.is_busy,
        is_orphan=orphaned,
        drain_timeout_s=settings.DRAIN_TIMEOUT_S,
    )
    server.run(sockets=[socket.socket(fileno=listener)])


if __name__ == "__main__":
    main()
