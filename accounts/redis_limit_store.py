from collections.abc import Sequence

from accounts.limit_store import Hold, Refused, StoreUnavailable, Taken
from accounts.records import LimitRule


class RedisLimitStore:
    timeout_s = 0.05
    up = True

    def __init__(self, url: str) -> None: ...
    async def open(self) -> None: ...
    async def aclose(self) -> None: ...
    async def take(self, rules: Sequence[LimitRule], *, tokens: int, call_id: str) -> Taken | Refused:
        raise StoreUnavailable

    def settle(self, hold: Hold, tokens: int) -> None: ...
    def cancel(self, hold: Hold) -> None: ...
