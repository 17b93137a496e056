"""One poller for a fleet: processes with rules of one project, and a vendor that counts its requests."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import uuid4

import attrs
import orjson
import pytest
from refresh.vendor import ADA, Vendor, gate, make_refresher, rules, running, serving, statsig, until

from asyncsdk._model.engines import EngineError
from asyncsdk._refresh import Refresher
from engines.conftest import Engines

TTL = 0.3
LISTS = "/v1/get_id_lists"


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    async with serving(Vendor()) as vendor:
        yield vendor


class Fleet:
    """Processes of one project; each has an engine of its own, on the same server."""

    def __init__(self, vendor: Vendor, engines: Engines) -> None:
        self.vendor, self._engines = vendor, engines
        # Keys in Redis are those of Statsig's SDKs, which have the hash of the secret key, and no other prefix.
        self._secret_key = f"secret-{uuid4()}"

    @asynccontextmanager
    async def process(self, interval: float = 60.0, shared: Any = None, **settings: Any) -> AsyncIterator[Refresher]:
        shared = shared or self._engines().rules(ttl=TTL)  # type: ignore[attr-defined]
        source = attrs.evolve(statsig(self.vendor, shared=shared, **settings), secret_key=self._secret_key)
        async with running(make_refresher(source, poll_interval=interval)) as refresher:
            yield refresher

    def polls(self, path: str = "download_config_specs") -> int:
        return len(self.vendor.requests_for(path))


@pytest.fixture
def fleet(vendor: Vendor, engines: Engines) -> Fleet:
    return Fleet(vendor, engines)


def role(refresher: Refresher) -> str:
    return refresher.health().role


def passes(refresher: Refresher, name: str = "gate") -> bool:
    return bool(refresher.rules.gate(ADA, name).passed)


async def started(stack: AsyncExitStack, fleet: Fleet, number: int, **settings: Any) -> list[Refresher]:
    processes = [await stack.enter_async_context(fleet.process(**settings)) for _ in range(number)]
    assert all(await asyncio.gather(*(one.wait_ready(10) for one in processes)))
    return processes


async def test_a_fleet_starts_with_one_request_to_the_vendor(fleet: Fleet) -> None:
    async with AsyncExitStack() as stack:
        processes = await started(stack, fleet, 5)

        assert all(map(passes, processes))
        assert fleet.polls() == 1
        assert sorted(map(role, processes)) == ["follower"] * 4 + ["leader"]


async def test_a_change_reaches_all_within_a_second_of_the_poll(fleet: Fleet) -> None:
    async with AsyncExitStack() as stack:
        processes = await started(stack, fleet, 3, interval=0.2)
        fleet.vendor.body = rules(2, gate("gate", passes=False))
        await until(lambda: any(one.rules.time_ms == 2 for one in processes))
        noticed = time.monotonic()
        for one in processes:
            await until(lambda one=one: one.rules.time_ms == 2)  # type: ignore[misc]

        assert time.monotonic() - noticed < 1.0


async def test_a_process_that_starts_later_reads_what_the_fleet_has(fleet: Fleet) -> None:
    async with fleet.process() as first:
        await first.wait_ready(10)
        fleet.vendor.script = [503] * 20
        async with fleet.process() as second:
            assert await second.wait_ready(10)
            assert passes(second)
        assert fleet.polls() == 1


async def test_when_the_leader_ends_another_one_leads_and_does_not_ask_early(fleet: Fleet) -> None:
    async with AsyncExitStack() as stack:
        first = fleet.process()
        leader = await first.__aenter__()
        await leader.wait_ready(10)
        [second] = await started(stack, fleet, 1)
        await first.__aexit__(None, None, None)
        await until(lambda: role(second) == "leader")

        assert await second.refresh(10)
        assert fleet.polls() == 2  # of which the caller asked for one


async def test_a_refresh_on_a_follower_asks_the_vendor(fleet: Fleet) -> None:
    async with AsyncExitStack() as stack:
        processes = await started(stack, fleet, 2)
        follower = next(one for one in processes if role(one) == "follower")
        fleet.vendor.body = rules(2)

        assert await follower.refresh(10)
        assert follower.rules.time_ms == 2


async def test_a_reader_never_leads(fleet: Fleet, engines: Engines) -> None:
    reader = engines().rules(may_write=False, ttl=TTL)  # type: ignore[attr-defined]
    async with fleet.process() as leader, fleet.process(shared=reader) as follower:
        assert await leader.wait_ready(10)
        assert await follower.wait_ready(10)
        assert role(follower) == "follower"


async def test_without_a_leader_a_reader_asks_the_vendor_after_a_while(fleet: Fleet, engines: Engines) -> None:
    reader = engines().rules(may_write=False)  # type: ignore[attr-defined]
    async with fleet.process(shared=reader) as alone:
        assert await alone.wait_ready(10)
        assert passes(alone)


async def test_a_damaged_download_stays_with_the_leader(fleet: Fleet) -> None:
    async with AsyncExitStack() as stack:
        processes = await started(stack, fleet, 3, interval=0.1)
        before = fleet.polls()
        fleet.vendor.script = [b'{"has_updates":true}'] * 2
        await until(lambda: fleet.polls() > before + 3)

        assert all(map(passes, processes))
        followers = [one for one in processes if role(one) == "follower"]
        assert not any(one.polling.streak.total for one in followers)


async def test_no_older_ruleset_replaces_a_newer_one(fleet: Fleet, engines: Engines) -> None:
    shared: Any = engines().rules(ttl=TTL)  # type: ignore[attr-defined]
    async with AsyncExitStack() as stack:
        [one] = await started(stack, fleet, 1, interval=0.1, shared=shared)
        fleet.vendor.body = rules(5)
        await until(lambda: one.rules.time_ms == 5)
        fleet.vendor.body = rules(3)
        before = fleet.polls()
        await until(lambda: fleet.polls() > before + 2)

        key = one._source.cache_key
        assert b'"time":5' in (await shared.read(key, key)).body


async def test_rules_that_another_writer_made_older_are_restored(fleet: Fleet, engines: Engines) -> None:
    shared: Any = engines().rules(ttl=TTL)  # type: ignore[attr-defined]
    fleet.vendor.body = rules(5)
    async with AsyncExitStack() as stack:
        [one] = await started(stack, fleet, 1, interval=0.1, shared=shared)
        await until(lambda: role(one) == "leader")
        key = one._source.cache_key
        lead = await shared.lead(key, TTL)
        version = (await shared.read(key, key)).version
        await shared.write(key, key, rules(3), replaces=version, token=lead.token)

        async with asyncio.timeout(10):
            while b'"time":5' not in (await shared.read(key, key)).body:
                await asyncio.sleep(0.01)
        assert one.rules.time_ms == 5


async def test_what_the_engine_lost_is_written_again(fleet: Fleet, engines: Engines) -> None:
    memory_of = engines()
    shared: Any = memory_of.rules(ttl=TTL)  # type: ignore[attr-defined]
    async with AsyncExitStack() as stack:
        [one] = await started(stack, fleet, 1, interval=0.1, shared=shared)
        key = one._source.cache_key
        await forget(memory_of, key)

        async with asyncio.timeout(10):
            while (await shared.read(key, key)).body is None:
                await asyncio.sleep(0.01)


async def forget(engine: Any, key: str) -> None:
    if hasattr(engine, "_projects"):
        engine._projects[key].copies.clear()
    elif hasattr(engine, "_fetch"):
        await engine._fetch(f'delete from {engine._sql.table[:-1]}_rules"')
    else:
        await engine._clients.commands.delete(key)


# --- ID lists -----------------------------------------------------------------------------------------------------


def manifest(fleet: Fleet, *given: Any, **more: Any) -> bytes:
    return orjson.dumps(fleet.vendor.list_of(*given, **more))


async def test_id_lists_are_downloaded_once_for_all(fleet: Fleet) -> None:
    fleet.vendor.manifest = manifest(fleet, "vips", b"+aaaaaaaa\n+bbbbbbbb\n")
    async with AsyncExitStack() as stack:
        processes = await started(stack, fleet, 4, id_lists=True)

        assert {one.health().id_lists["vips"] for one in processes} == {2}
        assert (fleet.polls("get_id_lists"), fleet.polls("/list/vips")) == (1, 1)


async def test_what_is_added_to_a_list_reaches_all(fleet: Fleet) -> None:
    fleet.vendor.manifest = manifest(fleet, "vips", b"+aaaaaaaa\n")
    async with AsyncExitStack() as stack:
        processes = await started(stack, fleet, 3, id_lists=True, interval=0.1)
        fleet.vendor.manifest = manifest(fleet, "vips", b"+aaaaaaaa\n+bbbbbbbb\n")
        for one in processes:
            await until(lambda one=one: one.health().id_lists.get("vips") == 2)  # type: ignore[misc]

        assert fleet.polls("/list/vips") == 2


async def test_another_generation_of_a_list_reaches_all(fleet: Fleet) -> None:
    fleet.vendor.manifest = manifest(fleet, "vips", b"+aaaaaaaa\n+cccccccc\n")
    async with AsyncExitStack() as stack:
        processes = await started(stack, fleet, 3, id_lists=True, interval=0.1)
        fleet.vendor.manifest = manifest(fleet, "vips", b"+bbbbbbbb\n", generation="2", created=2)
        for one in processes:
            await until(lambda one=one: one.health().id_lists.get("vips") == 1)  # type: ignore[misc]


# --- the engine is unavailable ------------------------------------------------------------------------------------


class Broken:
    """Shared rules whose every call fails while `is_down`."""

    def __init__(self, shared: Any) -> None:
        self._shared, self.is_down = shared, False

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._shared, name)
        if name in ("lead", "read", "write", "resign"):
            return self._guarded(found)
        return found

    def _guarded(self, call: Callable[..., Any]) -> Callable[..., Any]:
        async def guarded(*args: Any, **kwargs: Any) -> Any:
            if self.is_down:
                raise EngineError("connection refused")
            return await call(*args, **kwargs)

        return guarded


async def test_while_the_engine_is_down_each_process_polls_for_itself(fleet: Fleet, engines: Engines) -> None:
    shared = [Broken(engines().rules(ttl=TTL)) for _ in range(3)]  # type: ignore[attr-defined]
    async with AsyncExitStack() as stack:
        processes = [await stack.enter_async_context(fleet.process(0.2, one)) for one in shared]
        assert all(await asyncio.gather(*(one.wait_ready(10) for one in processes)))
        for broken in shared:
            broken.is_down = True
        await until(lambda: all(role(one) == "alone" for one in processes))
        assert all(map(passes, processes))
        assert processes[0].health().last_error == "connection refused"
        fleet.vendor.body = rules(2)
        for one in processes:
            await until(lambda one=one: one.rules.time_ms == 2)  # type: ignore[misc]

        for broken in shared:
            broken.is_down = False
        await until(lambda: sorted(map(role, processes)) == ["follower", "follower", "leader"])
        assert not processes[0].health().last_error


async def test_a_process_starts_while_the_engine_is_down(fleet: Fleet, engines: Engines) -> None:
    broken = Broken(engines().rules(ttl=TTL))  # type: ignore[attr-defined]
    broken.is_down = True
    async with fleet.process(shared=broken) as one:
        assert await one.wait_ready(10)
        assert role(one) == "alone"
