import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from providers import secrets
from providers.models import Credential
from rows.locks import locked


class Command(BaseCommand):
    help = (
        "Encrypts every stored secret with the first of PROXY_API_ENCRYPTION_KEYS. To rotate: put a new key in front, "
        "restart, run this, then take the old key away. (Revisions older than this need the old key to be rolled back to.)"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        unreadable: list[str] = []
        rotated = 0
        with transaction.atomic():
            for credential in locked(Credential).exclude(ciphertext="").select_related("provider"):
                try:
                    ciphertext = secrets.rotate(credential.ciphertext)
                except secrets.UndecipherableSecret:
                    unreadable.append(str(credential))
                    continue
                # Not through save(): the secret is the same, so this is no change of the configuration.
                Credential.objects.filter(pk=credential.pk).update(ciphertext=ciphertext)
                rotated += 1
        if options["json"]:
            self.stdout.write(json.dumps({"rotated": rotated, "unreadable": unreadable}))
        else:
            self.stdout.write(f"{rotated} secrets are encrypted with the newest key.")
        if unreadable:
            raise CommandError(
                f"Not readable with any configured key, left as they are: {', '.join(unreadable)}. "
                "Add the key they were written with to PROXY_API_ENCRYPTION_KEYS, or enter these secrets again."
            )
