"""Starting, closing, and being where one does not belong."""

import asyncio
import gc
import logging
import os
import threading
import time
import warnings
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from helpers import ADA, amplitude, quick, rudderstack, statsig

from asyncsdk import (
    Client,
    ClientClosedError,
    ConfigurationError,
    ForkedProcessError,
    HttpSettings,
    RudderStack,
    Rules,
    Statsig,
    Track,
    WrongEventLoopError,
)
from asyncsdk._lifecycle import Lifecycle
from asyncsdk.dev import DevServer, Fault


def test_a_client_is_made_without_a_loop(server_url: str = "http://127.0.0.1:9") -> None:
    before = set(threading.enumerate())  # another test's server may still be ending
    client = Client(amplitude_at(server_url))

    assert client.health().state == "new"
    assert set(threading.enumerate()) <= before


async def test_starting_twice_is_starting_once(server: DevServer) -> None:
    client = Client(rudderstack(server))

    await client.start()
    assert (await client.start()).ready
    assert len(_ours()) == 1

    await client.aclose()


async def test_closing_twice_gives_the_same_report(server: DevServer) -> None:
    async with Client(rudderstack(server)) as client:
        await client.track(ADA, "a")
        first = await client.aclose()

    assert await client.aclose() is first
    assert first.destinations["RudderStack"].delivered == 1


async def test_two_tasks_may_close_at_once(server: DevServer) -> None:
    client = Client(rudderstack(server))
    await client.start()
    await client.track(ADA, "a")

    first, second = await asyncio.gather(client.aclose(), client.aclose())

    assert first is second


async def test_a_client_that_was_never_started_closes() -> None:
    client = Client()

    report = await client.aclose()

    assert report.complete
    assert client.health().state == "closed"


async def test_an_event_before_start_is_refused(server: DevServer) -> None:
    client = Client(rudderstack(server))

    with pytest.raises(ClientClosedError, match="not started"):
        await client.track(ADA, "a")


async def test_an_event_after_close_is_refused(server: DevServer) -> None:
    async with Client(rudderstack(server)) as client:
        pass

    with pytest.raises(ClientClosedError, match="closed"):
        await client.track(ADA, "a")
    with pytest.raises(ClientClosedError, match="closed"):
        client.put_nowait(Track(ADA, "a"))
    with pytest.raises(ClientClosedError, match="closed"):
        await client.start()


async def test_events_are_taken_while_the_client_drains(server: DevServer) -> None:
    server.script("rudderstack", Fault(delay=0.1))
    client = Client(rudderstack(server))
    await client.start()
    await client.track(ADA, "first")
    closing = asyncio.create_task(client.aclose())
    await server.requested("rudderstack")

    assert client.health().state == "draining"
    await client.track(ADA, "second")

    assert (await closing).destinations["RudderStack"].delivered == 2


async def test_a_second_loop_is_told_so(server: DevServer) -> None:
    async with Client(rudderstack(server)) as client:

        def elsewhere() -> None:
            for use in (lambda: client.track(ADA, "a"), client.flush, client.aclose, client.start):
                with pytest.raises(WrongEventLoopError, match="another event loop"):
                    asyncio.run(use())

        await asyncio.to_thread(elsewhere)


async def test_a_fork_is_told_so(server: DevServer) -> None:
    async with Client(rudderstack(server)) as client:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of any fork beside threads
            child = os.fork()
        if child == 0:
            try:
                client.put_nowait(Track(ADA, "a"))
            except ForkedProcessError:
                os._exit(42)
            os._exit(1)
        _, status = os.waitpid(child, 0)

        assert os.waitstatus_to_exitcode(status) == 42
        assert client.health().destinations["RudderStack"].counts.accepted == 0


def test_a_client_made_before_a_fork_starts_after_it() -> None:
    client = Client()
    child = os.fork()
    if child == 0:
        asyncio.run(_start_and_close(client))
        os._exit(42)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 42


