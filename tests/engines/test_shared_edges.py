"""Rare cases of shared rules: writers that meet, files that cannot be shared, engines that fail in between."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from functools import partial
from typing import Any

import pytest
from refresh.vendor import rules

from asyncsdk import ConfigurationError
from asyncsdk._model.engines import EngineError
from asyncsdk._model.fleet import Copy
from asyncsdk._refresh.shared_list_files import MAX_SHARED_LIST, stream_shared
from asyncsdk._refresh.shared_rules import SharedPoller
from asyncsdk.engines import Memory, Postgres, Redis
from asyncsdk.vendors._base import ListFile, Response
from engines.test_fleet_polling import Broken

KEY = "project"


@asynccontextmanager
async def leading(shared: Any) -> AsyncIterator[SharedPoller]:
    poller = SharedPoller(shared, KEY, "Statsig")
    poller.share(KEY, lambda: 60.0, lambda: None)
    task = asyncio.create_task(poller.run())
    while not poller.leads:
        await asyncio.sleep(0)
    yield poller
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(("other", "kept"), [(rules(9), 9), (rules(1), 5), (b"{", 5), (b"[]", 5)])
async def test_of_two_writers_the_newer_ruleset_stays(other: bytes, kept: int) -> None:
    shared = Memory().rules()
    async with leading(shared) as poller:
        token = poller._lead.token if poller._lead else 0
        await shared.write(KEY, KEY, other, replaces="", token=token)
        await poller.publish(KEY, rules(5), 5)

        assert b'"time":%d' % kept in ((await shared.read(KEY, KEY)).body or b"")


async def test_a_leader_that_was_replaced_unnoticed_writes_nothing() -> None:
    memory = Memory()
    async with leading(memory.rules()) as poller:
        memory._projects[KEY].token += 1
        await poller.publish(KEY, rules(5), 5)
        await poller._write(poller._topics[KEY], rules(5), compare=True)  # the lead is gone

        assert not poller.leads
        assert (await memory.rules().read(KEY, KEY)) == Copy()


async def test_writers_that_keep_meeting_give_up() -> None:
    class Changing(Broken):
        def __getattr__(self, name: str) -> Any:
            async def changed(*_: Any, **__: Any) -> Any:
                return "changed", ""

            return changed if name == "write" else super().__getattr__(name)

    async with leading(Changing(Memory().rules())) as poller:
        await poller.publish(KEY, rules(5), 5)
        assert poller.role == "leader"


async def test_failures_of_the_engine_do_not_raise() -> None:
    broken = Broken(Memory().rules())
    async with leading(broken) as poller:
        broken.is_down = True
        await poller.write_file("list", b"+a\n", Copy(), "1")
        assert await poller.read_file("list") is None  # it is not asked
        poller.streak.record_success()
        assert await poller.read_file("list") is None  # it fails
        poller.streak.record_success()
        await poller.publish(KEY, rules(5), 5)
        assert poller.role == "alone"


async def test_a_leader_asks_for_all_rules_only_while_the_engine_is_behind() -> None:
    asked: list[bool] = []

    async def ask(*, for_all: bool = False) -> Response:
        asked.append(for_all)
        return Response(200, body=rules(10))

    shared = Memory().rules()
    async with leading(shared) as poller:
        poller.share(KEY, lambda: 0.0, lambda: None)
        await shared.write(KEY, KEY, rules(5), replaces="", token=poller._lead.token if poller._lead else 0)
        found = await poller.fetch(KEY, ask, has_any=True)
        for body, in_use in ((found.body, 5), (found.body, 9), (rules(10), 10)):
            poller._topics[KEY].body = found.body
            await poller.publish(KEY, body, in_use)
            await poller.fetch(KEY, ask, has_any=True)

    assert asked == [False, True, False]


async def test_notices_that_fail_are_asked_for_again() -> None:
    memory = Memory()

    class Deaf(Broken):
        failures = 0

        def notices(self, project: str) -> AsyncIterator[None]:
            Deaf.failures += 1
            if Deaf.failures < 3:
                raise EngineError("no permission")
            return memory.rules().notices(project)

    async with leading(Deaf(memory.rules())) as poller:
        while Deaf.failures < 3:
            await asyncio.sleep(0.01)
        assert not poller.streak.failures


async def test_notices_that_always_fail_are_not_asked_for_without_a_pause() -> None:
    class Deaf(Broken):
        asked = 0

        def notices(self, project: str) -> AsyncIterator[None]:
            Deaf.asked += 1
            raise EngineError("no permission")

    async with leading(Deaf(Memory().rules())):
        for _ in range(100):
            await asyncio.sleep(0)

    assert Deaf.asked < 5


async def test_a_new_leader_polls_once_and_then_its_followers_when_it_has_written() -> None:
    memory, woken = Memory(), list[str]()
    pollers = {name: SharedPoller(memory.rules(), KEY, name) for name in ("leader", "follower")}
    async with asyncio.TaskGroup() as group:
        tasks = []
        for name, poller in pollers.items():
            poller.share(KEY, lambda: 60.0, partial(woken.append, name))
            tasks.append(group.create_task(poller.run()))
            for _ in range(20):
                await asyncio.sleep(0)
        await pollers["leader"].publish(KEY, rules(5), 5)
        for _ in range(20):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()

    assert woken[0] == "leader"
    assert woken.count("leader") == 1
    assert woken[-1] == "follower"


async def test_a_file_that_cannot_be_written_counts_as_a_failure_of_the_engine() -> None:
    shared = Broken(Memory().rules())
    async with leading(shared) as poller:
        shared.is_down = True
        await poller.write_file("vips", b"+a\n", Copy(), "1")

        assert poller.role == "alone"


# --- files of lists -----------------------------------------------------------------------------------------------


async def download(poller: SharedPoller, file: ListFile, body: bytes, status: int = 200) -> bytes:
    """Download a file of which the server returns `body`; return what was received."""
    received: list[bytes] = []

    async def receive(_: Response, pieces: AsyncIterator[bytes]) -> None:
        received.extend([piece async for piece in pieces])

    async def pieces() -> AsyncIterator[bytes]:
        yield body

    async def stream(take: Any) -> Response:
        await take(Response(status), pieces())
        return Response(status)

    await stream_shared(poller, file.name, file, stream, receive)
    return b"".join(received)


def list_file(size: int, start: int = 0, generation: str = "1") -> ListFile:
    return ListFile("vips", "http://127.0.0.1:9/vips", generation, 1, size, start)


async def test_a_large_file_is_downloaded_by_each_process() -> None:
    memory = Memory()
    async with leading(memory.rules()) as poller:
        assert await download(poller, list_file(MAX_SHARED_LIST + 1), b"+a\n") == b"+a\n"
        assert not memory._projects[KEY].copies


async def test_an_end_without_its_beginning_is_not_shared() -> None:
    memory = Memory()
    async with leading(memory.rules()) as poller:
        assert await download(poller, list_file(6, start=3), b"+b\n", 206) == b"+b\n"
        assert not memory._projects[KEY].copies


@pytest.mark.parametrize(("body", "status"), [(b"+b\n", 206), (b"+a\n+b\n", 200)])
async def test_a_longer_file_is_shared_whole(body: bytes, status: int) -> None:
    memory = Memory()
    async with leading(memory.rules()) as poller:
        await download(poller, list_file(3), b"+a\n")
        await download(poller, list_file(6, start=3), body, status)

        assert memory._projects[KEY].copies["vips"].body == b"+a\n+b\n"
        assert await download(poller, list_file(6, start=3), b"not asked") == b"+b\n"


@pytest.mark.parametrize("status", [200, 500])
async def test_an_incomplete_file_is_not_shared(status: int) -> None:
    memory = Memory()
    async with leading(memory.rules()) as poller:
        await download(poller, list_file(6), b"+a\n", status)
        assert not memory._projects[KEY].copies


async def test_a_follower_writes_no_file() -> None:
    memory = Memory()
    await SharedPoller(memory.rules(), KEY, "Statsig").write_file("vips", b"+a\n", Copy(), "1")
    assert not memory._projects


# --- engines ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "engine",
    [Redis("redis+cluster://127.0.0.1:9"), Postgres("postgresql://127.0.0.1:9/db", pooler=True)],
    ids=["cluster", "pooler"],
)
async def test_where_nothing_notifies_it_is_time_to_look_each_second(engine: Any) -> None:
    async with aclosing(engine.rules().notices(KEY)) as notices:
        await anext(notices)
        await asyncio.wait_for(anext(notices), 10)


@pytest.mark.parametrize("engine", [Redis("redis://h:9"), Postgres("postgresql://h/db")])
def test_what_an_engine_keeps_names_its_engine(engine: Any) -> None:
    for part in (engine.rules(may_write=False), engine.assignments(), engine.exposures()):
        assert repr(engine) in repr(part)


@pytest.mark.parametrize("engine", [Redis("redis://h:9"), Postgres("postgresql://h/db")])
def test_a_switch_must_be_true_or_false(engine: Any) -> None:
    with pytest.raises(ConfigurationError, match="may_write"):
        engine.rules(may_write="no")


@pytest.mark.parametrize("engine", [Memory(), Redis("redis://h:9"), Postgres("postgresql://h/db")])
async def test_closing_what_was_not_opened_does_nothing(engine: Any) -> None:
    for part in (engine.rules(), engine.assignments(), engine.exposures()):
        if hasattr(part, "aclose"):
            await part.aclose()


async def test_assignments_in_memory_are_compared_too() -> None:
    store = Memory().assignments()
    assert await store.compare_and_set("unit", "a", None, {"n": 1}) == {"n": 1}
    assert await store.compare_and_set("unit", "a", None, {"n": 2}) == {"n": 1}
    assert await store.load("unit") == {"a": {"n": 1}}
    assert await store.compare_and_set("unit", "a", {"n": 1}, None) is None
    assert await store.load("unit") == {}


async def test_a_lead_that_is_lost_while_it_is_renewed_is_followed() -> None:
    memory = Memory()
    async with leading(memory.rules()) as poller:
        memory._projects[KEY].holder, memory._projects[KEY].copies[KEY] = object(), Copy("1", b"{}")
        poller._topics[KEY].copy = Copy("1")

        async def ask(**_: Any) -> Response:
            raise AssertionError

        assert (await poller.fetch(KEY, ask, has_any=True)).status == 304
        assert poller.role == "follower"


async def test_a_connection_for_notices_that_ends_is_an_end_of_notices(postgres_server: Any) -> None:
    engine = Postgres(postgres_server.dsn)
    async with aclosing(engine.rules().notices(KEY)) as notices:
        await anext(notices)
        waiting = asyncio.ensure_future(anext(notices, None))
        await asyncio.sleep(0)
        await engine._fetch("select pg_notify('asyncsdk_events_rules', 'another project')")
        await engine._fetch("select pg_terminate_backend(pid) from pg_stat_activity where query like 'LISTEN%'")
        assert await asyncio.wait_for(waiting, 10) is None
    await engine.aclose()


@pytest.mark.parametrize(("has_any", "waits"), [(True, [True, False]), (False, [False, False])])
async def test_processes_with_rules_spread_their_first_requests_after_the_engine_failed(
    has_any: bool, waits: list[bool]
) -> None:
    async def ask(*, for_all: bool = False) -> Response:
        return Response(204, {}, b"")

    shared = Broken(Memory().rules())
    shared.is_down = True
    poller = SharedPoller(shared, KEY, "Statsig")
    poller.share(KEY, lambda: 1e6, lambda: None)
    waited = []
    for _ in waits:
        fetching = asyncio.create_task(poller.fetch(KEY, ask, has_any=has_any))
        for _ in range(9):
            await asyncio.sleep(0)
        waited.append(not fetching.done())
        fetching.cancel()

    assert waited == waits
