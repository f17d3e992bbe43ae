from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.provisioning import NoSuchKey, find_key, revoke_key


class Command(BaseCommand):
    help = "Revokes an API key for good. Every worker refuses it within a second."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("key", help="the key's id (llmp-<id>-…) or its name")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            key = revoke_key(find_key(options["key"]).pk)
        except NoSuchKey as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"The key '{key.name}' ({key.public_id}) is revoked.")
