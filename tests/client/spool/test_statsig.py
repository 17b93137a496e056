"""Statsig's events and exposures in a spool."""

import asyncio
from pathlib import Path

import pytest
from helpers import ADA, quick, statsig

from asyncsdk import Client, Rules, Statsig, User
from asyncsdk._model.receipts import Record
from asyncsdk.dev import DevServer, Fault
from asyncsdk.stores import SqliteSpool
from client.spool.clients import databases, names, open_client


async def test_statsig_events_carry_their_ids(tmp_path: Path, server: DevServer) -> None:
    async with open_client(tmp_path, statsig(server)) as client:
        receipt = await client.log_event(ADA, "a")
        [event] = await server.received("statsig")

    assert event.body["metadata"]["asyncsdk_event_id"] == receipt.event_id


async def test_statsig_does_not_get_an_event_again_after_a_lost_reply_if_configured(
    tmp_path: Path, server: DevServer
) -> None:
    server.script("statsig", Fault.lost_reply())
    async with open_client(tmp_path, statsig(server, on_lost_reply="drop")) as client:
        lost = await (await client.log_event(ADA, "a"))
        deliveries = await (await client.log_event(ADA, "b"))

    assert (lost["Statsig"].status, deliveries["Statsig"].status) == ("rejected", "delivered")
    assert names(server, "statsig") == ["a", "b"]


async def test_exposures_go_through_the_spool_in_few_commits(tmp_path: Path) -> None:
    rules = {"feature_gates": {"gate": {"enabled": True, "defaultValue": True, "rules": []}}}
    async with DevServer(ruleset=rules) as server:
        source = Statsig(
            "secret-key",
            rules=Rules(specs_url=f"{server.url}/v2/download_config_specs"),
            log_event_url=server.url,
            limits=quick(),
        )
        async with open_client(tmp_path, source) as client:
            for number in range(500):
                assert await client.check_gate(User(f"user-{number}"), "gate")
            server.fault("statsig", Fault(503))
            report = await client.aclose(timeout=0.3)
        exposures = report.destinations["Statsig"].exposures
        assert exposures is not None
        assert exposures.accepted == exposures.delivered + exposures.spooled == 500
        server.clear_faults()
        async with open_client(tmp_path, source):
            await server.received("statsig", 500)

    assert databases(tmp_path) == []


async def test_an_exposure_of_a_cancelled_client_is_on_disk(tmp_path: Path) -> None:
    rules = {"feature_gates": {"gate": {"enabled": True, "defaultValue": True, "rules": []}}}
    async with DevServer(ruleset=rules) as server:
        source = Statsig("secret-key", rules=Rules(specs_url=f"{server.url}/v2/download_config_specs"), log_event_url=server.url)  # fmt: skip
        client = Client(source, spool=SqliteSpool(tmp_path / "spool", keep_free=0))
        await client.start()
        (task,) = [task for task in asyncio.all_tasks() if task.get_name() == "asyncsdk"]
        await client.check_gate(ADA, "gate")
        with pytest.warns(ResourceWarning):
            task.cancel()
            await asyncio.wait([task])
            await asyncio.sleep(0)
        assert (await client.aclose()).destinations["Statsig"].exposures.spooled == 1  # type: ignore[union-attr] # it is there
        async with open_client(tmp_path, source):
            await server.received("statsig", 1)


async def test_a_refused_exposure_is_counted(tmp_path: Path, server: DevServer) -> None:
    server.fault(None, Fault(503))
    spool = SqliteSpool(tmp_path / "spool", keep_free=10**18)
    async with open_client(tmp_path, statsig(server, quick(max_queued_events=1)), spool=spool) as client:
        lane = client._lanes[0]
        assert client._spooler is not None
        client._spooler.exposure_intake(lane)([Record("", "", b"{", 0.0, exposures=1) for _ in range(2)])
        while not (exposures := lane.ledger.report().exposures) or not exposures.dropped:
            await asyncio.sleep(0.01)
        server.clear_faults()
        await client.flush()
        exposures = lane.ledger.report().exposures

    assert exposures is not None
    assert exposures.dropped == {"spool full": 1}
