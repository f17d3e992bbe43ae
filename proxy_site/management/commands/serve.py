"""`manage.py serve`: the whole product in one command; with `--workers` or `--role`, one part of a larger installation."""

import argparse
import socket
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from providers.management.arguments import port_number
from proxy_site.bootstrap import FirstStart, migrate_if_needed, mistaken_variables, prepare
from proxy_site.early_end import end_at_once, hang_up_as_before
from proxy_site.embedded import DemoUpstream
from proxy_site.embedded_celery import EmbeddedWork
from proxy_site.lean_start import started
from proxy_site.open_files import allow_enough
from proxy_site.roles import Role
from proxy_site.server import GatewayServer, server_config
from routing.config_watch import load_at_start
from routing.listen_address import listen_address

BANNER = """
LLM Proxy API {version} is running at {url}

  dashboard   {url}/dashboard/
  admin       {url}/admin/
  API docs    {url}/docs
"""

CURL = """
Try it:

  curl {url}/v1/chat/completions -N \\
    -H "Authorization: Bearer {key}" -H "Content-Type: application/json" \\
    -d '{{"model": "{model}", "stream": true, "messages": [{{"role": "user", "content": "Hello!"}}]}}'
"""


class Command(BaseCommand):
    # `make check` and `manage.py check` ask for them; no start should wait for what cannot have changed.
    requires_system_checks = ()
    help = "Starts the gateway with everything it needs. Ctrl-C and SIGTERM drain: running answers finish first."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--host", help=f"Address to listen on ({settings.HOST}, or the configuration file's).")
        parser.add_argument(
            "--port", type=port_number, help=f"Port to listen on ({settings.PORT}, or the configuration file's)."
        )
        parser.add_argument(
            "--workers",
            type=int,
            default=settings.WORKERS,
            help=f"Processes that serve ({settings.WORKERS}); more than 1 needs Redis.",
        )
        parser.add_argument(
            "--role",
            choices=[role.value for role in Role],
            default=settings.ROLE,
            help="What to serve: all, gateway (/v1, its WebSocket, health and metrics) or admin (all but /v1).",
        )
        parser.add_argument("--no-beat", action="store_true", help="Do not run scheduled work in this process.")
        parser.add_argument("--json", action="store_true", help="Print what was started as one JSON line.")

    def handle(self, *args: Any, **options: Any) -> None:
        workers: int = options["workers"]
        role = Role(options["role"])
        _refuse_sharing_nothing(workers, role)
        settings.ROLE = role.value
        host, port = listen_address(host=options["host"], port=options["port"])
        _refuse_taken_port(host, port)
        allow_enough()
        end_at_once()
        if workers == 1:
            hang_up_as_before()
        migrate_if_needed()
        if settings.CONFIG_FILE:
            load_at_start(settings.CONFIG_FILE)
        work = EmbeddedWork(beat=not options["no_beat"])
        demo = DemoUpstream(preferred_port=port + 1, but_not=port)
        # A gateway sets nothing up: its control plane does.
        first = FirstStart() if role is Role.GATEWAY else prepare(demo_base_url=demo.base_url)
        if first.demo:
            demo.start()
        for variable in first.idle_keys:
            missing = variable.replace("_API_KEY", "_BASE_URL")
            self.stderr.write(f"{variable} is set without {missing}: no provider was made of it.")
        for variable, meant in mistaken_variables().items():
            self.stderr.write(f"{variable} is read by nothing; {meant} was probably meant.")
        self._announce(first, host=host, port=port, as_json=options["json"])
        # With PostgreSQL and Redis, `celery worker` and `celery beat` run as processes of their own.
        with_work = role is not Role.GATEWAY and (settings.EMBEDDED or not settings.REDIS_URL)
        try:
            if workers == 1:
                run_single(host=host, port=port, work=work if with_work else None)
            else:
                from proxy_site.supervisor import run_workers

                started()
                if with_work:
                    work.start()
                run_workers(host=host, port=port, workers=workers, role=role)
        finally:
            work.finish()
            demo.stop()

    def _announce(self, first: FirstStart, *, host: str, port: int, as_json: bool) -> None:
        url = f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}"  # noqa: S104 - compared, not bound
        if as_json:
            import json

            fields = {
                "url": url,
                "role": settings.ROLE,
                "admin_password": first.admin_password,
                "api_key": first.api_key,
                "model": first.model,
            }
            self.stdout.write(json.dumps(fields))
            self.stdout.flush()
            return
        if settings.ROLE == Role.GATEWAY:
            self.stdout.write(f"\nLLM Proxy API {settings.VERSION} serves {url}/v1 (role gateway)")
            self.stdout.flush()
            return
        self.stdout.write(BANNER.format(version=settings.VERSION, url=url))
        if first.admin_password:
            self.stdout.write(f"  login       admin / {first.admin_password}   (shown once)")
        if first.api_key:
            self.stdout.write(f"  API key     {first.api_key}   (shown once)")
        if first.demo and first.alone:
            self.stdout.write(
                "\n  DEMO: no provider has a key yet, so a demo provider answers. Add yours in the admin,"
            )
            self.stdout.write("  or set PROXY_API_OPENAI_API_KEY (or another provider's) and start again.")
        elif first.demo:
            self.stdout.write("\n  DEMO: beside your providers the demo still answers; its switch is in the admin.")
        if settings.ROLE == Role.ALL:
            key = first.api_key or "$LLM_PROXY_KEY"
            self.stdout.write(CURL.format(url=url, key=key, model=first.model or "YOUR-MODEL"))
        self.stdout.flush()


def run_single(*, host: str, port: int, work: EmbeddedWork | None) -> None:
    """One process: the server in the main thread. When it listens it loads its pages, and then its scheduled work."""
    from proxy_site.asgi import pages, worker

    def listening() -> None:
        pages.begin()
        if work is not None:
            work.start(after=pages.join)

    if work is not None:
        worker.on_drain.append(work.ask_to_stop)
    GatewayServer(
        server_config(host=host, port=port),
        on_drain=worker.drain,
        on_started=listening,
        is_busy=worker.is_busy,
        drain_timeout_s=settings.DRAIN_TIMEOUT_S,
    ).run()


def _refuse_sharing_nothing(workers: int, role: Role) -> None:
    if workers < 1:
        raise CommandError("--workers must be at least 1.")
    if settings.REDIS_URL:
        return
    remedy = "Set REDIS_URL, for example REDIS_URL=redis://127.0.0.1:6379/0, or serve with one worker and --role all."
    if workers > 1:
        raise CommandError(
            f"More than one worker needs Redis, so that limits, breakers and live pages are shared. {remedy}"
        )
    if role is not Role.ALL:
        raise CommandError(
            f"Parted roles need Redis: the admin learns from it what gateways see and gateways what it changes. {remedy}"
        )


def _refuse_taken_port(host: str, port: int) -> None:
    """Before anything is changed: another instance may be running on the same data."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CommandError(
                f"Cannot listen on {host}:{port}: {error.strerror}. Choose another with --port or PROXY_API_PORT."
            ) from None
