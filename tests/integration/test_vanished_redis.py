"""A subscription whose connection the kernel gave up is connected anew, and does not turn on the spot."""

import asyncio
import errno
import secrets
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from channels_redis.pubsub import RedisPubSubChannelLayer
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import ConnectionError as RedisConnectionError

from proxy_site.vanished_redis import tell_lost_connections

REDIS = "redis://127.0.0.1:6379/0"

pytestmark = pytest.mark.redis


@pytest_asyncio.fixture(params=[2, 3])
async def redis(request: pytest.FixtureRequest) -> AsyncIterator[Redis]:
    tell_lost_connections()
    async with Redis.from_url(REDIS, protocol=request.param) as client:
        yield client


def give_up(subscription: PubSub) -> None:
    """As the kernel does, some time after the host was gone."""
    assert subscription.connection is not None
    reader = subscription.connection._reader
    assert reader is not None
    reader.set_exception(TimeoutError(errno.ETIMEDOUT, "Connection timed out"))


async def test_who_listens_is_told_of_it_at_once_and_hears_again(redis: Redis) -> None:
    channel = f"vanished-{secrets.token_hex(4)}"
    async with redis.pubsub() as subscription:
        await subscription.subscribe(channel)
        assert (await subscription.get_message(timeout=5))["type"] == "subscribe"
        give_up(subscription)
        with pytest.raises(RedisConnectionError, match="timed out"):
            await subscription.get_message(timeout=5)
        assert (await subscription.get_message(timeout=5))["type"] == "subscribe"
        await redis.publish(channel, "again")
        assert (await subscription.get_message(timeout=5))["data"] == b"again"


async def test_the_channel_layer_hears_again_as_well() -> None:
    tell_lost_connections()
    layer = RedisPubSubChannelLayer(hosts=[REDIS], prefix=f"vanished-{secrets.token_hex(4)}")
    name = await layer.new_channel()
    await layer.send(name, {"type": "before"})
    assert await layer.receive(name) == {"type": "before"}
    give_up(layer._get_layer()._shards[0]._pubsub)
    # It waits for a second after each failure.
    await asyncio.sleep(1.5)
    await layer.send(name, {"type": "after"})
    async with asyncio.timeout(5):
        assert await layer.receive(name) == {"type": "after"}
    await layer.flush()
