"""What operators ask every worker to do to its breakers. Workers poll the rows each second (see health_refresher)."""

from collections.abc import Collection

from monitoring.models import OperatorRequest
from providers.models import Deployment

OPERATE = "providers.change_provider"
"""What a person needs in order to check, reset, hold or release: it changes what the provider gets."""


def request_reset(provider_names: Collection[str] = ()) -> list[str]:
    """Closes the breakers of all deployments, or of some providers', in every worker within two seconds.

    Returns the deployments concerned, as `provider/model`. Raises `LookupError` for a provider that does not exist.
    """
    rows = Deployment.objects.select_related("provider").filter(enabled=True)
    if not provider_names:
        OperatorRequest.objects.create(action=OperatorRequest.Action.RESET)
        return [str(row) for row in rows]
    rows = rows.filter(provider__name__in=provider_names)
    found = {row.provider.name for row in rows}
    if missing := set(provider_names) - found:
        raise LookupError(f"There is no enabled provider with a model named {', '.join(sorted(missing))}.")
    request_for([row.pk for row in rows], OperatorRequest.Action.RESET)
    return [str(row) for row in rows]


def request_for(deployment_ids: Collection[int], action: OperatorRequest.Action) -> None:
    """Asks for the same action on several deployments."""
    OperatorRequest.objects.bulk_create(
        [OperatorRequest(action=action, deployment_id=deployment_id) for deployment_id in deployment_ids]
    )
