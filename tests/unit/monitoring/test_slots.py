import asyncio

import pytest

from monitoring.slots import Slots


async def settle() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_takes_free_slots_without_waiting():
    slots = Slots(2)
    assert slots.try_acquire()
    assert await slots.acquire(0)
    assert not slots.try_acquire()
    assert not await slots.acquire(0)
    slots.release()
    assert slots.try_acquire()


async def test_serves_the_longest_waiting_first_and_nobody_jumps_the_line():
    slots = Slots(3)
    while slots.try_acquire():
        pass
    served: list[int] = []

    async def call(number: int) -> None:
        assert await slots.acquire(5)
        served.append(number)

    tasks = [asyncio.create_task(call(number)) for number in range(3)]
    await settle()
    assert (served, slots.in_use, slots.saturated) == ([], 3, True)
    for expected in range(3):
        slots.release()
        assert not slots.try_acquire(), "the free slot belongs to the line"
        await settle()
        assert served[-1] == expected
    await asyncio.gather(*tasks)


async def test_gives_up_after_its_time_and_leaves_the_line():
    slots = Slots(1)
    slots.try_acquire()
    assert not await slots.acquire(0.01)
    assert (slots.saturated, slots.in_use) == (False, 1)
    slots.release()
    assert slots.try_acquire()


async def test_a_full_line_refuses_at_once():
    slots = Slots(1)
    slots.try_acquire()
    waiter = asyncio.create_task(slots.acquire(5))
    await settle()
    assert slots.saturated
    assert not await slots.acquire(5)
    slots.release()
    assert await waiter


async def test_a_cancelled_waiter_leaves_the_line():
    slots = Slots(1)
    slots.try_acquire()
    waiter = asyncio.create_task(slots.acquire(5))
    await settle()
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert not slots.saturated
    slots.release()
    assert slots.in_use == 0


async def test_a_slot_handed_over_as_its_waiter_is_cancelled_is_not_lost():
    slots = Slots(2)
    assert slots.try_acquire()
    assert slots.try_acquire()
    first, second = (asyncio.create_task(slots.acquire(5)) for _ in range(2))
    await settle()
    slots.release()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await second
    assert slots.in_use == 2


async def test_a_larger_limit_admits_at_once_and_a_smaller_one_as_calls_end():
    slots = Slots(2)
    assert slots.try_acquire()
    assert slots.try_acquire()
    waiters = [asyncio.create_task(slots.acquire(5)) for _ in range(2)]
    await settle()
    slots.resize(4)
    assert await asyncio.gather(*waiters) == [True, True]
    slots.resize(1)
    for _ in range(3):
        slots.release()
        assert not slots.try_acquire()
    slots.release()
    assert slots.try_acquire()


async def test_ten_thousand_cancellations_leak_nothing():
    slots = Slots(250)

    async def call() -> None:
        if await slots.acquire(0.05):
            try:
                await asyncio.sleep(0)
            finally:
                slots.release()

    for round_ in range(20):
        tasks = [asyncio.create_task(call()) for _ in range(500)]
        for _ in range(round_ % 5):
            await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert slots.in_use == 0
    slots.resize(1)
    assert slots.try_acquire()
    assert not slots.saturated
