"""From the database to a RoutingTable. Runs in a thread; the event loop only swaps the finished table in.

A row that cannot be used is left out and named: it must not keep the others from going live. A setting that cannot be
used has its default.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from django.db import connection, transaction
from django.utils import timezone

from accounts.borrowed_connection import borrowed_connection
from accounts.price_book import PriceBook, catalogue_size
from providers.loading import UNREADABLE, Defaults, LeaveOut, UnusableRow, load_deployments
from routing import policy_options
from routing.configuration.stored import section_fault, usable_section
from routing.deployment_prices import priced, until
from routing.environment_first import log_level
from routing.models import ConfigurationRevision, GatewaySettings, ModelAlias, RoutePolicy
from routing.strategies import DEFAULT_STRATEGY, STRATEGIES
from routing.table import AliasSpec, GatewayPolicy, PolicySpec, RoutingTable, build_table

logger = logging.getLogger("llm_proxy.routing.table_loader")
Row = TypeVar("Row", bound=ModelAlias | RoutePolicy)
Spec = TypeVar("Spec")


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
        left_out: list[str] = []

        def leave_out(what: str, why: object) -> None:
            left_out.append(f"{what}: {why}")

        row = GatewaySettings.objects.filter(pk=1).first() or GatewaySettings()
        defaults = Defaults(
            breaker_threshold=row.circuit_breaker_threshold,
            breaker_timeout_s=row.circuit_breaker_timeout_s,
            request_timeout_s=row.request_timeout_s,
        )
        deployments = load_deployments(defaults, leave_out=leave_out)
        prices, asked, now = PriceBook.load(), catalogue_size(), timezone.now()
        aliases = list(_usable(ModelAlias.objects.filter(enabled=True), _alias, leave_out))
        policies = list(_usable(RoutePolicy.objects.filter(enabled=True), _policy, leave_out))
    policy = _gateway_policy(row, leave_out)
    for sentence in left_out:
        logger.error("left out of the configuration: %s", sentence)
    return build_table(
        revision=revision,
        answers_revision=answers_revision,
        deployments=priced(deployments, prices, now),
        aliases=aliases,
        policies=policies,
        policy=policy,
        left_out=tuple(left_out),
        prices_until=until(prices, now),
        catalogue_size=asked,
    )


# For threads outside of Django's request cycle.
poll_revision = borrowed_connection()(current_revision)
poll_table = borrowed_connection()(load_table)


def _usable(rows: Iterable[Row], spec_of: Callable[[Row], Spec], leave_out: LeaveOut) -> Iterator[Spec]:
    for row in rows:
        try:
            yield spec_of(row)
        except UNREADABLE as error:
            leave_out(f"{row._meta.verbose_name} {row.name}", error)


def _gateway_policy(row: GatewaySettings, leave_out: LeaveOut) -> GatewayPolicy:
    return GatewayPolicy(
        api_key_header=row.api_key_header.lower(),
        cors_origins=_origins(row, leave_out),
        request_timeout_s=row.request_timeout_s,
        max_attempts=row.max_attempts,
        default_strategy=row.default_strategy if row.default_strategy in STRATEGIES else DEFAULT_STRATEGY,
        rate_limit_requests=row.rate_limit_rpm,
        rate_limit_window_s=row.rate_limit_window_s,
        condensation=_section(row, "condensation", leave_out),
        response_cache=_section(row, "response_cache", leave_out),
        payload_logging=_section(row, "payload_logging", leave_out),
        log_file=row.log_file,
        log_level=log_level(row.process),
        app_name=row.app_name,
        app_version=row.app_version,
    )


def _origins(row: GatewaySettings, leave_out: LeaveOut) -> frozenset[str]:
    try:
        return frozenset(_names(row, "cors_origins"))
    except UNREADABLE as error:
        leave_out("gateway settings", error)
        return frozenset()


def _section(row: GatewaySettings, name: str, leave_out: LeaveOut) -> Any:
    stored = getattr(row, name)
    if (fault := section_fault(name, stored)) is not None:
        leave_out("gateway settings", fault.removesuffix("."))
    return usable_section(name, stored)


def _names(row: Any, column: str) -> tuple[str, ...]:
    value = getattr(row, column)
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise UnusableRow(f"its {column} are no list of names")
    return tuple(value)


def _strategy(row: ModelAlias | RoutePolicy) -> str:
    if row.strategy and row.strategy not in STRATEGIES:
        raise UnusableRow(f"unknown strategy {row.strategy}")
    return row.strategy


def _alias(row: ModelAlias) -> AliasSpec:
    return AliasSpec(
        name=row.name,
        targets=_names(row, "targets"),
        strategy=_strategy(row),
        fallbacks=_names(row, "fallbacks"),
        cache_enabled=row.cache_enabled,
        condensation_enabled=row.condensation_enabled,
    )


def _policy(row: RoutePolicy) -> PolicySpec:
    if not isinstance(row.options, dict):
        raise UnusableRow("its options are no JSON object")
    for name in policy_options.problems(row.options):
        raise UnusableRow(f"its option {name} is not {policy_options.EXPECTED}")
    return PolicySpec(
        pattern=row.pattern,
        strategy=_strategy(row),
        options=row.options,
        fallbacks=_names(row, "fallbacks"),
        context_fallbacks=_names(row, "context_fallbacks"),
        sticky=row.sticky,
    )
