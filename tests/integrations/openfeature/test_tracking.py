"""Events that are tracked through OpenFeature."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.track import TrackingEventDetails

from asyncsdk import Amplitude, Client, Limits, RudderStack
from asyncsdk.dev import DevServer
from asyncsdk.integrations.openfeature import AsyncSDKProvider
from integrations.openfeature.providers import fast_polling_client, statsig

ADA = EvaluationContext("ada-lovelace", {"ip": "192.0.2.1", "plan": "pro"})
QUICK = Limits(linger=0.01)


async def test_an_event_goes_to_every_destination(
    server: DevServer, provide: Callable[[AsyncSDKProvider], OpenFeatureClient]
) -> None:
    rudderstack = RudderStack("write-key", server.url, limits=QUICK)
    amplitude = Amplitude("api-key", url=server.url, limits=QUICK)
    async with fast_polling_client(statsig(server), rudderstack, amplitude) as client:
        flags = provide(AsyncSDKProvider(client))
        flags.track("Item Viewed", ADA, TrackingEventDetails(19.95, {"sku": "A"}))
        await client.flush()

    (of_statsig,), (of_rudderstack,), (of_amplitude,) = (
        server.accepted(vendor) for vendor in ("statsig", "rudderstack", "amplitude")
    )
    assert of_statsig.body["eventName"] == "Item Viewed"
    assert (of_statsig.body["value"], of_statsig.body["metadata"]) == (19.95, {"sku": "A"})
    assert of_statsig.body["user"]["custom"] == {"plan": "pro"}
    assert of_rudderstack.body["properties"] == {"sku": "A", "value": 19.95}
    assert of_amplitude.body["event_properties"] == {"sku": "A", "value": 19.95}
    assert {event.user for event in (of_statsig, of_rudderstack, of_amplitude)} == {"ada-lovelace"}


async def test_details_are_optional(flags: OpenFeatureClient, client: Client, server: DevServer) -> None:
    flags.track("plain", ADA)
    flags.track("free", ADA, TrackingEventDetails(0))
    await client.flush()

    plain, free = server.accepted("statsig")
    assert "value" not in plain.body
    assert free.body["value"] == 0


async def test_contexts_are_merged_as_for_flags(flags: OpenFeatureClient, client: Client, server: DevServer) -> None:
    flags.context = ADA

    flags.track("merged", EvaluationContext(attributes={"plan": "free"}))
    await client.flush()

    (event,) = server.accepted("statsig")
    assert (event.user, event.body["user"]["custom"]) == ("ada-lovelace", {"plan": "free"})


async def test_an_event_may_be_tracked_in_another_thread(
    flags: OpenFeatureClient, client: Client, server: DevServer
) -> None:
    await asyncio.to_thread(flags.track, "afar", ADA)
    await asyncio.sleep(0)
    await client.flush()

    assert [event.name for event in server.accepted("statsig")] == ["afar"]


@pytest.mark.parametrize(
    ("name", "context", "reason"),
    [
        ("", ADA, "name"),
        ("fine", EvaluationContext(), "the user needs a user_id"),
        ("fine", EvaluationContext("ada", {"email": 5}), "the attribute email is of type int"),
    ],
)
async def test_an_event_that_cannot_be_tracked_is_logged_once(
    flags: OpenFeatureClient, caplog: Any, name: str, context: EvaluationContext, reason: str
) -> None:
    flags.track(name, context)
    flags.track(name, context)

    (record,) = caplog.records
    assert (record.name, record.levelname) == ("asyncsdk.openfeature", "WARNING")
    assert record.getMessage().startswith("event not tracked (logged once per type of error): ")
    assert reason in record.getMessage()


async def test_tracking_before_the_client_starts_does_no_harm(server: DevServer, caplog: Any) -> None:
    AsyncSDKProvider(fast_polling_client(statsig(server))).track("early", ADA)

    assert "the client is not started" in caplog.text
