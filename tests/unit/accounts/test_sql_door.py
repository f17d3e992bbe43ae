import asyncio
import gc
import threading

import pytest
from django.db import DatabaseError

from accounts.sql_door import SqlDoor, SqlUnavailable


@pytest.fixture
async def door():
    changes: list[bool] = []
    found = SqlDoor(name="test", threads=1, on_change=changes.append)
    found.changes = changes
    yield found
    found.close()


def fails() -> None:
    raise DatabaseError("gone")


async def test_a_frozen_server_holds_nobody_up_and_its_late_answer_is_used(door):
    thaw, late = threading.Event(), []
    with pytest.raises(SqlUnavailable, match="in time"):
        await door.run(lambda: thaw.wait(5) and "answer", timeout_s=0.05, late=late.append)
    started = asyncio.get_running_loop().time()
    for _ in range(100):
        with pytest.raises(SqlUnavailable):
            await door.run(lambda: None, timeout_s=5.0)
    assert asyncio.get_running_loop().time() - started < 0.5, "queued behind a thread that is stuck"

    thaw.set()
    while not late:
        await asyncio.sleep(0.01)
    assert late == ["answer"]
    assert await door.run(lambda: 7, timeout_s=5.0) == 7


async def test_a_job_that_fails_after_its_deadline_leaves_no_traceback_in_the_log(door):
    thaw, reported = threading.Event(), []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context))
    with pytest.raises(SqlUnavailable, match="in time"):
        await door.run(lambda: thaw.wait(5) and fails(), timeout_s=0.05)
    thaw.set()
    while door._stuck:
        await asyncio.sleep(0.01)
    gc.collect()
    await asyncio.sleep(0)
    assert reported == []


async def test_it_says_once_when_the_server_is_down_and_once_when_it_is_back(door):
    for _ in range(8):
        with pytest.raises(SqlUnavailable):
            await door.run(fails, timeout_s=1.0)
        await asyncio.sleep(0.1)
    assert (door.up, door.changes) == (False, [False])

    await asyncio.sleep(1.0)
    assert await door.run(lambda: 7, timeout_s=1.0) == 7
    assert (door.up, door.changes) == (True, [False, True])


async def test_a_mistake_in_a_job_is_not_taken_for_an_outage(door):
    with pytest.raises(ZeroDivisionError):
        await door.run(lambda: 1 // 0, timeout_s=1.0)
    assert door.up
