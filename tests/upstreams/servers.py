"""Real servers for tests: an ASGI application on a socket of its own."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn

START_TIMEOUT_S = 10.0


@contextlib.contextmanager
def run_asgi(app: Any, *, certificate: Path | None = None) -> Iterator[str]:
    """Serves `app` under uvicorn in a thread, on 127.0.0.1 and a free port; yields `http://127.0.0.1:PORT`, or `https://…`
    with a file that holds a key and its certificate.

    At the end the server is told to stop and the thread is joined: connections still open are cut.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="auto",
        ws="none",
        timeout_graceful_shutdown=1,
        ssl_certfile=certificate,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not server.started:
            if not thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("the test server did not start")
            time.sleep(0.005)
        scheme = "https" if certificate else "http"
        yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(START_TIMEOUT_S)
        listener.close()
