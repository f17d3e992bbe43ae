"""`manage.py demo_upstream`: the demo provider as a program of its own. Ctrl-C and SIGTERM end it in order, with 0."""

import json
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any

import uvicorn
from django.core.management.base import BaseCommand, CommandError, CommandParser

from providers.demo import DIALECTS, create_app
from providers.management.arguments import port_or_any

GRACE_S = 5


class AnnouncingServer(uvicorn.Server):
    """Says where it listens once it does, which for port 0 nobody knows earlier."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[str], object]) -> None:
        super().__init__(config)
        self.announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            self.announce(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")


class Command(BaseCommand):
    help = (
        "Runs the demo provider: a small HTTP server that speaks a provider's wire format and labels its answers DEMO. "
        "It wants a key, as the services do; any will do."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
        parser.add_argument(
            "--port", type=port_or_any, default=9100, help="port to listen on, 0 for any free one (9100)"
        )
        parser.add_argument(
            "--dialect",
            choices=sorted(DIALECTS),
            default="openai",
            help="wire format (openai); responses: as Perplexity speaks them, openai_responses: as OpenAI does",
        )
        parser.add_argument("--latency-ms", type=float, default=0.0, help="time before an answer begins, milliseconds")
        parser.add_argument("--tokens", type=int, help="length of a plain answer in tokens (as long as the echo)")
        parser.add_argument("--fail-rate", type=float, default=0.0, help="share of requests refused with 503, 0 to 1")
        parser.add_argument("--events-per-second", type=float, default=0.0, help="pace of streams; 0: as fast as read")
        parser.add_argument("--json", action="store_true", help="print dialect and address as one JSON line")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            app = create_app(
                options["dialect"],
                options["latency_ms"],
                options["tokens"],
                options["fail_rate"],
                events_per_second=options["events_per_second"],
            )
        except ValueError as error:
            raise CommandError(str(error)) from error
        config = uvicorn.Config(
            app,
            host=options["host"],
            port=options["port"],
            log_level="warning",
            access_log=False,
            ws="none",
            timeout_graceful_shutdown=GRACE_S,
        )
        _end_quietly()
        AnnouncingServer(config, lambda url: self._announce(options["dialect"], url, as_json=options["json"])).run()

    def _announce(self, dialect: str, url: str, *, as_json: bool) -> None:
        shown = json.dumps({"dialect": dialect, "url": url}) if as_json else f"DEMO upstream ({dialect}) at {url}"
        self.stdout.write(shown)
        self.stdout.flush()


def _end_quietly() -> None:
    """uvicorn raises the signal again after an orderly end; the previous handlers would turn that into a failure."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
