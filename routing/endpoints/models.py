"""`GET /v1/models`: what this key may use now."""

from accounts.records import Principal
from providers.types import JsonObject
from routing.gateway import unknown_model
from routing.table import Route, RoutingTable


def list_models(table: RoutingTable, principal: Principal) -> JsonObject:
    """Aliases and plain model names; `provider/model` forms work too but would double the list."""
    visible = [_model(route) for route in table.listed if route.deployments and principal.allows_model(route.name)]
    return {"object": "list", "data": visible}


def one_model(table: RoutingTable, principal: Principal, name: str) -> JsonObject:
    route = table.route(name)
    if route is None or not route.deployments or not principal.allows_model(name):
        raise unknown_model(name)
    return _model(route)


def _model(route: Route) -> JsonObject:
    owners = {deployment.provider.name for deployment in route.deployments}
    return {
        "id": route.name,
        "object": "model",
        "created": route.created,
        "owned_by": owners.pop() if len(owners) == 1 else "llm-proxy",
    }
