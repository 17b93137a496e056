"""Rules in Redis as Statsig's own SDKs keep them there: read what they wrote, and write what they read."""

import asyncio
import time
import zlib
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import attrs
import pytest
import redis as sync_redis
import statsig_python_core as core
from refresh.vendor import ADA, Vendor, make_refresher, rules, running, serving, statsig
from rules.rulesets import NEVER, PUBLIC, gate, rule, ruleset
from statsig_python_core.data_store import DataStore, DataStoreResponse

from asyncsdk._refresh import Refresher
from asyncsdk.engines import EngineError, Redis
from engines.servers import RedisServer

SETTLE = 30
PROJECT = ruleset({"gate": gate(rule("all", [PUBLIC])), "shut": gate(rule("none", [NEVER]))}, time=7)


class Adapter(DataStore):
    """What a user of statsig-python-core writes to keep rules in Redis."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.redis = sync_redis.Redis.from_url(url)

    def get(self, key: str) -> DataStoreResponse | None:
        found = self.redis.get(key)
        return None if found is None else DataStoreResponse(found.decode(), int(time.time() * 1000))

    def set(self, key: str, value: str, time: int | None = None) -> None:
        self.redis.set(key, value)

    def support_polling_updates_for(self, key: str) -> bool:
        return "download_config_specs" in key


@pytest.fixture
def key() -> str:
    return f"secret-{uuid4()}"


@asynccontextmanager
async def ours(
    server: RedisServer, key: str, vendor: Vendor | None = None, **settings: Any
) -> AsyncIterator[Refresher]:
    engine = Redis(server.url)
    url = {} if vendor else {"specs_url": "http://127.0.0.1:9"}
    source = attrs.evolve(statsig(vendor, shared=engine.rules(**settings), **url), secret_key=key)
    async with running(make_refresher(source, poll_interval=0.2)) as refresher:
        assert await refresher.wait_ready(10)
        yield refresher
    await engine.aclose()


def core_client(server: RedisServer, key: str, adapter: Adapter, vendor_url: str = "") -> Any:
    options = core.StatsigOptions(
        data_store=adapter,
        specs_url=f"{vendor_url or 'http://127.0.0.1:9'}/v2/download_config_specs",
        specs_sync_interval_ms=1000,
        disable_all_logging=True,
        output_log_level="none",
    )
    client = core.Statsig(key, options)
    client.initialize().wait(SETTLE)
    return client


@pytest.mark.oracle
async def test_core_reads_what_our_leader_wrote(redis_server: RedisServer, key: str) -> None:
    async with serving(Vendor(body=PROJECT)) as vendor, ours(redis_server, key, vendor):
        adapter = Adapter(redis_server.url)
        theirs = await asyncio.to_thread(core_client, redis_server, key, adapter)
        user = core.StatsigUser(user_id="ada")
        seen = theirs.check_gate(user, "gate"), theirs.check_gate(user, "shut")
        reason = theirs.get_feature_gate(user, "gate").details.reason
        await asyncio.to_thread(lambda: theirs.shutdown().wait(SETTLE))

    assert seen == (True, False)
    assert reason == "Adapter(DataStore):Recognized"


@pytest.mark.oracle
async def test_we_read_what_core_wrote(redis_server: RedisServer, key: str) -> None:
    class Writing(Adapter):
        def support_polling_updates_for(self, key: str) -> bool:
            return False

    adapter = Writing(redis_server.url)
    async with serving(Vendor(body=PROJECT)) as vendor:
        theirs = await asyncio.to_thread(core_client, redis_server, key, adapter, vendor.url)
        await asyncio.to_thread(lambda: theirs.shutdown().wait(SETTLE))
    source = attrs.evolve(statsig(), secret_key=key)
    assert adapter.redis.get(source.cache_key), adapter.redis.keys("statsig|*")

    async with ours(redis_server, key, may_write=False) as refresher:
        assert refresher.rules.time_ms == 7
        assert refresher.rules.gate(ADA, "gate").passed


async def test_what_another_sdk_writes_is_read_at_the_next_poll(redis_server: RedisServer, key: str) -> None:
    client = sync_redis.Redis.from_url(redis_server.url)
    project = attrs.evolve(statsig(), secret_key=key).cache_key
    client.set(project, rules(1))
    async with ours(redis_server, key, may_write=False) as refresher:
        client.set(project, rules(2))
        async with asyncio.timeout(10):
            while refresher.rules.time_ms != 2:
                await asyncio.sleep(0.01)


async def test_the_layout_of_the_node_package_is_a_hash_of_deflated_text(redis_server: RedisServer, key: str) -> None:
    client = sync_redis.Redis.from_url(redis_server.url)
    project = attrs.evolve(statsig(), secret_key=key).cache_key
    async with serving(Vendor(body=rules(3))) as vendor, ours(redis_server, key, vendor, layout="hash"):
        async with asyncio.timeout(10):
            while not (stored := client.hget("statsig-redis", project)):
                await asyncio.sleep(0.01)
        assert zlib.decompress(b64decode(stored)) == rules(3)

    client.hset("statsig-redis", project, b64encode(zlib.compress(rules(4))))
    async with ours(redis_server, key, may_write=False, layout="hash") as refresher:
        assert refresher.rules.time_ms == 4


async def test_damaged_text_in_the_hash_is_an_error(redis_server: RedisServer, key: str) -> None:
    client = sync_redis.Redis.from_url(redis_server.url)
    client.hset("statsig-redis", key, "junk")
    engine = Redis(redis_server.url)
    try:
        with pytest.raises(EngineError, match="not in the form of statsig-node-redis"):
            await engine.rules(layout="hash").read(key, key)
    finally:
        await engine.aclose()
