"""Deployments and candidates for tests of routing and monitoring, with only what a test cares about spelled out."""

from typing import Any

from monitoring.deployment_state import Candidate
from providers.specs import CredentialSpec, DeploymentSpec, Prices, ProviderSpec
from providers.transport import Endpoint
from routing.plan import RoutePlan, make_plan

ENDPOINT = Endpoint(scheme="http", host="127.0.0.1", port=80)


def credential(id: int = 1, *, weight: int = 1, secret: str = "s") -> CredentialSpec:
    return CredentialSpec(id=id, name=f"key-{id}", secret=f"{secret}-{id}", weight=weight)


def provider(id: int = 1, **fields: Any) -> ProviderSpec:
    fields.setdefault("credentials", (credential(id),))
    return ProviderSpec(id=id, name=f"p{id}", kind="openai", endpoint=ENDPOINT, base_path="/v1", **fields)


def deployment(id: int = 1, *, of: ProviderSpec | None = None, **fields: Any) -> DeploymentSpec:
    fields.setdefault("model", "m")
    return DeploymentSpec(id=id, provider=of or provider(id), upstream_model=f"u{id}", **fields)


def prices(input: int | None, output: int | None) -> Prices:
    return Prices(input=input, output=output)


def candidate(
    id: int = 1, *, of: ProviderSpec | None = None, spec: dict[str, Any] | None = None, **state: Any
) -> Candidate:
    return Candidate(deployment(id, of=of, **(spec or {})), **state)


def ids(order: Any) -> list[int]:
    """Of deployments or candidates."""
    return [each.deployment.id if isinstance(each, Candidate) else each.id for each in order]


def recomputed(plan: RoutePlan) -> RoutePlan:
    """Once more from what it recorded."""
    return make_plan(plan.query, plan.candidates, plan.strategy, plan.draws)
