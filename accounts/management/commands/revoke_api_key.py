import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.provisioning import NoSuchKey, find_key, revoke_key


class Command(BaseCommand):
    help = "Revokes an API key for good. Every worker refuses it within a second."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("key", help="the key's id (llmp-<id>-…), its name, or the whole key")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            key = revoke_key(find_key(options["key"]).pk)
        except NoSuchKey as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            assert key.revoked_at is not None
            shown = {"id": key.public_id, "name": key.name, "revoked_at": key.revoked_at.isoformat()}
            self.stdout.write(json.dumps(shown))
            return
        self.stdout.write(f"The key '{key.name}' ({key.public_id}) is revoked.")
