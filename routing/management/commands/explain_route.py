"""`manage.py explain_route MODEL`: where a request for a model would go, and why."""

import argparse
import json
import random
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from monitoring.health_refresher import as_health
from monitoring.models import HealthState
from monitoring.upstream_state import UpstreamStates
from routing.explanation import explain
from routing.table import RoutingTable
from routing.table_loader import load_table


class Command(BaseCommand):
    help = (
        "Prints the decision for a chat request: candidates, scores and exclusions. It knows the configuration and the "
        "stored health; breakers, latencies and running calls live in the server: GET /routes/explain shows those too."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("model", help="A model, an alias, or provider/model.")
        parser.add_argument("--json", action="store_true", help="Print what GET /routes/explain answers.")

    def handle(self, *args: Any, **options: Any) -> None:
        table = load_table()
        decision = explain(table, states_of(table), options["model"])
        if decision is None:
            known = ", ".join(route.name for route in table.listed[:20]) or "none"
            left_out = "".join(f" Left out: {sentence}." for sentence in table.left_out)
            raise CommandError(f"There is no model or alias named '{options['model']}'. Known: {known}.{left_out}")
        if options["json"]:
            self.stdout.write(json.dumps(decision))
            return
        self.stdout.write(f"revision {decision['revision']}")
        for plan in (decision, *decision["fallbacks"]):
            self.stdout.write("\n".join(_lines(plan)))
        if table.left_out:
            self.stdout.write("\n".join(["", "left out", *(f"       {sentence}" for sentence in table.left_out)]))


def states_of(table: RoutingTable) -> UpstreamStates:
    """Fresh ones, with what health checks have found."""
    states = UpstreamStates(time.monotonic, random.random)
    states.sync((spec for route in table.routes.values() for spec in route.deployments), table.providers.values())
    for provider_id, deployment_id, status in HealthState.objects.values_list("provider_id", "deployment_id", "status"):
        if deployment_id is None:
            states.set_provider_health(provider_id, as_health(status))
        else:
            states.set_health(deployment_id, as_health(status))
    return states


def _lines(plan: dict[str, Any]) -> list[str]:
    lines = ["", f"{plan['model']}, strategy {plan['strategy']}"]
    ranks = {name: str(rank) for rank, name in enumerate(plan["order"], start=1)}
    for candidate in sorted(plan["candidates"], key=lambda each: int(ranks.get(each["deployment"], "999999"))):
        name = candidate["deployment"]
        why = f"excluded: {candidate['excluded']}" if name not in ranks else f"score {_number(candidate['score'])}"
        terms = ", ".join(f"{term} {_number(value)}" for term, value in candidate["terms"].items())
        lines.append(f"  {ranks.get(name, '-'):>3}  {name:<40} {why}{'  (' + terms + ')' if terms else ''}")
    if not plan["order"]:
        lines.append("  nobody may serve this now")
    return lines


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"
