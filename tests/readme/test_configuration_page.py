"""The page about configuration: its blocks run, and its tables are complete."""

import logging
import re

import pytest
from fastapi.testclient import TestClient

from asyncsdk import Client
from asyncsdk._client.environment import _GROUPS, SPOOL
from asyncsdk.dev import DevServer
from readme.pages import CONFIGURATION, ROOT, Names, blocks, run, spans, table


async def names_of(number: int) -> Names:
    names: Names = {}
    await run(blocks(CONFIGURATION)[number], names)
    return names


async def test_a_client_is_built_from_the_environment(server: DevServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMPLITUDE_API_KEY", "api-key")
    names = await names_of(0)

    async with names["create_client"]() as client:
        await client.track("ada-lovelace", "x")

    [event] = server.accepted("amplitude")
    assert event.body["event_properties"] == {"app": "shop"}


def test_the_table_has_each_variable() -> None:
    documented = {name for row in table(CONFIGURATION, "From the environment") for name in spans(row[0])}
    read = {name for group in _GROUPS.values() for name in group}

    assert documented == read | {SPOOL, "ASYNCSDK_ENABLED", "ASYNCSDK_DEV_SERVER"}
    assert documented <= set(re.findall(r"`([A-Z]+_[A-Z_]+)`", str(Client.from_env.__doc__)))


async def test_a_client_that_is_off_skips_events() -> None:
    names = await names_of(1)

    assert (await names["seed"]()).endswith("  RudderStack: skipped: disabled")


async def test_an_invalid_event_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ASYNCSDK_DEV_SERVER", raising=False)
    names = await names_of(2)

    async with names["create_client"]() as client:
        assert (await client.track(None, "x")).deliveries["Amplitude"].reason == "invalid"


async def test_events_have_defaults(server: DevServer) -> None:
    names = await names_of(3)

    async with names["create_client"]() as client:
        names["request_id"].set("r-1")
        await client.track("ada-lovelace", "x", {"version": "3"})

    [event] = server.accepted("rudderstack")
    assert event.body["properties"] == {"app": "shop", "version": "3"}
    assert event.body["context"]["request"] == "r-1"


async def test_the_health_of_the_page_is_returned() -> None:
    names = await names_of(4)

    with TestClient(names["app"]) as http:
        assert http.get("/health").json()["state"] == "running"


async def test_the_set_up_of_the_log_shows_what_happens(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("asyncsdk")
    before = logger.level, logger.handlers[:], logger.propagate
    try:
        await names_of(5)
        async with Client(enabled=False):
            pass
    finally:
        logger.level, logger.propagate = before[0], before[2]
        logger.handlers[:] = before[1]

    assert re.search(r"INFO asyncsdk: closed in 0\.00 s; no destinations\n", capsys.readouterr().err)


def test_the_table_has_each_logger() -> None:
    sources = [path.read_text() for path in (ROOT / "asyncsdk").rglob("*.py")]
    used = {name for text in sources for name in re.findall(r'getLogger\("([^"]+)"\)', text)}

    assert {name for row in table(CONFIGURATION, "The log") for name in spans(row[0])} == used
