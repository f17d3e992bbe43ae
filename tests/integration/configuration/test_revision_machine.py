"""Rolling back brings exactly the rows of a revision back, whatever was made, renamed, moved and deleted since."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import IntegrityError, models, transaction
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from accounts.models import Budget, Limit, Price, Team
from providers.models import Credential, Deployment, Provider
from routing.models import ModelAlias, RoutePolicy
from routing.revisions import collected_revision, one_revision
from routing.rollback import roll_back

Rows = dict[tuple[str, int], dict[str, Any]]
PRICE = {"effective_from": datetime(2026, 1, 1, tzinfo=UTC), "input_nano_usd": 1, "output_nano_usd": 1}
KINDS: dict[type[models.Model], Callable[[str, Any], dict[str, Any]]] = {
    Team: lambda name, owner: {"name": name},
    Provider: lambda name, owner: {"name": name, "headers": {"x-secret": name}},
    ModelAlias: lambda name, owner: {"name": name},
    RoutePolicy: lambda name, owner: {"name": name},
    Price: lambda name, owner: {"model": name, **PRICE},
    Credential: lambda name, owner: {"name": name, "provider": owner},
    Deployment: lambda name, owner: {"model": name, "provider": owner},
    Limit: lambda name, owner: {"scope": "team" if owner else "default", "team": owner},
    Budget: lambda name, owner: {"scope": "team" if owner else "all", "team": owner},
}
"""What a row of each has to say: its name and whose it is are its own, and unique."""
OWNERS = {Credential: Provider, Deployment: Provider, Limit: Team, Budget: Team}
NAMES = st.sampled_from("abc")
CHOICE = st.integers(0, 3)


def stored(*kinds: type[models.Model]) -> Rows:
    """All that is configured, but for when it was written."""
    return {
        (kind.__name__, row["id"]): {name: value for name, value in row.items() if name != "updated_at"}
        for kind in kinds
        for row in kind._base_manager.values()
    }


class Revisions(RuleBasedStateMachine):
    """Two rows of one kind and two owners to begin with. `images` are the rows that each revision left in force."""

    @initialize(kind=st.sampled_from(list(KINDS)))
    def begin(self, kind: type[models.Model]) -> None:
        self.transaction = transaction.atomic()
        self.transaction.__enter__()
        self.kind, self.owner = kind, OWNERS.get(kind)
        self.kinds = (kind, self.owner) if self.owner else (kind,)
        self.images: list[tuple[int, Rows]] = [(0, stored(*self.kinds))]
        for name in "ab":
            if self.owner:
                self.change(self.owner(name=name).save)
            self.something_is_made(name, ord(name))

    def teardown(self) -> None:
        if hasattr(self, "transaction"):
            transaction.set_rollback(True)
            self.transaction.__exit__(None, None, None)

    @rule(name=NAMES, choice=CHOICE)
    def something_is_made(self, name: str, choice: int) -> None:
        self.change(self.kind(**KINDS[self.kind](name, self.owned(choice))).save)

    @rule(which=CHOICE, name=NAMES, choice=CHOICE)
    def something_is_renamed_or_moved(self, which: int, name: str, choice: int) -> None:
        if row := self.one(self.kind, which):
            for column, value in KINDS[self.kind](name, self.owned(choice)).items():
                setattr(row, column, value)
            self.change(row.save)

    @rule(which=CHOICE)
    def something_is_deleted(self, which: int) -> None:
        if row := self.one(self.kind, which):
            self.change(row.delete)

    @rule(which=CHOICE, name=NAMES)
    def an_owner_is_deleted_and_another_made(self, which: int, name: str) -> None:
        if self.owner and (row := self.one(self.owner, which)):
            self.change(row.delete)
            self.change(self.owner(name=name).save)

    @rule(back=st.integers(1, 6))
    def it_is_rolled_back(self, back: int) -> None:
        number, wanted = self.images[-back:][0]
        before = stored(*self.kinds)
        made = roll_back(number)
        found = stored(*self.kinds)
        assert found == wanted
        assert (made is None) == (found == before)
        if made is not None:
            self.images.append((made, found))

    def change(self, work: Callable[[], object]) -> None:
        """What a page or call does; what the database refuses leaves nothing."""
        try:
            with transaction.atomic(), one_revision(source="test") as made:
                work()
        except IntegrityError:
            return
        if number := collected_revision(made):
            self.images.append((number, stored(*self.kinds)))

    def one(self, kind: type[models.Model], which: int) -> Any:
        rows = list(kind._base_manager.order_by("pk"))
        return rows[which % len(rows)] if rows else None

    def owned(self, choice: int) -> Any:
        return self.one(self.owner, choice) if self.owner and choice else None


@pytest.mark.django_db
def test_rolling_back_brings_exactly_what_was_there() -> None:
    run_state_machine_as_test(Revisions, settings=settings(max_examples=15, stateful_step_count=8, deadline=None))
