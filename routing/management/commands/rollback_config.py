import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from routing.rollback import RollbackRefused, roll_back


class Command(BaseCommand):
    help = (
        "Puts the configuration back to what a revision left in force. This is a revision of its own, so it can be "
        "undone in turn. API keys and money already spent stay as they are."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("revision", type=int, metavar="N", help="the revision to go back to; 0 is the beginning")
        parser.add_argument("--reason", default="", help="kept with the new revision")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            made = roll_back(options["revision"], reason=options["reason"])
        except RollbackRefused as refusal:
            raise CommandError(str(refusal)) from None
        if options["json"]:
            self.stdout.write(json.dumps({"restored": options["revision"], "revision": made}))
        elif made is None:
            self.stdout.write(f"Nothing differs from revision {options['revision']}.")
        else:
            self.stdout.write(f"Revision {options['revision']} is in force again, as revision {made}.")
