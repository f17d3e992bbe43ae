"""What follows from what was found, case by case and over many looks."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.discovery.found import Found
from providers.discovery.reconcile import Known, Rules, difference, reconcile

NOW = datetime(2026, 7, 1, tzinfo=UTC)
ASK = Rules(approves=lambda found: False)
TRUST = Rules(approves=lambda found: True)


def found(name: str, **document: object) -> Found:
    return Found(external_id=name, name=name, document={"name": name, **document})


def known(name: str, state: str = "approved", **more: object) -> Known:
    return Known(external_id=name, state=state, document={"name": name}, **more)  # type: ignore[arg-type]


def actions(rows: list[Known], items: list[Found], rules: Rules = ASK) -> dict[str, str]:
    plan = reconcile(rows, items, now=NOW, rules=rules)
    return {decision.external_id: decision.action for decision in plan.decisions}


@pytest.mark.parametrize(
    ("rows", "items", "rules", "action"),
    [
        ([], [found("a")], ASK, "propose"),
        ([], [found("a")], TRUST, "approve"),
        ([known("a", "proposed")], [found("a")], ASK, "refresh"),
        ([known("a", "proposed")], [found("a")], TRUST, "approve"),
        ([known("a")], [found("a")], ASK, "refresh"),
        ([known("a")], [found("a", priority=2)], ASK, "differ"),
        ([known("a")], [found("a", priority=2)], TRUST, "update"),
        ([known("a", "rejected")], [found("a")], TRUST, "ignore"),
        ([known("a", "draining", draining_since=NOW)], [found("a")], ASK, "revive"),
        ([known("a", "disabled", draining_since=NOW)], [found("a")], ASK, "revive"),
        ([known("a", "disabled")], [found("a")], ASK, "propose"),
        ([known("a", "draining")], [found("a", priority=2)], ASK, "propose"),
        ([known("a", "disabled")], [found("a", priority=2)], TRUST, "revive"),
        ([known("a"), known("b")], [found("b")], ASK, "miss"),
        ([known("a", missed=1), known("b")], [found("b")], ASK, "drain"),
        ([known("a", "draining", draining_since=NOW - timedelta(seconds=599))], [], ASK, "ignore"),
        ([known("a", "draining", draining_since=NOW - timedelta(seconds=600))], [], ASK, "disable"),
        ([known("a", "proposed", missed=1)], [], ASK, "disable"),
        ([known("a", "rejected")], [], ASK, "ignore"),
        ([known("a", shown_wrongly=True, missed=9)], [], ASK, "keep"),
        ([known("a", shown_wrongly=True, permitted=False)], [], ASK, "miss"),
        ([known("a", "draining", shown_wrongly=True, draining_since=NOW)], [], ASK, "ignore"),
    ],
)
def test_each_case_has_its_action(rows, items, rules, action):
    assert actions(rows, items, rules)["a"] == action


def test_a_source_that_suddenly_shows_nothing_empties_no_pool():
    plan = reconcile([known("a", missed=9), known("b", missed=9)], [], now=NOW, rules=ASK)

    assert plan.held
    assert {decision.action for decision in plan.decisions} == {"ignore"}


STATES = st.sampled_from(["proposed", "approved", "rejected", "draining", "disabled"])
ROWS = st.dictionaries(st.sampled_from("abcdef"), st.tuples(STATES, st.integers(0, 5)), max_size=6)


@given(rows=ROWS, names=st.sets(st.sampled_from("abcdef")), trusts=st.booleans())
def test_every_row_and_every_finding_gets_exactly_one_decision(rows, names, trusts):
    before = [known(name, state, missed=missed) for name, (state, missed) in rows.items()]
    plan = reconcile(before, [found(name) for name in sorted(names)], now=NOW, rules=TRUST if trusts else ASK)

    assert sorted(decision.external_id for decision in plan.decisions) == sorted(set(rows) | names)
    for decision in plan.decisions:
        state = rows.get(decision.external_id, ("", 0))[0]
        assert not (state == "rejected" and decision.action != "ignore")
        assert not (decision.action in ("drain", "disable", "miss") and decision.external_id in names)
        assert not (decision.action == "approve" and not trusts)


def test_a_difference_shows_both_sides():
    assert difference({"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 4}) == {"b": [2, 3], "c": [None, 4]}
