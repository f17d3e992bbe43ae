"""What would happen to a request for a model now, without sending it. One plan for the route and one per fallback."""

import random
from collections.abc import Sequence

from monitoring.upstream_state import UpstreamStates
from providers.types import JsonObject
from routing.decisions import render_plan
from routing.plan import RoutePlan, make_plan
from routing.route_query import Draws, RouteQuery
from routing.table import Route, RoutingTable
from routing.walk import FALLBACK_DEPTH


def explain(table: RoutingTable, states: UpstreamStates, model: str) -> JsonObject | None:
    """The JSON of `GET /routes/explain`; None when no such name exists. It draws its own luck, so that asking does not
    move the turn of a round robin."""
    routes = _chain(table, model)
    if not routes:
        return None
    plans = [_plan(route, states) for route in routes]
    return {
        "request_id": None,
        "revision": table.revision,
        **render_plan(plans[0]),
        "attempts": [],
        "fallbacks": [render_plan(plan) for plan in plans[1:]],
        "left_out": list(table.left_out),
    }


def _plan(route: Route, states: UpstreamStates) -> RoutePlan:
    draws = Draws(uniform=random.random(), ramp=random.random())
    query = RouteQuery(model=route.name)
    return make_plan(query, states.candidates(route.deployments), route.plan_strategy, draws)


def _chain(table: RoutingTable, model: str) -> Sequence[Route]:
    """The route and its fallbacks in the order they are tried, each once."""
    found: dict[str, Route] = {}
    waiting = [model]
    while waiting and len(found) < FALLBACK_DEPTH:
        name = waiting.pop(0)
        route = table.route(name)
        if route is not None and name not in found:
            found[name] = route
            waiting.extend(route.fallbacks)
    return tuple(found.values())
