"""The end of a process whose disk is full."""

import errno
import os
import time

import pytest

from accounts.background import Background, replay_orphans
from accounts.journal import Journal
from accounts.models import UsageRecord
from tests.integration.accounts.waiting import run
from tests.unit.accounts.builders import intent, record

pytestmark = pytest.mark.django_db(transaction=True)


class Nothing:
    """Of the parts of a worker that have nothing to do at its end."""

    async def tick(self, **options):
        pass

    def last_used(self, since):
        return {}


async def test_what_a_full_disk_refused_is_booked_at_the_end_as_it_was(tmp_path):
    """Else it would be lost with the process, and a replay take its attempt for one of a worker that was killed."""
    room = [1_000]

    def write(file: int, data: bytes) -> int:
        if len(data) > room[0]:
            raise OSError(errno.ENOSPC, "no space left")
        room[0] -= len(data)
        return os.write(file, data)

    directory = tmp_path / "journal"
    journal = Journal(directory, "w1", segment_bytes=1_000, write=write)
    journal.open()
    ending = Background(
        worker="w1", directory=directory, journal=journal, keys=Nothing(), source=Nothing(), budgets=Nothing(),
        lookups=Nothing(), sweep=lambda: None,
    )  # fmt: skip
    calls = [(f"call{number}", "req", time.time(), 0, None, ()) for number in range(4)]
    for owner in calls:
        journal.attempt(owner, intent())
    for owner in calls:
        journal.settled(owner, [record(cost_nano_usd=100)])
    assert journal.unwritten()

    assert not await ending.stop(timeout_s=10)
    journal.close(given_back=False)
    booked = [("provider", 100)] * 4
    rows = UsageRecord.objects.values_list("usage_source", "cost_nano_usd")
    assert await run(lambda: list(rows)) == booked
    assert await run(replay_orphans, directory) == 0
    assert await run(lambda: list(rows)) == booked
    assert list(directory.iterdir()) == []