async def test_a_forgotten_client_warns_with_the_number_of_unsent_events(server: DevServer) -> None:
    client = Client(rudderstack(server, quick(linger=60)))
    await client.start()
    await client.track(ADA, "a")
    await client.track(ADA, "b")
    mine = [task for task in asyncio.all_tasks() if task.get_name() == "asyncsdk"]

    with pytest.warns(ResourceWarning, match="2 unsent events"):
        for task in mine:
            task.cancel()
        await asyncio.wait(mine)
        await asyncio.sleep(0)

    assert client.health().destinations["RudderStack"].counts.abandoned == 2


def test_a_client_whose_loop_is_gone_warns() -> None:
    async def forget() -> None:
        await Client().start()

    loop = asyncio.new_event_loop()
    with pytest.warns(ResourceWarning, match="a Client was not closed: use"):
        loop.run_until_complete(forget())
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0.01))
        loop.close()
        gc.collect()


def test_a_client_that_is_thrown_away_warns() -> None:
    async def forget() -> None:
        await Client().start()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(forget())
    loop.close()
    with pytest.warns(ResourceWarning, match="was not closed"):
        del loop
        gc.collect()


async def test_a_client_of_another_process_is_told_so_by_every_call(server: DevServer) -> None:
    client = Client(rudderstack(server))
    await client.start()
    life = client._life
    own = life._pid, life.loop, life._home
    life._pid, life.loop, life._home = 0, None, None  # as in a child of its process, where no loop of the parent's runs

    for use in (client.flush, client.start, lambda: client.track(ADA, "a")):
        with pytest.raises(ForkedProcessError):
            await use()
    assert (await client.aclose()).destinations["RudderStack"].accepted == 0

    life._pid, life.loop, life._home = own
    await client.aclose()


async def test_the_close_report_is_logged_once(server: DevServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "asyncsdk")
    async with Client(rudderstack(server)) as client:
        await client.track(ADA, "a")
    await client.aclose()

    lines = [record.getMessage() for record in caplog.records if "closed in" in record.getMessage()]
    assert len(lines) == 1
    assert "accepted 1, delivered 1" in lines[0]


async def test_memory_mode_has_no_thread_at_rest(server: DevServer) -> None:
    async with Client(rudderstack(server), amplitude(server), statsig(server)) as client:
        await client.track(ADA, "a")
        await client.flush()

        assert [thread.name for thread in threading.enumerate()] == ["MainThread"]


async def test_flush_returns_when_its_time_is_over(server: DevServer) -> None:
    server.fault("rudderstack", Fault(end="hang"))
    async with Client(rudderstack(server)) as client:
        await client.track(ADA, "a")

        report = await client.flush(timeout=0.05)
        server.clear_faults()

        assert not report.complete
        assert report.destinations["RudderStack"].pending == 1
        await client.aclose(timeout=0.1)


async def test_flush_does_not_wait_for_what_comes_later(server: DevServer) -> None:
    async with Client(rudderstack(server)) as client:
        await client.track(ADA, "before")
        flush = asyncio.create_task(client.flush())
        await server.received("rudderstack", 1)
        server.fault("rudderstack", Fault(end="hang"))
        await client.track(ADA, "after")

        assert (await flush).complete
        await client.aclose(timeout=0.1)


async def test_flush_before_start_and_after_close_is_harmless(server: DevServer) -> None:
    client = Client(rudderstack(server))
    assert (await client.flush()).complete
    async with client:
        pass
    assert (await client.flush()).complete


def test_two_destinations_need_two_names() -> None:
    with pytest.raises(ConfigurationError, match="two destinations are called 'Amplitude': give each a `name="):
        Client(amplitude_at("http://127.0.0.1:9"), amplitude_at("http://127.0.0.1:9"))


