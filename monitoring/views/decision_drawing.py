"""What the page of a request draws: its time line and its candidates, from the decision record or from the ledger. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from accounts.models import UsageRecord

Drawing = dict[str, Any]
NARROWEST_PERCENT = 0.6


def draw(decision: Mapping[str, Any] | None, rows: Sequence[UsageRecord], causes: Mapping[str, str]) -> Drawing:
    """`attempts` have `left`, `width` and `first` in percent of the whole call; the ledger alone does not know when an
    attempt began, so there they follow each other."""
    attempts = (
        list(decision["attempts"]) if decision is not None else [booked_attempt(row) for row in rows if row.attempt]
    )
    _fill_starts(attempts)
    final = next((row for row in rows if row.final), None)
    ends = [each["started"] + each["duration"] for each in attempts]
    total_s = max([*ends, final.duration_ms / 1000 if final is not None else 0.0, 0.001])
    return {
        "recorded": decision is not None,
        "strategy": decision.get("strategy") if decision is not None else None,
        "revision": decision.get("revision") if decision is not None else final.revision if final else None,
        "model": decision["model"] if decision is not None else final.model if final is not None else "",
        "total_s": total_s,
        "planned_s": attempts[0]["started"] if attempts else None,
        "attempts": [_bar(number, each, total_s, causes) for number, each in enumerate(attempts, 1)],
        "plans": _plans(decision, causes) if decision is not None else [],
        "ticks": [{"left": share, "s": total_s * share / 100} for share in (0, 25, 50, 75, 100)],
    }


def booked_attempt(row: UsageRecord) -> dict[str, Any]:
    """What the ledger knows of an attempt, under the names of a decision record."""
    first = row.time_to_first_token_ms
    return {
        "provider": row.provider,
        "deployment": row.deployment,
        "outcome": row.error_code or "success",
        "status": row.status,
        "duration": row.duration_ms / 1000,
        "time_to_first_token": None if first is None else first / 1000,
    }


def _fill_starts(attempts: list[dict[str, Any]]) -> None:
    at = 0.0
    for attempt in attempts:
        known = attempt.get("started")
        at = attempt["started"] = at if known is None else float(known)
        at += attempt["duration"]


def _bar(number: int, attempt: Mapping[str, Any], total_s: float, causes: Mapping[str, str]) -> dict[str, Any]:
    first, duration = attempt["time_to_first_token"], attempt["duration"]
    left = min(100 * attempt["started"] / total_s, 100 - NARROWEST_PERCENT)
    width = max(min(100 * duration / total_s, 100 - left), NARROWEST_PERCENT)
    won = attempt["outcome"] == "success"
    return {
        **attempt,
        "number": number,
        "left": round(left, 2),
        "width": round(width, 2),
        "waiting": round(100 * min(first / duration, 1), 2) if first is not None and duration else 100,
        "words": say(str(attempt["outcome"]), causes),
        "state": "ok" if won else "idle" if attempt["outcome"] in ("cancelled", "client_gone") else "bad",
        "stream_s": max(duration - first, 0) if won and first is not None else None,
    }


def _plans(decision: Mapping[str, Any], causes: Mapping[str, str]) -> list[dict[str, Any]]:
    """The last plan, and before it those of the aliases it fell back from."""
    plans = [*decision.get("before", ()), decision]
    return [_plan(plan, causes) for plan in plans if plan.get("candidates")]


def _plan(plan: Mapping[str, Any], causes: Mapping[str, str]) -> dict[str, Any]:
    order = list(plan["order"])
    term_names = sorted({name for each in plan["candidates"] for name in each["terms"]})
    candidates = [
        {
            **each,
            "position": order.index(each["deployment"]) + 1 if each["deployment"] in order else None,
            "words": say(each["excluded"], causes) if each["excluded"] else "",
            "shown_terms": [(name, each["terms"].get(name)) for name in term_names],
        }
        for each in plan["candidates"]
    ]
    candidates.sort(key=lambda each: (each["position"] is None, each["position"] or 0))
    return {
        # Decisions kept by an earlier version have no `route`.
        "model": plan.get("route", plan["model"]),
        "strategy": plan.get("strategy"),
        "term_names": term_names,
        "candidates": candidates,
        "panicked": plan.get("panicked") or [],
        "query": plan.get("query") or {},
    }


def say(word: str, causes: Mapping[str, str]) -> str:
    """A reason in the reader's language; `missing_capability:tools` keeps its detail."""
    name, _, detail = word.partition(":")
    known = causes.get(name, name.replace("_", " "))
    return f"{known}: {detail}" if detail else known
