"""A session or connector of the user's that cannot be used costs no event, and the log says what it is."""

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from helpers import quick

from asyncsdk import Client, ConfigurationError, HttpSettings, RudderStack
from asyncsdk.dev import DevServer


def client_of(server: DevServer, **http: Any) -> Client:
    return Client(RudderStack("key", server.url, limits=quick()), http=HttpSettings(**http))


async def test_a_session_that_is_closed_under_the_client_is_asked_for_again(server: DevServer) -> None:
    made: list[aiohttp.ClientSession] = []

    def make() -> aiohttp.ClientSession:
        made.append(aiohttp.ClientSession())
        return made[-1]

    async with client_of(server, session=make) as client:
        await client.track("u", "first")
        await client.flush()
        await made[0].close()
        await client.track("u", "second")
        report = await client.flush()
    await made[-1].close()

    assert report.complete
    assert [event.body["event"] for event in server.accepted("rudderstack")] == ["first", "second"]


async def test_a_closed_session_drops_no_event(server: DevServer, caplog: pytest.LogCaptureFixture) -> None:
    session = aiohttp.ClientSession()
    async with client_of(server, session=session) as client:
        await session.close()
        await client.track("u", "x")
        await client.flush(0.2)
        health = client.health()
        report = await client.aclose(0.1)

    assert health.destinations["RudderStack"].last_error == "the `session` of HttpSettings is closed"
    assert (report.destinations["RudderStack"].dropped, report.destinations["RudderStack"].abandoned) == ({}, 1)
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(("name", "make"), [("session", aiohttp.ClientSession), ("connector", aiohttp.TCPConnector)])
async def test_what_belongs_to_another_loop_is_named(server: DevServer, name: str, make: Callable[[], Any]) -> None:
    async def build() -> Any:
        return make()

    found = await asyncio.to_thread(asyncio.run, build())
    async with client_of(server, **{name: found}) as client:
        await client.track("u", "x")
        await client.flush(0.2)
        error = client.health().destinations["RudderStack"].last_error
        await client.aclose(0.1)

    await found.close()
    assert error == f"the `{name}` of HttpSettings belongs to another event loop"


@pytest.mark.parametrize(
    ("make", "fault"), [(lambda: 1 / 0, "raised ZeroDivisionError"), (lambda: None, "raised TypeError")]
)
async def test_a_function_that_returns_no_session_is_called_again(
    server: DevServer, make: Callable[[], Any], fault: str
) -> None:
    async with client_of(server, session=make) as client:
        await client.track("u", "x")
        await client.flush(0.2)
        error = client.health().destinations["RudderStack"].last_error
        await client.aclose(0.1)

    assert error == f"the `session` of HttpSettings {fault}"


async def make_async() -> aiohttp.ClientSession:
    return aiohttp.ClientSession()


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        ({"session": "x"}, "`session` of HttpSettings must be .*, not str"),
        ({"connector": 5}, "`connector` of HttpSettings must be .*, not int"),
        ({"session": make_async}, "not an async function"),
    ],
)
def test_what_cannot_be_a_session_is_refused_at_once(settings: Any, shown: str) -> None:
    with pytest.raises(ConfigurationError, match=shown):
        HttpSettings(**settings)
