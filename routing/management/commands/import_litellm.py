import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import yaml
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from routing.configuration.parse import MAX_BYTES, parse
from routing.configuration.problems import ConfigurationRefused
from routing.configuration.rendering import plain, render_plain
from routing.configuration.schema import read
from routing.litellm_import import NotLiteLLM, is_litellm, translate

_COUNTED = ("providers", "model_aliases", "route_policies", "api_keys")


class Command(BaseCommand):
    help = (
        "Turns a LiteLLM proxy's config.yaml into a document for load_config, and says what was taken over and what has "
        "no equivalent. "
        "Nothing is loaded: look at the result first."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", help="LiteLLM's config.yaml")
        parser.add_argument("--output", metavar="FILE", help="write the document there instead of printing it")
        parser.add_argument("--json", action="store_true", help="print {document, notes, problems} as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            data = Path(options["file"]).read_bytes()[: MAX_BYTES + 1]
            # Our own reader first: it refuses what is no plain data, and says where.
            parse(data, file=options["file"])
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be read: {error.strerror}.") from None
        except ConfigurationRefused as refusal:
            raise CommandError(str(refusal)) from None
        try:
            source = yaml.safe_load(data)
        except (yaml.YAMLError, ValueError) as error:
            raise CommandError(f"{options['file']} is not plain data: {error}") from None
        if not is_litellm(source):
            raise CommandError(f"{options['file']} has no model_list: it is no configuration of a LiteLLM proxy.")
        try:
            imported = translate(source, settings.PROVIDER_SECRET)
        except NotLiteLLM as refusal:
            raise CommandError(f"{options['file']}: {refusal}") from None
        document, problems = _checked(imported.document, options["output"] or "the document")
        self._show(document, imported.notes, problems, options)
        if problems:
            raise CommandError("The document needs your hand before it can be loaded.")

    def _show(self, document: dict[str, Any], notes: list[str], problems: list[str], options: dict[str, Any]) -> None:
        if options["output"]:
            try:
                Path(options["output"]).write_text(render_plain(document), encoding="utf-8")
            except OSError as error:
                raise CommandError(f"{options['output']} cannot be written: {error.strerror}.") from None
        if options["json"]:
            shown = {"document": json.loads(render_plain(document, style="json")), "notes": notes, "problems": problems}
            self.stdout.write(json.dumps(shown))
            return
        for note in (*notes, *problems):
            self.stderr.write(self.style.WARNING(note))
        if not options["output"]:
            self.stdout.write(render_plain(document), ending="")
            self.stdout.flush()  # who reads no further is told nothing more
        self.stderr.write(_taken_over(document))


def _checked(document: dict[str, Any], name: str) -> tuple[dict[str, Any], list[str]]:
    """The document as it is written down, and what load_config would say against it, with the lines."""
    try:
        found = plain(read(render_plain(document).encode(), file=name))
    except ConfigurationRefused as refusal:
        return document, str(refusal).splitlines()
    for provider, given in zip(found["providers"], document["providers"], strict=True):
        if "headers" in given:
            # A dump says no value of a header; here it is nowhere else.
            provider["headers"] = given["headers"]
    return found, []


def _taken_over(document: dict[str, Any]) -> str:
    models = [model for provider in document.get("providers", ()) for model in provider.get("models", ())]
    counts = {name: len(document[name]) for name in _COUNTED if name in document} | {"models": len(models)}
    parts = [f"{name} ({count})" for name, count in counts.items()] + [n for n in document if n not in _COUNTED]
    return f"Taken over: {', '.join(parts)}."
