"""What is stored and has no place in a document, or is no more than named there: who moves an installation by a dump
would else miss it only afterwards."""

from collections.abc import Iterator

from django.db.models import Count, Q

from accounts.models import ApiKey, Budget, Limit, Price
from providers.models import Credential, Provider
from rows.counted import counted


def left_out() -> list[str]:
    """One short text for each sort of thing that a dump does not carry."""
    return [*_of_clients(), *_of_money(), *_of_providers()]


def _of_clients() -> Iterator[str]:
    if keys := ApiKey.objects.count():
        yield f"{counted(keys, 'API key')} with what limits each"
    if Limit.objects.filter(scope="default").exists():
        yield "the limit for every key without its own"
    if strict := Limit.objects.filter(scope="team", strict=True).count():
        yield f"`strict` of {counted(strict, 'limit')} of teams"


def _of_money() -> Iterator[str]:
    if everybody := Budget.objects.filter(scope="all").count():
        yield f"{counted(everybody, 'budget')} for everybody together"
    # Of a team's budgets for one period the first that is switched on is the document's.
    periods = Budget.objects.filter(scope="team").values("team", "period")
    told = Count("pk", filter=Q(enabled=True))
    more = sum(each["all"] - min(1, each["told"]) for each in periods.annotate(all=Count("pk"), told=told).order_by())
    if more:
        yield f"{counted(more, 'budget')} of teams, switched off or beside another for that period"
    if prices := Price.objects.count():
        yield f"{counted(prices, 'price')} of models"


def _of_providers() -> Iterator[str]:
    if secrets := Credential.objects.exclude(ciphertext="").count():
        yield f"{counted(secrets, 'stored secret')} of providers"
    if headers := sum(
        len(each) for each in Provider.objects.values_list("headers", flat=True) if isinstance(each, dict)
    ):
        yield f"the {'value' if headers == 1 else 'values'} of {counted(headers, 'header')}"
