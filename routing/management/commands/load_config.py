import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from routing.configuration.apply import Applied
from routing.configuration.loading import load_file
from routing.configuration.problems import ConfigurationRefused
from rows.counted import counted


class Command(BaseCommand):
    help = (
        "Loads a configuration file (YAML or JSON) into the database: all of it, or nothing when anything is wrong. "
        "Running workers follow within two seconds."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", help="such as config.yaml or health_worker_providers.json")
        parser.add_argument("--dry-run", action="store_true", help="show what would change, and change nothing")
        parser.add_argument(
            "--prune",
            action="store_true",
            help="also remove what files brought and this file does not name, but for "
            "what belongs to another file, which is the one that was loaded with it last",
        )
        parser.add_argument(
            "--prune-others", action="store_true", help="also remove what belongs to other files, such as lost ones"
        )
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            how = {name: options[name] for name in ("dry_run", "prune", "prune_others")}
            applied = load_file(options["file"], **how)
        except ConfigurationRefused as refusal:
            if options["json"]:
                self.stdout.write(json.dumps({"refused": [_problem(refusal.file, item) for item in refusal.problems]}))
            raise CommandError(f"{refusal}\nNothing was changed.{_advice(refusal)}") from None
        if options["json"]:
            self.stdout.write(json.dumps(_report(applied, dry_run=options["dry_run"]), default=str))
            return
        for warning in applied.placed_warnings:
            self.stderr.write(self.style.WARNING(f"Warning: {warning}."))
        lines = [change.describe() for change in applied.changes]
        # Keys are no part of the document that is compared.
        lines += [f"* {sentence}" for sentence in applied.sentences if " API key " in sentence]
        for line in lines:
            self.stdout.write(line)
        self.stdout.write(_summary(applied, len(lines), dry_run=options["dry_run"]))


def _advice(refusal: ConfigurationRefused) -> str:
    if any(problem.key in ("model_list", "litellm_settings") for problem in refusal.problems):
        return " This is a LiteLLM proxy's configuration: `manage.py import_litellm` turns it into a document."
    return ""


def _summary(applied: Applied, lines: int, *, dry_run: bool) -> str:
    """`lines` say what changes; a row that none of them speaks of is one as well."""
    if not applied.sentences:
        return "Nothing to change."
    changes = counted(lines or len(applied.sentences), "change")
    if dry_run:
        return f"{changes} would be made; nothing was changed."
    return f"{changes}, revision {applied.revision}."


def _report(applied: Applied, *, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "revision": applied.revision,
        "changes": [
            {"action": change.action, "path": change.path, "before": change.before, "after": change.after}
            for change in applied.changes
        ],
        "rows": list(applied.sentences),
        "warnings": list(applied.warnings),
    }


def _problem(file: str, problem: Any) -> dict[str, Any]:
    return {
        "file": file,
        "line": problem.at.line,
        "column": problem.at.column,
        "key": problem.key,
        "found": problem.found,
        "expected": problem.expected,
    }
