import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.management.arguments import moment
from accounts.usage_reports import GROUPS, UsageReport, period, usage_report


class Command(BaseCommand):
    help = "Shows requests, tokens and cost by team, key, tag of keys, model, provider or day."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--by",
            choices=GROUPS,
            default="team",
            help="what to sum by (default: team); tag: the words that keys carry, each with all that its keys used",
        )
        parser.add_argument("--from", dest="start", type=moment, help="default: 30 days ago")
        parser.add_argument("--to", dest="end", type=moment, help="up to but without; default: now")
        parser.add_argument("--format", choices=("table", "csv", "json"), default="table", help="default: table")
        parser.add_argument("--json", action="store_true", help="the same as --format json")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            start, end = period(options["start"], options["end"])
        except ValueError:
            raise CommandError("--from must be before --to, which is now unless it is given.") from None
        report = usage_report(group_by=options["by"], start=start, end=end)
        if options["json"] or options["format"] == "json":
            self.stdout.write(json.dumps(report.as_json()))
        elif options["format"] == "csv":
            self.stdout.write(report.as_csv(), ending="")
        else:
            self.stdout.write(_table(report))


def _table(report: UsageReport) -> str:
    header = (report.group_by, "requests", "errors", "input", "output", "cached", "searches", "cost USD")
    rows = [header] + [
        (
            line.name,
            *(f"{number:,}" for number in (line.requests, line.errors, line.input_tokens, line.output_tokens)),
            f"{line.cached_tokens:,}",
            f"{line.searches:,}",
            f"{line.cost_usd:,.6f}" + (" + unknown" if line.unpriced else ""),
        )
        for line in (*report.lines, report.total)
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    )
