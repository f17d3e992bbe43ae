"""From the database to a RoutingTable. Runs in a thread; the event loop only swaps the finished table in."""

from django.db import connection, transaction
from django.utils import timezone

from accounts.borrowed_connection import borrowed_connection
from accounts.price_book import PriceBook, catalogue_size
from providers.loading import load_deployments
from routing.deployment_prices import priced, until
from routing.environment_first import log_level
from routing.models import ConfigurationRevision, GatewaySettings, ModelAlias, RoutePolicy
from routing.table import AliasSpec, GatewayPolicy, PolicySpec, RoutingTable, build_table


@borrowed_connection()
def poll_revision() -> int:
    """`current_revision` for a thread outside Django's request cycle."""
    return current_revision()


@borrowed_connection()
def poll_table() -> RoutingTable:
    """`load_table` for a thread outside Django's request cycle."""
    return load_table()


def current_revision() -> int:
    """The number of the newest revision; 0 before the first change."""
    newest = ConfigurationRevision.objects.order_by("-pk").values_list("pk", flat=True).first()
    return newest or 0


def _answers_revision() -> int:
    newest = ConfigurationRevision.objects.filter(changes_answers=True).order_by("-pk")
    return newest.values_list("pk", flat=True).first() or 0


def load_table() -> RoutingTable:
    """Reads revision and configuration in one transaction, so that they belong together."""
    outermost = not connection.in_atomic_block
    with transaction.atomic():
        if outermost and connection.vendor == "postgresql":
            # READ COMMITTED would let a change committed between two of the queries show by half.
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        revision, answers_revision = current_revision(), _answers_revision()
        row = GatewaySettings.objects.filter(pk=1).first() or GatewaySettings()
        deployments = load_deployments(
            breaker_threshold=row.circuit_breaker_threshold,
            breaker_timeout_s=row.circuit_breaker_timeout_s,
            request_timeout_s=row.request_timeout_s,
        )
        prices, asked, now = PriceBook.load(), catalogue_size(), timezone.now()
        aliases = [_alias(alias) for alias in ModelAlias.objects.filter(enabled=True)]
        policies = [_policy(policy) for policy in RoutePolicy.objects.filter(enabled=True)]
    return build_table(
        revision=revision,
        answers_revision=answers_revision,
        deployments=priced(deployments, prices, now),
        aliases=aliases,
        policies=policies,
        policy=_gateway_policy(row),
        prices_until=until(prices, now),
        catalogue_size=asked,
    )


def _gateway_policy(row: GatewaySettings) -> GatewayPolicy:
    return GatewayPolicy(
        api_key_header=row.api_key_header.lower(),
        cors_origins=frozenset(row.cors_origins),
        request_timeout_s=row.request_timeout_s,
        max_attempts=row.max_attempts,
        default_strategy=row.default_strategy,
        rate_limit_requests=row.rate_limit_rpm,
        rate_limit_window_s=row.rate_limit_window_s,
        condensation=row.condensation,
        response_cache=row.response_cache,
        payload_logging=row.payload_logging,
        log_file=row.log_file,
        log_level=log_level(row.process),
        app_name=row.app_name,
        app_version=row.app_version,
    )


def _alias(row: ModelAlias) -> AliasSpec:
    return AliasSpec(
        name=row.name,
        targets=tuple(row.targets),
        strategy=row.strategy,
        fallbacks=tuple(row.fallbacks),
        cache_enabled=row.cache_enabled,
        condensation_enabled=row.condensation_enabled,
    )


def _policy(row: RoutePolicy) -> PolicySpec:
    return PolicySpec(
        pattern=row.pattern,
        strategy=row.strategy,
        options=row.options,
        fallbacks=tuple(row.fallbacks),
        context_fallbacks=tuple(row.context_fallbacks),
        sticky=row.sticky,
    )
