"""The recipe for Sentry runs as printed, with the real `sentry-sdk`."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import sentry_sdk
from helpers import ADA, ruleset
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from asyncsdk import Client
from asyncsdk.dev import DevServer
from readme.pages import INTEGRATIONS, Names, blocks, run


class Reports(Transport):
    """Keeps the reports that Sentry would send."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[dict[str, Any]] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        event = envelope.get_event()
        if event is not None:
            self.sent.append(dict(event))


@pytest.fixture
def reports() -> Iterator[Reports]:
    kept = Reports()
    sentry_sdk.init("http://key@127.0.0.1/1", transport=kept, default_integrations=False)
    yield kept
    sentry_sdk.init()  # without an address, Sentry is off


async def _client() -> Client:
    [block] = [block for block in blocks(INTEGRATIONS) if "sentry_sdk" in block]
    names: Names = {}
    await run(block, names)
    client: Client = names["client"]
    return client


async def _request(client: Client, *gates: str) -> None:
    """What a web framework's integration of Sentry does around a request that fails."""
    with sentry_sdk.isolation_scope():
        for gate in gates:
            await client.check_gate(ADA, gate)
        client.bind(ADA).get_experiment("button")
        client.bind(ADA).get_config("prices")
        sentry_sdk.capture_exception(ValueError("the request fails"))


async def test_an_error_report_has_the_flags_of_its_own_request(server: DevServer, reports: Reports) -> None:
    server.set_ruleset(ruleset())
    async with await _client() as client:
        await asyncio.gather(_request(client, "open", "unknown"), _request(client, "dutch"))

    flags = [report["contexts"]["flags"]["values"] for report in reports.sent]
    experiment = {"flag": "button: Test", "result": True}
    assert flags == [
        [{"flag": "open", "result": True}, {"flag": "unknown", "result": False}, experiment],
        [{"flag": "dutch", "result": True}, experiment],
    ]


async def test_no_other_field_of_a_user_is_in_the_report(server: DevServer, reports: Reports) -> None:
    server.set_ruleset(ruleset())
    async with await _client() as client:
        await _request(client, "open")

    assert str(ADA.email) not in str([report["contexts"] for report in reports.sent])