def test_a_destination_is_one_of_ours() -> None:
    with pytest.raises(ConfigurationError, match="one by one"):
        Client("api-key")  # type: ignore[arg-type] # that is the test


def test_a_client_tells_how_it_is_but_not_its_keys() -> None:
    client = Client(amplitude_at("http://127.0.0.1:9"))

    assert repr(client) == "<Client new [Amplitude]: 0 events pending>"


async def test_closing_in_time_whatever_happens_is_cheap(server: DevServer) -> None:
    client = Client(rudderstack(server))
    await client.start()
    began = time.monotonic()

    await client.aclose(timeout=5)

    assert time.monotonic() - began < 1


async def _start_and_close(client: Client) -> None:
    async with client:
        pass


def amplitude_at(url: str) -> object:
    from asyncsdk import Amplitude

    return Amplitude("api-key", url=f"{url}/2/httpapi")


def _ours() -> list[str]:
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name() == "asyncsdk"]


@pytest.fixture
async def life() -> AsyncIterator[Lifecycle]:
    ended = asyncio.Event()
    life = Lifecycle()
    life.start([], ended.set)
    yield life
    life.cancel()
    await ended.wait()


def endless(life: Lifecycle, made: list[int]) -> Callable[[], None]:
    """Return a call that adds itself again, as threads do that put events as fast as they are taken."""

    def call() -> None:
        made.append(len(made))
        if life.takes_events:
            life.call_soon(call)

    return call


async def test_catching_up_makes_the_calls_of_that_moment_only(life: Lifecycle) -> None:
    made: list[int] = []
    life.call_soon(endless(life, made))
    life.catch_up()

    assert made == [0]
    life.close_intake()


async def test_calls_of_other_threads_leave_the_loop_its_turns(life: Lifecycle) -> None:
    made: list[int] = []
    life.call_soon(endless(life, made))
    while len(made) < 100:
        await asyncio.sleep(0)  # returns, though there is always another call

    life.close_intake()
    assert life.crashes == 0


async def test_a_call_that_fails_does_not_keep_the_next_ones(life: Lifecycle) -> None:
    made, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.set_exception_handler(lambda *_: None)
    life.call_soon(lambda: 1 // 0)
    life.call_soon(made.set)

    await asyncio.wait_for(made.wait(), 1)


def test_a_loop_that_is_closed_under_a_client_makes_one_warning(
    caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    url = "http://127.0.0.1:9"  # where nothing listens, so that every task waits for a retry
    source = Statsig("secret-key", log_event_url=url, rules=Rules(specs_url=url, id_lists=True, id_lists_url=url))

    async def forget() -> None:
        client = Client(source, RudderStack("key", url, limits=quick()), start_timeout=0.05)
        await client.start()
        await client.track(ADA, "a")
        await client.flush(timeout=0.05)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(forget())
    loop.close()
    gc.collect()

    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert ["2 unsent events are lost" in str(warning.message) for warning in recwarn] == [True]


async def test_a_move_that_is_not_in_the_table_is_an_error(life: Lifecycle) -> None:
    life.begin_drain()

    with pytest.raises(RuntimeError, match="cannot go from draining to draining"):
        life.begin_drain()


def test_a_request_may_fail_as_its_closed_loop_ends_it(
    caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    class Connecting(aiohttp.TCPConnector):
        """Fails on its way out, as a connection of aiohttp does if nothing else has closed it before."""

        async def connect(self, *_: object, **__: object) -> Any:
            try:
                await asyncio.Event().wait()
            finally:
                self._loop.call_soon(print)

    async def forget() -> None:
        http = HttpSettings(connector=Connecting)
        client = Client(RudderStack("key", "http://127.0.0.1:9", limits=quick()), http=http)
        await client.start()
        await client.track(ADA, "a")
        await client.flush(timeout=0.05)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(forget())
    loop.close()
    gc.collect()

    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert ["1 unsent event" in str(warning.message) for warning in recwarn] == [True]
