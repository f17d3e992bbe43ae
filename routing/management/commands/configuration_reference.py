import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from routing.configuration.reference import reference


class Command(BaseCommand):
    help = "Writes docs/configuration.md from the declarations of the document's keys."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--output",
            default=str(Path(settings.BASE_DIR) / "docs" / "configuration.md"),
            help="the file to write (default: docs/configuration.md of this installation)",
        )
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            Path(options["output"]).write_text(reference(), encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{options['output']} cannot be written: {error.strerror}.") from None
        self.stdout.write(json.dumps({"file": options["output"]}) if options["json"] else options["output"])
