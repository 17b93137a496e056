"""The worker thread of an event loop."""

import asyncio
import sys
import threading
from functools import partial

import pytest

from asyncsdk._threads import Worker, in_thread, is_loop_running
from asyncsdk.dev import DevServer


def _wait(event: threading.Event) -> None:
    assert event.wait(5)


async def test_a_loop_runs_in_a_coroutine() -> None:
    assert is_loop_running()


def test_no_loop_runs_in_a_plain_function() -> None:
    assert not is_loop_running()


async def test_it_runs_one_job_after_another_and_reports_to_the_loop() -> None:
    ended: list[str] = []
    done: asyncio.Queue[object] = asyncio.Queue()
    worker = Worker(lambda: ended.append("between"), lambda: ended.append("end"))
    worker.submit(lambda: 1, done.put_nowait, done.put_nowait)
    worker.submit(lambda: 1 / 0, done.put_nowait, done.put_nowait)

    assert await done.get() == 1
    assert isinstance(await done.get(), ZeroDivisionError)
    await worker.stop()
    assert ended == ["between", "between", "end"]


async def test_a_result_does_not_wait_for_the_work_between_jobs() -> None:
    reported, released = asyncio.Event(), threading.Event()
    worker = Worker(lambda: _wait(released), lambda: None)
    worker.submit(lambda: 1, lambda _: reported.set(), print)

    await asyncio.wait_for(reported.wait(), 2)
    released.set()
    await worker.stop()


async def test_the_work_between_jobs_may_fail() -> None:
    done: asyncio.Queue[object] = asyncio.Queue()
    worker = Worker([].pop, lambda: None)
    for number in range(2):
        worker.submit(partial(int, number), done.put_nowait, done.put_nowait)

    assert [await done.get(), await done.get()] == [0, 1]
    await worker.stop()


async def test_a_worker_without_jobs_stops_at_once() -> None:
    await Worker(lambda: None, lambda: None).stop()


@pytest.mark.parametrize("is_idle", [True, False])
def test_it_ends_when_its_loop_is_closed(is_idle: bool) -> None:
    ended, begun = threading.Event(), threading.Event()
    worker = Worker(lambda: None, ended.set, check_interval=0.01)

    async def begin() -> None:
        worker.submit((lambda: None) if is_idle else (lambda: begun.wait(5)), print, print)
        await asyncio.sleep(0.05 if is_idle else 0)

    asyncio.run(begin())
    begun.set()

    assert ended.wait(5)


async def test_work_runs_at_once_if_no_thread_can_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", start)

    assert await in_thread(threading.get_ident) == threading.get_ident()


AT_EXIT = """
import asyncio, atexit, sys, threading
from asyncsdk import Client, RudderStack, Track

client, loop = Client(RudderStack("write-key", sys.argv[1])), asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()
asyncio.run_coroutine_threadsafe(client.start(), loop).result()
atexit.register(lambda: asyncio.run_coroutine_threadsafe(client.aclose(), loop).result())
client.put_nowait(Track("ada-lovelace", "Item Viewed"))
"""


@pytest.mark.process
async def test_a_client_that_is_closed_at_exit_looks_up_a_name(server: DevServer) -> None:
    url = server.url.replace("127.0.0.1", "localhost")  # an address needs no look-up

    program = await asyncio.create_subprocess_exec(sys.executable, "-c", AT_EXIT, url)

    assert await program.wait() == 0
    assert [event.name for event in server.accepted("rudderstack")] == ["Item Viewed"]
