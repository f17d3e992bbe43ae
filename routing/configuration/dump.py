"""The database as a document. Secrets appear as references, API keys not at all: they belong to their owners."""

from collections.abc import Iterable
from typing import Any

from accounts.models import Budget, Limit, Team
from providers.models import Credential, Deployment, Provider
from routing.configuration.columns import (
    SECTION_COLUMNS,
    alias_values,
    model_values,
    policy_values,
    provider_values,
    settings_values,
    stored_mapping,
)
from routing.configuration.document import (
    AliasEntry,
    BudgetEntry,
    Configuration,
    PolicyEntry,
    TeamEntry,
)
from routing.configuration.provider_entry import CredentialEntry, ModelEntry, ProviderEntry
from routing.configuration.stored import section_value, stored_process
from routing.models import GatewaySettings, ModelAlias, RoutePolicy


def read_configuration() -> Configuration:
    """Everything that is configured, as a document that `apply` finds nothing to change in."""
    row = GatewaySettings.objects.filter(pk=1).first() or GatewaySettings()
    settings = {**settings_values(row), **stored_process(row.process), **_sections(row)}
    given = frozenset(settings) | {"model_aliases", "route_policies", "teams", "providers", "file_managed_settings"}
    return Configuration(
        **settings,
        given=given,
        model_aliases={alias.name: AliasEntry(**alias_values(alias)) for alias in ModelAlias.objects.order_by("name")},
        route_policies=tuple(
            PolicyEntry(**policy_values(policy)) for policy in RoutePolicy.objects.order_by("position", "name")
        ),
        teams=_teams(),
        providers=_providers(),
        file_managed_settings=tuple(sorted(row.file_keys)),
    )


def _sections(row: GatewaySettings) -> dict[str, Any]:
    found = {name: section_value(name, getattr(row, name)) for name in SECTION_COLUMNS}
    return {name: value for name, value in found.items() if value is not None}


def _providers() -> tuple[ProviderEntry, ...]:
    models: dict[int, list[Deployment]] = {}
    for deployment in Deployment.objects.order_by("pk"):
        models.setdefault(deployment.provider_id, []).append(deployment)
    credentials: dict[int, list[Credential]] = {}
    for credential in Credential.objects.order_by("pk"):
        credentials.setdefault(credential.provider_id, []).append(credential)
    return tuple(
        ProviderEntry(
            **provider_values(row),
            **_credentials(credentials.get(row.pk, [])),
            models=tuple(ModelEntry(**model_values(model, row)) for model in models.get(row.pk, [])),
        )
        for row in Provider.objects.order_by("priority", "name")
    )


def _credentials(rows: list[Credential]) -> dict[str, Any]:
    """The shortest form that says it all; `api_keys_env: []` says that there is none."""
    entries = [_credential(row) for row in rows]
    if not entries:
        return {"api_keys_env": ()}
    if len(entries) == 1 and entries[0] == CredentialEntry(env=entries[0].env) and entries[0].env:
        return {"api_key_env": entries[0].env}
    return {"credentials": tuple(entries)}


def _credential(row: Credential) -> CredentialEntry:
    return CredentialEntry(name=row.name, env=row.environment_variable or None, weight=row.weight, enabled=row.enabled)


def _teams() -> dict[str, TeamEntry]:
    limits = {limit.team_id: limit for limit in Limit.objects.filter(scope="team")}
    # One budget per period is what a document can say; of several the first stands for the rest.
    budgets: dict[int | None, dict[str, Budget]] = {}
    for budget in Budget.objects.filter(scope="team", enabled=True).order_by("period", "pk"):
        budgets.setdefault(budget.team_id, {}).setdefault(budget.period, budget)
    return {
        team.name: _team(team, limits.get(team.pk), budgets.get(team.pk, {}).values())
        for team in Team.objects.order_by("name")
    }


def _limit(limit: Limit) -> dict[str, Any]:
    if limit.requests is None and limit.tokens is None and limit.concurrency is None:
        return {}  # windows of nothing
    return {
        "rpm": limit.requests,
        "tpm": limit.tokens,
        "max_concurrency": limit.concurrency,
        "requests_window": limit.requests_window_s,
        "tokens_window": limit.tokens_window_s,
    }


def _team(team: Team, limit: Limit | None, budgets: Iterable[Budget]) -> TeamEntry:
    return TeamEntry(
        enabled=team.enabled,
        **({} if limit is None else _limit(limit)),
        budgets=tuple(
            BudgetEntry(
                usd=budget.amount_nano_usd,
                tokens=budget.tokens,
                period=budget.period,
                on_unknown_price=budget.on_unknown_price,
            )
            for budget in budgets
        ),
        cache=team.cache_enabled,
        payload_logging=team.payload_logging,
        metadata=stored_mapping(team.metadata),
        managed_by=team.managed_by or "admin",
    )
