"""How a worker learns of changed keys from a database that is slow."""

import asyncio
import time

import pytest
from django.conf import settings as django_settings

from accounts.admission import Accounts
from accounts.key_source import ChangeNote, SqlKeySource
from accounts.models import Budget, Limit
from accounts.provisioning import KeyOrder, create_key, revoke_key
from tests.integration.accounts.waiting import is_refused, run, until

pytestmark = pytest.mark.django_db(transaction=True)


class SlowOnce(SqlKeySource):
    """Reads the next changes at once and hands them over too late."""

    def __init__(self) -> None:
        super().__init__()
        self.slow = False

    def changes(self) -> ChangeNote:
        note = super().changes()
        if self.slow and note.keys:
            self.slow = False
            time.sleep(1.2)
        return note


async def test_a_change_that_the_database_told_too_late_is_not_forgotten(tmp_path):
    issued = await run(create_key, KeyOrder(name="k"))
    source = SlowOnce()
    accounts = Accounts(pepper=django_settings.KEY_PEPPER, data_dir=tmp_path, key_source=source)
    await accounts.open()
    await accounts.authenticate(issued.token, None)
    await asyncio.sleep(0.7)
    source.slow = True
    await run(revoke_key, issued.key.pk)
    await until(lambda: is_refused(accounts, issued.token))
    assert not source.slow
    await accounts.aclose()


@pytest.mark.parametrize("kind", [Limit, Budget])
async def test_a_limit_or_budget_that_is_given_to_another_key_leaves_the_one_it_was_for(tmp_path, kind):
    first, second = [await run(create_key, KeyOrder(name=name)) for name in ("first", "second")]
    row = await run(lambda: kind.objects.create(scope="key", key=first.key, tokens=1000))
    accounts = Accounts(pepper=django_settings.KEY_PEPPER, data_dir=tmp_path)
    await accounts.open()

    async def are_under_it(*wanted: bool) -> bool:
        principals = [await accounts.authenticate(each.token, None) for each in (first, second)]
        return [bool(found.limits or found.budgets) for found in principals] == list(wanted)

    assert await are_under_it(True, False)
    await asyncio.sleep(0.7)  # the changes of the beginning are told
    row.key = second.key
    await run(row.save)
    await until(lambda: are_under_it(False, True))
    await accounts.aclose()
