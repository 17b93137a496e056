"""A file keeps events, edits and overrides for the next start."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from asyncsdk.dev import DevServer
from asyncsdk.errors import ConfigurationError
from dev.control import call, small_ruleset
from dev.test_dev_control_events import ORDER, send

Start = Callable[[], DevServer]


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    file = tmp_path / "rules.json"
    file.write_bytes(orjson.dumps(small_ruleset()))
    return file


@pytest.fixture
def start(tmp_path: Path, rules: Path) -> Start:
    return lambda: DevServer(ruleset=rules, keep_file=tmp_path / "kept.db")


async def specs(server: DevServer) -> Any:
    return (await call(server, "ruleset"))["ruleset"]["feature_gates"]


async def test_edits_and_overrides_are_there_after_a_restart(start: Start) -> None:
    async with start() as server:
        await call(server, "ruleset/sale", {"percentage": {"value": 77}}, method="PATCH")
        await call(server, "ruleset/dark", {})
        await call(server, "ruleset/held", method="DELETE")
        await call(server, "overrides/button", {"value": "Test", "user": "ada"}, method="PUT")
        before, overrides = await specs(server), await call(server, "overrides")

    for _ in range(2):
        async with start() as server:
            assert (await specs(server), await call(server, "overrides")) == (before, overrides)
            assert {"sale", "dark", "held"} <= {one["name"] for one in (await call(server, "ruleset/diff"))["changes"]}


async def test_an_edit_is_made_to_the_file_as_it_is_at_the_start(start: Start, rules: Path) -> None:
    async with start() as server:
        await call(server, "ruleset/sale", {"enabled": False}, method="PATCH")
    changed = small_ruleset()
    changed["feature_gates"]["held"]["defaultValue"] = True
    rules.write_bytes(orjson.dumps(changed))

    async with start() as server:
        found = await specs(server)
    assert (found["sale"]["enabled"], found["held"]["defaultValue"]) == (False, True)


async def test_what_was_reverted_stays_so(start: Start) -> None:
    async with start() as server:
        await call(server, "ruleset/sale", {"enabled": False}, method="PATCH")
        await call(server, "overrides/sale", {"value": True}, method="PUT")
    async with start() as server:
        await call(server, "ruleset/file", method="DELETE")
        await call(server, "overrides", method="DELETE")
    async with start() as server:
        assert not (await call(server, "ruleset"))["differs"]
        assert (await call(server, "overrides"))["overrides"] == []


async def test_overrides_of_the_command_line_are_not_kept(start: Start) -> None:
    for _ in range(2):
        server = start()
        server.override("sale", value=True)
        async with server:
            await call(server, "overrides/held", {"value": True}, method="PUT")
    async with start() as server:
        assert [one["name"] for one in (await call(server, "overrides"))["overrides"]] == ["held"]


async def test_a_kept_event_never_shows_the_request_of_another(start: Start, http: aiohttp.ClientSession) -> None:
    async with start() as server:
        await send(http, server, ORDER)
    async with start() as server:
        await send(http, server, ORDER | {"messageId": "m-2"})
        kept, new = (await call(server, "events"))["events"]
        assert new["request"] > kept["request"]
        await call(server, f"requests/{kept['request']}", status=404)
        assert (await call(server, f"requests/{new['request']}"))["events"] == 1


async def test_a_file_that_is_broken_is_left_as_it_is(
    start: Start, tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    async with start() as server:
        await send(http, server, ORDER)
    with closing(sqlite3.connect(tmp_path / "kept.db")) as database, database:
        database.execute("INSERT INTO events VALUES (99, '[]')")

    with pytest.raises(ConfigurationError, match="events cannot be kept"):
        start()

    with closing(sqlite3.connect(tmp_path / "kept.db")) as database:
        assert database.execute("SELECT count(*) FROM events").fetchone() == (2,)


async def test_it_is_said_what_is_kept(start: Start) -> None:
    words = start().kept
    assert "edits of rules, and overrides; not raw requests and faults" in words


async def test_a_user_id_of_two_lines_has_an_address(server: DevServer) -> None:
    assert await call(server, "users/a%0Ab/around") == {"events": []}
