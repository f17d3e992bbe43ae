from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from routing.configuration.dump import read_configuration
from routing.configuration.rendering import render


class Command(BaseCommand):
    help = (
        "Prints the configuration as a document that load_config reads. Secrets appear as references "
        "(a variable's name, or the name of a stored secret); API keys are left out."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--format", choices=("yaml", "json"), default="yaml", help="(yaml)")
        parser.add_argument("--json", action="store_true", help="the same as --format json")

    def handle(self, *args: Any, **options: Any) -> None:
        style = "json" if options["json"] else options["format"]
        self.stdout.write(render(read_configuration(), style=style), ending="")
