import contextlib
import json
from argparse import ArgumentParser
from time import sleep
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from providers.discovery import consul
from providers.discovery.looking import discover

WAIT_S = 30.0
"""The longest that Consul waits for a change; where it is not there to wait, the pause between two looks."""
PAUSE_S = 1.0


class Command(BaseCommand):
    help = "Looks for providers in every source that the configuration names (discovery: registry, consul, kubernetes)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--approve", action="store_true", help="approve what is proposed, so that it goes live")
        parser.add_argument(
            "--watch", action="store_true", help="go on looking; Consul tells of a change at once. Ctrl-C ends it"
        )
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        report = discover(approve_all=options["approve"])
        self._print(report, as_json=options["json"])
        if options["watch"]:
            with contextlib.suppress(KeyboardInterrupt):
                self._watch(report, options)
            return
        failed = [item["source"] for item in report["sources"] if item["error"]]
        if failed:
            raise CommandError(f"Not reached: {', '.join(failed)}. What they said last stays in force.")

    def _watch(self, report: dict[str, Any], options: dict[str, Any]) -> None:
        while True:
            waits = any(item["source"] == consul.SOURCE and not item["error"] for item in report["sources"])
            sleep(PAUSE_S if waits else WAIT_S)
            report = discover(approve_all=options["approve"], wait_s=WAIT_S)
            self._print(report, as_json=options["json"])

    def _print(self, report: dict[str, Any], *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(report))
            return
        if not report["sources"]:
            self.stdout.write("No source is configured; see `discovery` in config.example.yaml.")
        for item in report["sources"]:
            self.stdout.write(f"{item['source']}: {item['error'] or str(item['found']) + ' found'}")
            for refused in item["refused"]:
                self.stdout.write(f"  refused {refused['name']}: {refused['reason']}")
        for action, names in report["changes"].items():
            self.stdout.write(f"{action}: {', '.join(names)}")
        if report["proposed"]:
            self.stdout.write(f"proposed, to be approved: {', '.join(report['proposed'])}")
