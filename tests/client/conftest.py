"""A dev server that plays the vendors, and clients that are impatient."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from asyncsdk import Amplitude, Limits, RudderStack, Statsig, User
from asyncsdk.dev import DevServer

ADA = User("ada-lovelace", email="ada@example.com", device_id="device-1")


def quick(**changes: Any) -> Limits:
    """Limits under which nothing takes long."""
    return Limits(**{"linger": 0.01, "retry_first": 0.01, "retry_most": 0.02, "probe_every": 0.05} | changes)


def rudderstack(server: DevServer, limits: Limits | None = None, **settings: Any) -> RudderStack:
    return RudderStack("write-key", server.url, limits=limits or quick(), **settings)


def amplitude(server: DevServer, limits: Limits | None = None, **settings: Any) -> Amplitude:
    return Amplitude("api-key", url=f"{server.url}/2/httpapi", limits=limits or quick(), **settings)


def statsig(server: DevServer, limits: Limits | None = None, **settings: Any) -> Statsig:
    settings.setdefault("rules", None)
    return Statsig("secret-key", log_event_url=f"{server.url}/v1/log_event", limits=limits or quick(), **settings)


@pytest.fixture
async def server() -> AsyncIterator[DevServer]:
    async with DevServer(keep=100_000) as server:
        yield server
