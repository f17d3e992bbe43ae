import asyncio

from accounts.task_ending import end


async def test_a_task_that_loses_a_cancellation_ends_all_the_same():
    lost = 0

    async def loop():
        nonlocal lost
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                if lost:
                    raise
                lost += 1

    async def failing():
        raise ValueError

    tasks = [asyncio.create_task(loop()), asyncio.create_task(failing())]
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await end(*tasks)
    assert lost == 1
    assert all(task.done() for task in tasks)


async def test_without_tasks_there_is_nothing_to_wait_for():
    await end()
    await end(None)
