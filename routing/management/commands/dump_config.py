from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from routing.configuration.dump import read_configuration
from routing.configuration.left_out import left_out
from routing.configuration.rendering import render


class Command(BaseCommand):
    help = (
        "Prints the configuration as a document that load_config reads. Secrets appear as references "
        "(a variable's name, or the name of a stored secret). What has no place in a document, such as API keys and prices, "
        "is counted on stderr."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--format", choices=("yaml", "json"), default="yaml", help="(yaml)")
        parser.add_argument("--json", action="store_true", help="the same as --format json")

    def handle(self, *args: Any, **options: Any) -> None:
        style = "json" if options["json"] else options["format"]
        self.stdout.write(render(read_configuration(), style=style), ending="")
        self.stdout.flush()  # who reads no further is told nothing more
        if missing := left_out():
            self.stderr.write(f"Not in the document: {'; '.join(missing)}.")
