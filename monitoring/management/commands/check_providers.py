"""`manage.py check_providers [NAME …]`: runs the health checks now and shows what they found."""

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from monitoring.checks import as_json, check_now
from monitoring.health_history import Verdict
from providers.models import Provider


class Command(BaseCommand):
    help = "Runs the health checks now. Exits with 1 when a provider is unhealthy."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("names", nargs="*", metavar="NAME", help="Providers to check; all of them by default.")
        parser.add_argument("--json", action="store_true", help="Print the results as JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        names: list[str] = options["names"]
        known = set(Provider.objects.filter(enabled=True).values_list("name", flat=True))
        if missing := sorted(set(names) - known):
            raise CommandError(f"There is no enabled provider named {', '.join(missing)}.")
        verdicts = [verdict for verdict in check_now(names) if verdict.key.deployment_id is None]
        if options["json"]:
            self.stdout.write(json.dumps({"providers": [as_json(verdict) for verdict in verdicts]}))
        else:
            for verdict in verdicts:
                self.stdout.write(as_text(verdict))
            if not verdicts:
                self.stdout.write("No provider is enabled.")
        if unhealthy := [verdict.name for verdict in verdicts if verdict.after == "unhealthy"]:
            raise CommandError(f"Unhealthy: {', '.join(unhealthy)}.", returncode=1)


def as_text(verdict: Verdict) -> str:
    result = verdict.result
    took = "" if result.response_time_s is None else f" in {result.response_time_s:.3f} s"
    outcome = f"passed ({result.evidence}){took}" if result.passed else f"failed: {result.message or result.reason}"
    return f"{verdict.name:<24} {verdict.after:<10} {outcome}"
