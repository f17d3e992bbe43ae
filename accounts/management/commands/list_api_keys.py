import json
from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from accounts.models import ApiKey


class Command(BaseCommand):
    help = "Lists API keys: id, name, team, state and when each was last used. Never their secrets."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        keys = ApiKey.objects.select_related("team").order_by("name")
        if options["json"]:
            self.stdout.write(json.dumps([_shown(key) for key in keys]))
            return
        for key in keys:
            shown = _shown(key)
            used = shown["last_used_at"] or "never"
            team = f" (team {shown['team']})" if shown["team"] else ""
            self.stdout.write(f"{key.public_id}  {shown['state']:<8}  {used:<25}  {key.name}{team}")


def _shown(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.public_id,
        "name": key.name,
        "team": None if key.team is None else key.team.name,
        "state": _state(key),
        "expires_at": _text(key.expires_at),
        "last_used_at": _text(key.last_used_at),
    }


def _state(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is not None and key.expires_at <= timezone.now():
        return "expired"
    return "active" if key.is_on else "disabled"


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")
