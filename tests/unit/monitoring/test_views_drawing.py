"""How a request's decision is drawn: bars inside the time line, places, words for exclusions."""

from typing import Any

import pytest

from accounts.models import UsageRecord
from monitoring.views.decision_drawing import draw, say

CAUSES = {"connect": "cannot connect", "success": "answered", "missing_capability": "cannot do"}


def attempt(outcome: str, started: float, duration: float, first: float | None = None) -> dict[str, Any]:
    return {
        "provider": "p", "deployment": f"p/{outcome}", "outcome": outcome, "status": 200, "started": started,
        "duration": duration, "time_to_first_token": first, "credential": None, "then": None, "message": None,
    }  # fmt: skip


def decision(**more: Any) -> dict[str, Any]:
    candidates = [
        {"deployment": "a/m", "provider": "a", "excluded": None, "score": 0.7, "terms": {"price": 0.1}, "state": {}},
        {"deployment": "b/m", "provider": "b", "excluded": "missing_capability:tools", "score": None, "terms": {}, "state": {}},
        {"deployment": "c/m", "provider": "c", "excluded": None, "score": 0.2, "terms": {"price": 0.2}, "state": {}},
    ]  # fmt: skip
    base = {"model": "m", "strategy": "balanced", "revision": 3, "candidates": candidates, "order": ["c/m", "a/m"]}
    return {**base, "attempts": [attempt("connect", 0.0, 0.5), attempt("success", 0.5, 1.5, 0.3)], "before": [], **more}


def test_attempts_lie_on_the_time_line_where_they_happened() -> None:
    drawing = draw(decision(), [], CAUSES)
    failed, won = drawing["attempts"]
    assert (failed["left"], failed["width"], failed["state"], failed["words"]) == (0, 25.0, "bad", "cannot connect")
    assert (won["left"], won["width"], won["state"], won["waiting"]) == (25.0, 75.0, "ok", 20.0)


@pytest.mark.parametrize("total", [0.0, 1e-9, 5000.0])
def test_bars_never_leave_the_time_line(total: float) -> None:
    drawing = draw(
        decision(attempts=[attempt("success", total, total, total), attempt("connect", total, 0.0)]), [], CAUSES
    )
    for bar in drawing["attempts"]:
        assert bar["left"] >= 0
        assert bar["width"] > 0
        assert bar["left"] + bar["width"] <= 100.01


def test_candidates_stand_in_the_order_they_were_tried_and_the_excluded_say_why() -> None:
    (plan,) = draw(decision(), [], CAUSES)["plans"]
    assert [(each["deployment"], each["position"]) for each in plan["candidates"]] == [
        ("c/m", 1),
        ("a/m", 2),
        ("b/m", None),
    ]
    assert plan["candidates"][-1]["words"] == "cannot do: tools"
    assert plan["candidates"][0]["shown_terms"] == [("price", 0.2)]


def test_the_ledger_alone_draws_attempts_one_after_the_other() -> None:
    rows = [
        UsageRecord(attempt=1, deployment="a/m", status=503, error_code="overloaded", duration_ms=100, final=False),
        UsageRecord(
            attempt=2, deployment="c/m", status=200, duration_ms=900, time_to_first_token_ms=300, final=True, model="m"
        ),
    ]
    drawing = draw(None, rows, CAUSES)
    assert [bar["started"] for bar in drawing["attempts"]] == [0.0, 0.1]
    assert not drawing["recorded"]
    assert drawing["plans"] == []


def test_unknown_words_are_shown_as_they_are() -> None:
    assert say("brand_new_reason", CAUSES) == "brand new reason"
