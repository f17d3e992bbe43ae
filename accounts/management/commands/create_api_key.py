import json
from argparse import ArgumentParser, ArgumentTypeError
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts import bounds
from accounts.management.arguments import moment, whole
from accounts.provisioning import KeyOrder, create_key
from rows.bounds import MOST_WHOLE

COUNT = whole(most=MOST_WHOLE)
TOKENS = whole(most=bounds.MOST_TOKENS)
NANO_USD = 1_000_000_000
OPTIONS = {
    "name": "NAME", "team": "--team", "scopes": "--scope", "allowed_models": "--model", "allowed_networks": "--allow-ip",
    "expires_at": "--expires", "tags": "--tag", "requests": "--rpm", "concurrency": "--max-concurrency",
    "amount_nano_usd": "--budget-usd",
}  # fmt: skip
"""Which option a column of the key, its limit or its budget comes from."""


def _scopes(text: str) -> list[str]:
    return _words(text, "name at least one of completions, read, admin")


def _models(text: str) -> list[str]:
    return _words(text, "name at least one model or pattern; without the option, all are allowed")


def _tags(text: str) -> list[str]:
    return _words(text, "name at least one tag")


def _words(text: str, wanted: str) -> list[str]:
    found = [part.strip() for part in text.split(",") if part.strip()]
    if not found:
        raise ArgumentTypeError(wanted)
    return found


def _nano_usd(text: str) -> int:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    possible = amount.is_finite() and 0 <= amount <= bounds.MOST_NANO_USD // NANO_USD
    if not possible or (nano := amount * NANO_USD) != nano.to_integral_value():
        raise ArgumentTypeError(
            f"'{text}' is not an amount in USD of at least 0, with at most nine decimals, such as 25 or 0.50"
        )
    return int(nano)


def _said(error: ValidationError) -> str:
    """Each complaint behind the option that it is about."""
    if not hasattr(error, "error_dict"):
        return "; ".join(error.messages)
    return "; ".join(
        f"{OPTIONS[name]}: {message}" if name in OPTIONS else message
        for name, messages in error.message_dict.items()
        for message in messages
    )


class Command(BaseCommand):
    help = "Creates an API key and shows it, once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", type=str.strip, help="what the key is for")
        parser.add_argument("--team", type=str.strip, default="", help="made if it does not exist")
        parser.add_argument(
            "--scope",
            type=_scopes,
            action="extend",
            help="completions,read,admin; also one by one (default: completions)",
        )
        parser.add_argument(
            "--model",
            type=_models,
            action="extend",
            default=[],
            help="allowed models or patterns, with commas or one by one (default: all)",
        )
        parser.add_argument(
            "--tag", type=_tags, action="extend", default=[], help="what usage_report --by tag sums by; as --model"
        )
        parser.add_argument("--rpm", type=COUNT, help="requests per minute")
        parser.add_argument("--tpm", type=TOKENS, help="tokens per minute")
        parser.add_argument("--max-concurrency", type=COUNT, help="calls at once")
        parser.add_argument("--budget-usd", type=_nano_usd, help="money per period")
        parser.add_argument("--budget-tokens", type=TOKENS, help="tokens per period")
        parser.add_argument("--period", choices=("day", "month"), default="month", help="of the budget (UTC)")
        parser.add_argument("--expires", type=moment, help="date or time, UTC unless it says otherwise")
        parser.add_argument("--allow-ip", action="append", default=[], metavar="CIDR", help="repeatable")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        expires = options["expires"]
        if expires is not None and expires <= timezone.now():
            raise CommandError("--expires: This moment has passed; the key would be refused at once.")
        order = KeyOrder(
            name=options["name"],
            team=options["team"],
            scopes=list(dict.fromkeys(options["scope"] or ["completions"])),
            models=list(dict.fromkeys(options["model"])),
            networks=options["allow_ip"],
            tags=list(dict.fromkeys(options["tag"])),
            expires_at=expires,
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
            raise CommandError(_said(error)) from error
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
