"""`manage.py clear_cache [health|responses|all]`: forgets cached check results and cached answers."""

import argparse
import json
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from redis import Redis
from redis.exceptions import RedisError

from monitoring.health_cache import clear_health_cache
from routing.redis_answer_store import CLEAR, PREFIX, index_of


class Command(BaseCommand):
    help = "Forgets cached results of health checks, cached responses, or both."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("scope", nargs="?", choices=("health", "responses", "all"), default="all")
        parser.add_argument("--json", action="store_true", help="Print the result as JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        scope = options["scope"]
        cleared: dict[str, int] = {}
        if scope in ("health", "all"):
            cleared["health"] = clear_health_cache()
        if scope in ("responses", "all"):
            cleared["responses"] = self._clear_responses()
        if options["json"]:
            self.stdout.write(json.dumps({"scope": scope, "cleared": cleared}))
            return
        for name, count in cleared.items():
            self.stdout.write(f"{name}: {count} cleared")

    def _clear_responses(self) -> int:
        """Without Redis responses are cached in the server's own memory, which only the server can reach."""
        if not settings.REDIS_URL:
            self.stderr.write(
                "Responses are cached in the server's memory: POST /cache/clear?scope=responses clears them."
            )
            return 0
        try:
            with Redis.from_url(settings.REDIS_URL, socket_timeout=5) as redis:
                return int(redis.register_script(CLEAR)(keys=[index_of(PREFIX)]))
        except RedisError as error:
            raise CommandError(f"Redis does not answer: {error}") from None
