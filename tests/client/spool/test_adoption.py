"""Events that an ended process left in the spool: the next client adopts and delivers them."""

import asyncio
import logging
from pathlib import Path

import pytest
from helpers import ADA, amplitude, rudderstack

from asyncsdk import Client
from asyncsdk.dev import DevServer, Fault
from client.spool.clients import databases, leave_events, names, open_client


async def test_adopted_events_are_logged_and_counted(
    tmp_path: Path, server: DevServer, caplog: pytest.LogCaptureFixture
) -> None:
    await leave_events(tmp_path, server, "a", "b")
    caplog.set_level(logging.INFO, "asyncsdk")
    async with open_client(tmp_path, rudderstack(server), amplitude(server)) as client:
        await server.received("amplitude", 2)
        report = await client.aclose()

    said = [record.getMessage() for record in caplog.records if record.name == "asyncsdk.spool"]
    assert said == ["spool: adopted events of an ended process: RudderStack 2, Amplitude 2"]
    assert report.destinations["Amplitude"].accepted == 2


async def test_the_next_client_delivers_what_is_left_under_the_same_ids(tmp_path: Path, server: DevServer) -> None:
    await leave_events(tmp_path, server, "a", "b")
    async with open_client(tmp_path, rudderstack(server), amplitude(server)) as client:
        await client.track(ADA, "c")
        await server.received("rudderstack", 3)
        report = await client.aclose()

    assert names(server, "rudderstack") == names(server, "amplitude") == ["a", "b", "c"]
    sent = [event for event in server.events if event.vendor == "rudderstack" and event.name == "a"]
    assert len({event.body["messageId"] for event in sent}) == 1
    assert report.destinations["Amplitude"].accepted == report.destinations["Amplitude"].delivered == 3
    assert databases(tmp_path) == []


async def test_a_client_delivers_what_it_finds_without_an_event_of_its_own(tmp_path: Path, server: DevServer) -> None:
    await leave_events(tmp_path, server, "a")
    async with open_client(tmp_path, rudderstack(server), amplitude(server)):
        await server.received("rudderstack", 1)
        await server.received("amplitude", 1)


async def test_events_for_one_vendor_wait_for_a_client_that_has_it(tmp_path: Path, server: DevServer) -> None:
    await leave_events(tmp_path, server, "a")
    async with open_client(tmp_path, rudderstack(server)):
        await server.received("rudderstack", 1)
    async with open_client(tmp_path, amplitude(server)):
        await server.received("amplitude", 1)

    assert databases(tmp_path) == []


async def test_events_for_a_vendor_never_go_to_a_dev_server(
    tmp_path: Path, server: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await leave_events(tmp_path, server, "a")
    async with DevServer() as other:
        monkeypatch.setenv("ASYNCSDK_DEV_SERVER", other.url)
        async with open_client(tmp_path, amplitude(server)) as client:
            await client.track(ADA, "b")
            await other.received("amplitude", 1)

        assert names(other, "amplitude") == ["b"]


def test_events_of_a_closed_loop_are_delivered_by_the_next_client(tmp_path: Path) -> None:
    async def begin() -> None:
        async with DevServer() as server:
            server.fault(None, Fault(503))
            client = Client(amplitude(server), spool=tmp_path / "spool")
            await client.start()
            await client.track(ADA, "a")
            clients.append(client)

    async def end() -> None:
        async with DevServer() as server, Client(amplitude(server), spool=tmp_path / "spool"):
            await server.received("amplitude", 1)

    clients: list[Client] = []
    with pytest.warns(ResourceWarning):
        asyncio.run(begin())
    asyncio.run(end())
