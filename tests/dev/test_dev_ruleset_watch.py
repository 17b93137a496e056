"""The source of the dev server's rules, and changes of it."""

import logging
import os
from pathlib import Path
from types import MappingProxyType
from typing import Any

import aiohttp
import orjson
import pytest

from asyncsdk.dev import DevServer, Fault, StatsigRulesServer
from asyncsdk.errors import ConfigurationError
from dev.rulesets import OFF, ON, as_bytes


async def served(http: aiohttp.ClientSession, server: DevServer) -> tuple[int, bool]:
    """Return the time of the served rules, and whether their gate has a rule."""
    async with http.get(f"{server.url}/v2/download_config_specs/secret-1.json") as response:
        body = orjson.loads(await response.read())
    return body["time"], bool(body["feature_gates"]["new_checkout"]["rules"])


def write(path: Path, value: Any, at: int) -> None:
    """Write a file whose modification time is `at` seconds after 1970."""
    path.write_bytes(value if isinstance(value, bytes) else as_bytes(value))
    os.utime(path, (at, at))


@pytest.mark.parametrize("source", [ON, as_bytes(ON)])
async def test_rules_can_be_given(source: Any, http: aiohttp.ClientSession) -> None:
    async with DevServer(ruleset=source) as server:
        assert await served(http, server) == (1000, True)


async def test_rules_can_be_replaced_while_it_runs(server: DevServer, http: aiohttp.ClientSession) -> None:
    server.set_ruleset(ON)
    first = await served(http, server)
    server.set_ruleset(OFF)

    assert [first, await served(http, server)] == [(1000, True), (1001, False)]


@pytest.mark.parametrize("kind", [str, Path])
async def test_a_file_is_watched(kind: type, tmp_path: Path, http: aiohttp.ClientSession) -> None:
    path = tmp_path / "rules.json"
    write(path, ON | {"time": 7_000}, at=5)
    async with DevServer(ruleset=kind(path)) as server:
        first = await served(http, server)
        write(path, OFF | {"time": 7_000}, at=6)
        second = await served(http, server)
        write(path, ON | {"time": 9_000}, at=7)

        assert [first, second, await served(http, server)] == [(7_000, True), (7_001, False), (9_000, True)]


async def test_rules_are_not_older_than_their_file(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    path = tmp_path / "rules.json"
    write(path, ON | {"time": 7_000}, at=8)

    async with DevServer(ruleset=path) as server:
        assert await served(http, server) == (8_000, True)


async def test_a_broken_file_is_reported_and_the_last_good_version_served(
    tmp_path: Path, http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "rules.json"
    write(path, ON, at=1)
    async with DevServer(ruleset=path) as server:
        assert server.ruleset_fault == ""
        write(path, b'{"feature_gates": {', at=2)
        assert [await served(http, server), await served(http, server)] == [(1000, True)] * 2

        assert server.ruleset_fault.startswith("it is not JSON")
        (record,) = caplog.records
        assert (record.name, record.levelno) == ("asyncsdk.dev", logging.WARNING)
        assert "rules.json cannot be served, so the last good version still is: it is not JSON" in record.getMessage()

        write(path, OFF, at=3)
        assert (await served(http, server), server.ruleset_fault) == ((3000, False), "")


async def test_a_deleted_file_is_reported_once(
    tmp_path: Path, http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "rules.json"
    write(path, ON, at=1)
    async with DevServer(ruleset=path) as server:
        path.unlink()

        assert [await served(http, server), await served(http, server)] == [(1000, True)] * 2
        assert "No such file" in server.ruleset_fault
        assert len(caplog.records) == 1


async def test_a_replaced_file_is_no_longer_watched(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    path = tmp_path / "rules.json"
    write(path, ON, at=1)
    async with DevServer(ruleset=path) as server:
        server.set_ruleset(OFF)
        write(path, ON | {"time": 9_000}, at=2)

        assert (await served(http, server))[1] is False


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("/nowhere/rules.json", "No such file"),
        (b"{", "it is not JSON"),
        (b"[]", "it is not an object"),
        ({"has_updates": False}, "it has none of feature_gates, dynamic_configs, layer_configs"),
        ({"feature_gates": 1}, "feature_gates is not an object"),
        ({"feature_gates": [], "dynamic_configs": {}}, "dynamic_configs is not a list"),
        ({"feature_gates": {"g": 1}}, "the spec 'g' is not one"),
        ({"feature_gates": [1]}, "the spec None is not one"),
        ({"feature_gates": [{"name": 1}]}, "the spec 1 is not one"),
        ({"feature_gates": {"g": {"rules": {}}}}, "the spec 'g' is not one"),
        ({"feature_gates": {"g": {"rules": [1]}}}, "a rule of 'g' is not one"),
        ({"feature_gates": {"g": {"rules": [{"conditions": "all"}]}}}, "a rule of 'g' is not one"),
        ({"feature_gates": {}, "condition_map": []}, "condition_map is not an object"),
        (MappingProxyType({}), "mappingproxy"),
    ],
)
def test_an_invalid_ruleset_raises(source: Any, reason: str) -> None:
    server = DevServer(ruleset=ON)

    with pytest.raises(ConfigurationError, match=reason):
        server.set_ruleset(source)
    with pytest.raises(ConfigurationError, match="the ruleset cannot be served"):
        DevServer(ruleset=source)


async def test_rules_and_events_fail_separately(http: aiohttp.ClientSession) -> None:
    async with DevServer(ruleset=ON) as server:
        server.script("statsig-rules", 503, Fault(429, retry_after=3))
        specs = f"{server.url}/v2/download_config_specs/secret-1.json"
        event = {"eventName": "e", "time": 1, "user": {}}

        async with http.post(
            f"{server.url}/v1/log_event", json={"events": [event]}, headers={"STATSIG-API-KEY": "secret-1"}
        ) as response:
            statuses = [response.status]
        for _ in range(3):
            async with http.get(specs) as response:
                statuses.append(response.status)

        assert statuses == [202, 503, 429, 200]
        assert [request.status for request in await server.requested("statsig-rules", 3)] == [503, 429, 200]


async def test_rules_can_have_keys_of_their_own(http: aiohttp.ClientSession) -> None:
    async with DevServer(ruleset=ON, vendors=[StatsigRulesServer(keys={"secret-2"})]) as server:
        async with http.get(f"{server.url}/v2/download_config_specs/secret-1.json") as response:
            assert response.status == 401
        async with http.get(f"{server.url}/v2/download_config_specs/secret-2.json") as response:
            assert response.status == 200


async def test_a_reset_keeps_the_rules(http: aiohttp.ClientSession) -> None:
    async with DevServer(ruleset=ON) as server:
        server.reset()

        assert await served(http, server) == (1000, True)
