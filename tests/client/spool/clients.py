"""Clients with a spool, and what is in its folder."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from helpers import ADA, amplitude, rudderstack

from asyncsdk import Client, Destination
from asyncsdk.dev import DevServer, Fault
from asyncsdk.stores import SqliteSpool


@asynccontextmanager
async def open_client(folder: Path, *destinations: Destination, **settings: Any) -> AsyncIterator[Client]:
    spool = settings.pop("spool", SqliteSpool(folder / "spool", keep_free=0))
    async with Client(*destinations, spool=spool, **settings) as client:
        yield client


def names(server: DevServer, vendor: str) -> list[str]:
    return [event.name for event in server.accepted(vendor)]


def databases(folder: Path) -> list[Path]:
    return sorted((folder / "spool").glob("*.db"))


async def leave_events(folder: Path, server: DevServer, *events: str, text: str = "") -> None:
    """Leave events in the spool: close a client while its vendors are down."""
    server.fault(None, Fault(503))
    async with open_client(folder, rudderstack(server), amplitude(server)) as client:
        for name in events:
            await client.track(ADA, name, {"text": text})
        report = await client.aclose(timeout=0.1)
    server.clear_faults()
    assert {counts.spooled for counts in report.destinations.values()} == {len(events)}
