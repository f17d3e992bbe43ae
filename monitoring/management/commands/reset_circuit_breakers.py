"""`manage.py reset_circuit_breakers [NAME …]`: closes circuit breakers in every running worker."""

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from monitoring.operator_requests import request_reset
from rows.counted import counted


class Command(BaseCommand):
    help = "Closes the circuit breakers of all providers, or of those named, in every worker within two seconds."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("names", nargs="*", metavar="NAME", help="Providers; all of them by default.")
        parser.add_argument("--json", action="store_true", help="Print the result as JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            deployments = request_reset(options["names"])
        except LookupError as error:
            raise CommandError(str(error)) from None
        if options["json"]:
            self.stdout.write(json.dumps({"reset": deployments}))
            return
        breakers = counted(len(deployments), "circuit breaker")
        self.stdout.write(f"{breakers} will be closed in every worker within two seconds.")
