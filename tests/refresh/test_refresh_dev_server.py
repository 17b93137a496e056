"""Refreshing from the dev server, which serves rules and ID lists as Statsig does."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from asyncsdk import User
from asyncsdk._refresh import Refresher
from asyncsdk.dev import DevServer, Fault
from asyncsdk.vendors.statsig import Rules, Statsig
from refresh.vendor import ADA, gate, make_refresher, rules, running, until

IN_LIST = {"type": "unit_id", "operator": "in_segment_list", "targetValue": "vips", "field": None, "idType": "userID"}


@pytest.fixture
async def server() -> AsyncIterator[DevServer]:
    async with DevServer(ruleset=ruleset(1)) as server:
        yield server


def ruleset(time: int, *names: str) -> dict[str, Any]:
    gates = [gate(name) for name in ("gate", *names)]
    written = rules(time, *gates, gate("vip", conditions=("c",)), condition_map={"c": IN_LIST})
    return orjson.loads(written)  # type: ignore[no-any-return]


def refresher_for(server: DevServer, **settings: Any) -> Refresher:
    at = {"specs_url": f"{server.url}/v2/download_config_specs", "id_lists_url": f"{server.url}/v1/get_id_lists"}
    return make_refresher(Statsig("secret-key", rules=Rules(**at | settings)))


def passes(refresher: Refresher, name: str = "gate", user: User = ADA) -> bool:
    return refresher.rules.gate(user, name).value is True


async def test_a_ruleset_that_changes_arrives(server: DevServer) -> None:
    async with running(refresher_for(server)) as refresher:
        assert await refresher.wait_ready(5)
        server.set_ruleset(ruleset(2, "new"))

        await until(lambda: passes(refresher, "new"))


async def test_rules_in_the_v1_format_are_installed(server: DevServer) -> None:
    async with running(refresher_for(server, specs_url=f"{server.url}/v1/download_config_specs")) as refresher:
        assert await refresher.wait_ready(5)

        assert refresher.rules.is_inline
        assert passes(refresher)


async def test_id_lists_grow_are_replaced_and_removed(server: DevServer) -> None:
    eve, bob = User("eve"), User("bob")
    server.set_id_list("vips", ["ada", "eve"])
    async with running(refresher_for(server, id_lists=True)) as refresher:
        assert await refresher.wait_ready(5)
        assert passes(refresher, "vip")
        server.append_id_list("vips", add=["bob"], remove=["ada"])
        await until(lambda: passes(refresher, "vip", bob))
        assert not passes(refresher, "vip")
        server.set_id_list("vips", ["ada"])
        await until(lambda: passes(refresher, "vip"))
        assert not passes(refresher, "vip", eve)
        server.set_id_list("vips", None)
        await until(lambda: not passes(refresher, "vip"))

    assert not refresher.health().last_error


@pytest.mark.parametrize(
    "fault",
    [
        Fault(503),
        Fault(429, retry_after=0),
        Fault(302, headers={"Location": "/elsewhere"}),
        Fault(200, body="<html>"),
        Fault(200, body={"has_updates": True, "feature_gates": []}),
        Fault(end="reset"),
        Fault(end="close"),
        Fault(end="truncate"),
        Fault(end="hang"),
    ],
    ids=str,
)
async def test_the_last_good_rules_stay_during_an_outage(server: DevServer, fault: Fault) -> None:
    async with running(refresher_for(server), timeout=0.2) as refresher:
        await refresher.wait_ready(5)
        server.fault("statsig-rules", fault)
        server.set_ruleset(ruleset(2, "new"))
        await server.requested("statsig-rules", len(server.requests) + 3)
        assert passes(refresher)
        assert not passes(refresher, "new")
        server.clear_faults()

        await until(lambda: passes(refresher, "new"))
