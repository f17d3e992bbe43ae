import json
from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from accounts.provisioning import KeyOrder, create_key


def _scopes(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"'{text}' is not a positive whole number")
    return int(text)


def _nano_usd(text: str) -> int:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise ArgumentTypeError(f"'{text}' is not an amount in USD, such as 25 or 0.50") from None
    if not amount.is_finite() or amount < 0:
        raise ArgumentTypeError(f"'{text}' is not an amount in USD, such as 25 or 0.50")
    return int(amount * 1_000_000_000)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"'{text}' is not a date, such as 2026-12-31") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


class Command(BaseCommand):
    help = "Creates an API key and shows it, once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="what the key is for")
        parser.add_argument("--team", default="", help="made if it does not exist")
        parser.add_argument(
            "--scope", type=_scopes, default=["completions"], help="completions,read,admin (default: completions)"
        )
        parser.add_argument("--model", action="append", default=[], help="an allowed model or pattern; repeatable")
        parser.add_argument("--rpm", type=_positive, help="requests per minute")
        parser.add_argument("--tpm", type=_positive, help="tokens per minute")
        parser.add_argument("--max-concurrency", type=_positive, help="calls at once")
        parser.add_argument("--budget-usd", type=_nano_usd, help="money per period")
        parser.add_argument("--budget-tokens", type=_positive, help="tokens per period")
        parser.add_argument("--period", choices=("day", "month"), default="month", help="of the budget (UTC)")
        parser.add_argument("--expires", type=_moment, help="date or time, UTC unless it says otherwise")
        parser.add_argument("--allow-ip", action="append", default=[], metavar="CIDR", help="repeatable")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        order = KeyOrder(
            name=options["name"],
            team=options["team"],
            scopes=options["scope"],
            models=options["model"],
            networks=options["allow_ip"],
            expires_at=options["expires"],
            requests_per_minute=options["rpm"],
            tokens_per_minute=options["tpm"],
            concurrency=options["max_concurrency"],
            budget_nano_usd=options["budget_usd"],
            budget_tokens=options["budget_tokens"],
            period=options["period"],
        )
        try:
            issued = create_key(order)
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from error
        key = issued.key
        if options["json"]:
            shown = {
                "id": key.public_id,
                "key": issued.token,
                "name": key.name,
                "team": order.team or None,
                "scopes": key.scopes,
                "expires_at": None if key.expires_at is None else key.expires_at.isoformat(),
            }
            self.stdout.write(json.dumps(shown))
            return
        self.stdout.write(f"{issued.token}\n\nThis is the only time the key '{key.name}' is shown. Keep it safe.")
