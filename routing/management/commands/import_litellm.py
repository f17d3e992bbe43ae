import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import yaml
from django.core.management.base import BaseCommand, CommandError

from routing.configuration.parse import MAX_BYTES, parse
from routing.configuration.problems import ConfigurationRefused
from routing.configuration.rendering import render, render_plain
from routing.configuration.schema import read
from routing.litellm_import import translate


class Command(BaseCommand):
    help = (
        "Turns a LiteLLM proxy's config.yaml into a document for load_config, and says what has no equivalent. "
        "Nothing is loaded: look at the result first."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", help="LiteLLM's config.yaml")
        parser.add_argument("--output", metavar="FILE", help="write the document there instead of printing it")
        parser.add_argument("--json", action="store_true", help="print {document, notes} as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            data = Path(options["file"]).read_bytes()[: MAX_BYTES + 1]
            # Our own reader first: it refuses what is no plain data, and says where.
            parse(data, file=options["file"])
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be read: {error.strerror}.") from None
        except ConfigurationRefused as refusal:
            raise CommandError(str(refusal)) from None
        source = yaml.safe_load(data)
        if not isinstance(source, dict) or "model_list" not in source:
            raise CommandError(f"{options['file']} has no model_list: it is no configuration of a LiteLLM proxy.")
        imported = translate(source)
        try:
            document = read(render_plain(imported.document).encode(), file="imported")
        except ConfigurationRefused as refusal:
            raise CommandError(f"The result needs your hand before it can be loaded:\n{refusal}") from None
        if options["json"]:
            shown = {"document": json.loads(render(document, style="json")), "notes": imported.notes}
            self.stdout.write(json.dumps(shown))
            return
        for note in imported.notes:
            self.stderr.write(self.style.WARNING(note))
        if options["output"]:
            Path(options["output"]).write_text(render(document), encoding="utf-8")
        else:
            self.stdout.write(render(document), ending="")
