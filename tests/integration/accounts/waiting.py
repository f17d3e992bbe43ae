"""Waiting for what happens in another thread, or by itself."""

import asyncio
import time

from django.db import connection

from accounts.admission import Accounts
from accounts.errors import InvalidApiKey


async def run(function, *arguments, **options):
    def job():
        try:
            return function(*arguments, **options)
        finally:
            connection.close()  # each thread has its own, and the pool is small

    return await asyncio.to_thread(job)


async def is_refused(accounts: Accounts, token: str) -> bool:
    try:
        await accounts.authenticate(token, None)
    except InvalidApiKey:
        return True
    return False


async def until(condition, *, seconds: float = 5.0) -> float:
    started = time.monotonic()
    while not await condition():
        assert time.monotonic() - started < seconds, "it did not happen in time"
        await asyncio.sleep(0.05)
    return time.monotonic() - started
