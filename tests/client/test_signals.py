"""SIGTERM: the drain comes first, and whatever the host had installed still happens."""

import asyncio
import signal
import subprocess
import sys
import textwrap
import threading
from typing import Any

import pytest
from helpers import ADA, quick, rudderstack

from asyncsdk import Client
from asyncsdk._client.signals import SignalDrain
from asyncsdk.dev import DevServer, Fault


async def test_the_hosts_handler_still_runs_and_the_queue_is_sent(server: DevServer) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    client = Client(rudderstack(server, quick(linger=60)), drain_on_sigterm=True)
    async with client:
        await client.track(ADA, "a")
        signal.raise_signal(signal.SIGTERM)
        await server.received("rudderstack", 1)
        await client.flush()
    ours = signal.signal(signal.SIGTERM, before)

    assert heard == [signal.SIGTERM]
    assert not isinstance(getattr(ours, "__self__", None), SignalDrain)


async def test_after_the_signal_events_wait_for_no_company(server: DevServer) -> None:
    before = signal.signal(signal.SIGTERM, lambda number, frame: None)
    async with Client(rudderstack(server, quick(linger=60)), drain_on_sigterm=True) as client:
        await client.track(ADA, "a")
        signal.raise_signal(signal.SIGTERM)
        await server.received("rudderstack", 1)
        await client.track(ADA, "b")

        await server.received("rudderstack", 2)
    signal.signal(signal.SIGTERM, before)


async def test_the_log_tells_before_and_after(server: DevServer, caplog: pytest.LogCaptureFixture) -> None:
    before = signal.signal(signal.SIGTERM, lambda number, frame: None)
    async with Client(rudderstack(server, quick(linger=60)), drain_on_sigterm=True) as client:
        await client.track(ADA, "a")
        for _ in range(2):  # some servers tell their workers twice
            signal.raise_signal(signal.SIGTERM)
        await server.received("rudderstack", 1)
        await client.flush()
        while "flushed" not in caplog.text:
            await asyncio.sleep(0)
    signal.signal(signal.SIGTERM, before)

    first, second = (record.getMessage() for record in caplog.records if "SIGTERM" in record.getMessage())
    assert first == "SIGTERM: sending 1 unsent events now"
    assert second.startswith("SIGTERM: flushed in")
    assert second.endswith("RudderStack: accepted 1, delivered 1")


async def test_a_signal_while_the_client_closes_waits_for_that(server: DevServer) -> None:
    heard: list[str] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(client.health().state))
    server.script("rudderstack", Fault(delay=0.1))
    client = Client(rudderstack(server), drain_on_sigterm=True)
    await client.start()
    await client.track(ADA, "a")
    closing = asyncio.create_task(client.aclose())
    await server.requested("rudderstack")
    signal.raise_signal(signal.SIGTERM)
    report = await closing
    signal.signal(signal.SIGTERM, before)

    assert heard == ["draining"]
    assert report.destinations["RudderStack"].delivered == 1


async def test_a_handler_that_came_later_is_left_alone(server: DevServer) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def later(number: int, frame: Any) -> None: ...

    async with Client(rudderstack(server), drain_on_sigterm=True):
        signal.signal(signal.SIGTERM, later)

    assert signal.signal(signal.SIGTERM, before) is later


async def test_nothing_is_installed_unless_asked_for(server: DevServer) -> None:
    before = signal.getsignal(signal.SIGTERM)
    async with Client(rudderstack(server)):
        assert signal.getsignal(signal.SIGTERM) is before


def test_off_the_main_thread_there_are_no_handlers() -> None:
    async def start_and_close() -> None:
        async with Client(drain_on_sigterm=True):
            pass

    failures: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(start_and_close())
        except BaseException as error:  # noqa: BLE001 -- told to the main thread
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()

    assert failures == []


@pytest.mark.process
async def test_without_a_handler_the_process_drains_and_then_ends_of_the_signal(server: DevServer) -> None:
    code = f"""
        import asyncio, os, signal
        from asyncsdk import Client, Limits, RudderStack

        async def main():
            client = Client(RudderStack("key", {server.url!r}, limits=Limits(linger=60)), drain_on_sigterm=True)
            await client.start()
            await client.track("user-1", "a")
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(30)

        asyncio.run(main())
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)])
    await server.received("rudderstack", 1, within=10)
    code_of_exit = await asyncio.to_thread(process.wait, 10)

    assert code_of_exit == -signal.SIGTERM


@pytest.mark.process
async def test_a_process_that_is_told_to_end_while_it_closes_closes_first(server: DevServer) -> None:
    server.script("rudderstack", Fault(delay=0.2))
    code = f"""
        import asyncio, logging, os, signal
        from asyncsdk import Client, RudderStack

        async def main():
            client = Client(RudderStack("key", {server.url!r}), drain_on_sigterm=True)
            await client.start()
            await client.track("user-1", "a")
            closing = asyncio.create_task(client.aclose())
            await asyncio.sleep(0)
            os.kill(os.getpid(), signal.SIGTERM)
            await closing
            await asyncio.sleep(30)

        logging.basicConfig(level=logging.INFO)
        asyncio.run(main())
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stderr=subprocess.PIPE, text=True)
    _, log = await asyncio.to_thread(process.communicate, timeout=20)

    assert process.returncode == -signal.SIGTERM
    assert "closed in" in log
    assert log.rstrip().endswith("RudderStack: accepted 1, delivered 1")
