"""`GET /v1/models`: what this key may use now, in OpenAI's shape or, for Anthropic's clients, in theirs."""

from datetime import UTC, datetime

from accounts.records import Principal
from providers.types import JsonObject
from routing.gateway import unknown_model
from routing.table import Route, RoutingTable


def list_models(table: RoutingTable, principal: Principal, *, of_messages: bool) -> JsonObject:
    """Aliases and plain model names; `provider/model` forms work too but would double the list. On one page, whatever the
    client has for a limit."""
    visible = [route for route in table.listed if route.deployments and principal.allows_model(route.name)]
    data = [_model(route, of_messages=of_messages) for route in visible]
    if not of_messages:
        return {"object": "list", "data": data}
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return {"data": data, "has_more": False, "first_id": first, "last_id": last}


def one_model(table: RoutingTable, principal: Principal, name: str, *, of_messages: bool) -> JsonObject:
    route = table.route(name)
    if route is None or not route.deployments or not principal.allows_model(name):
        raise unknown_model(name)
    return _model(route, of_messages=of_messages)


def _model(route: Route, *, of_messages: bool) -> JsonObject:
    if of_messages:
        since = datetime.fromtimestamp(route.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"type": "model", "id": route.name, "display_name": route.name, "created_at": since}
    owners = {deployment.provider.name for deployment in route.deployments}
    return {
        "id": route.name,
        "object": "model",
        "created": route.created,
        "owned_by": owners.pop() if len(owners) == 1 else "llm-proxy",
    }
