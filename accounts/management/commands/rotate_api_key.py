import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.management.arguments import hours
from accounts.provisioning import DEFAULT_OVERLAP, LONGEST_OVERLAP, NoSuchKey, NotRotatable, find_key, rotate_key


class Command(BaseCommand):
    help = "Gives an API key a new secret and shows it, once. The one before goes on working for a while."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("key", help="the key's id (llmp-<id>-…), its name, or the whole key")
        parser.add_argument(
            "--overlap-hours",
            type=hours(LONGEST_OVERLAP),
            default=DEFAULT_OVERLAP,
            dest="overlap",
            metavar="HOURS",
            help="how long the secret before still works, at most 30 days (default: 24; 0: not at all)",
        )
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            issued = rotate_key(find_key(options["key"]).pk, overlap=options["overlap"])
        except (NoSuchKey, NotRotatable) as error:
            raise CommandError(str(error)) from error
        key = issued.key
        until = key.previous_expires_at
        assert until is not None
        if options["json"]:
            shown = {"id": key.public_id, "key": issued.token, "previous_until": until.isoformat()}
            self.stdout.write(json.dumps(shown))
            return
        self.stdout.write(
            f"{issued.token}\n\nThis is the only time the key '{key.name}' is shown. Keep it safe.\n"
            f"The secret before works until {until:%Y-%m-%d %H:%M} UTC."
        )
