"""Answers after which only a person could help (401, 404, 3xx, a certificate, a page): one proves nothing."""

import asyncio
import logging
from typing import Any

import pytest
from helpers import ADA, amplitude, quick, rudderstack, statsig

from asyncsdk import Client, User
from asyncsdk.dev import DevServer, Fault, ReceivedRequest

PAGE = b"<html><head><style>p{}</style><title>Welcome to\n GuestNet</title></head><body><p>secret-key, api-key</p>"
VENDORS = [(rudderstack, "rudderstack"), (amplitude, "amplitude"), (statsig, "statsig")]


def state(client: Client, name: str = "RudderStack") -> str:
    return client.health().destinations[name].state


@pytest.mark.parametrize("status", [401, 404, 302])
async def test_when_every_tenth_answer_is_a_refusal_everything_is_delivered(
    server: DevServer, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    server.fault("rudderstack", Fault(status, when=lambda request: request.number % 10 == 0))
    limits = quick(max_events=5, probe_interval=300.0, max_queued_events=300)
    async with Client(rudderstack(server, limits, overflow="wait")) as client:
        for n in range(1000):
            await client.track(f"user-{n}", "a")
        report = await client.flush()

    assert report.destinations["RudderStack"].delivered == 1000
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_one_refusal_is_asked_about_at_once(server: DevServer) -> None:
    server.script("rudderstack", 401)
    async with Client(rudderstack(server, quick(probe_interval=300.0))) as client:
        delivery = (await (await client.track(ADA, "a")))["RudderStack"]

    assert (delivery.status, delivery.attempts) == ("delivered", 2)


async def test_while_others_are_answered_only_the_refused_batch_waits(server: DevServer) -> None:
    server.fault("rudderstack", Fault(401, when=lambda request: "mallory" in str(request.json)))
    async with Client(rudderstack(server, quick(max_events=1, probe_interval=300.0))) as client:
        refused = await client.track(User("mallory"), "a")
        for n in range(50):
            receipt = await client.track(f"user-{n}", "a")
            assert (await receipt)["RudderStack"].status == "delivered"

        assert refused.deliveries["RudderStack"] is None
        assert state(client) != "halted"
        assert len(server.requests) < 60
        await client.aclose(timeout=0.1)


async def test_health_says_that_the_vendor_refuses_before_it_is_certain(server: DevServer) -> None:
    server.fault("rudderstack", Fault(401))
    async with Client(rudderstack(server, quick(probe_interval=300.0))) as client:
        await client.track(ADA, "a")
        await server.requested("rudderstack", 2)

        assert state(client) == "refused"
        await client.aclose(timeout=0.1)


@pytest.mark.parametrize("closes", [True, False])
async def test_flush_and_aclose_try_a_halted_vendor(server: DevServer, closes: bool) -> None:
    limits = quick(probe_interval=0.01)
    server.fault("rudderstack", Fault(401))
    client = Client(rudderstack(server, limits))
    await client.start()
    await client.track(ADA, "a")
    await server.requested("rudderstack", 6)
    circuit = client._lanes[0]._circuit
    while not circuit.is_waiting:
        await asyncio.sleep(0)
    circuit._due_at = circuit.probe_at = 1e12  # the next attempt is far away
    server.clear_faults()

    report = await (client.aclose() if closes else client.flush())

    assert report.destinations["RudderStack"].delivered == 1
    await client.aclose()


@pytest.mark.parametrize(("make", "vendor"), VENDORS)
async def test_events_answered_by_a_page_are_sent_again(server: DevServer, make: Any, vendor: str) -> None:
    server.script(vendor, Fault(200, body=PAGE, headers={"Content-Type": "text/html"}, ingest=False))
    async with Client(make(server)) as client:
        await client.track(ADA, "a")

    assert (server.total(vendor), len(server.requests)) == (1, 2)


@pytest.mark.parametrize(("make", "vendor"), VENDORS)
async def test_a_page_is_logged_once_with_its_host_and_first_words_and_without_what_was_sent(
    server: DevServer, make: Any, vendor: str, caplog: pytest.LogCaptureFixture
) -> None:
    def echo(request: ReceivedRequest) -> bytes:
        return PAGE + b" ada-lovelace, " + str(request.header("authorization")).encode()

    server.fault(vendor, Fault(200, body=echo, headers={"Content-Type": "text/html"}, ingest=False))
    async with Client(make(server)) as client:
        await client.track(ADA, "a")
        await server.requested(vendor, 7)
        await client.aclose(timeout=0.1)

    text = "\n".join(r.getMessage() for r in caplog.records if "HTML page" in r.getMessage())
    assert f"from {server.url.removeprefix('http://')} (Welcome to GuestNet" in text
    assert [r.levelname for r in caplog.records if "HTML page" in r.getMessage()] == ["WARNING", "ERROR"]
    assert "lovelace" not in text
    assert "check its address" in text


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        (Fault(401), "check its key;"),
        (Fault(404), "check its address"),
        (Fault.redirect("https://b.example/x?k=1"), "(to https://b.example)"),
    ],
)
async def test_a_halt_says_what_to_check(
    server: DevServer, fault: Fault, check: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.fault("rudderstack", fault)
    async with Client(rudderstack(server)) as client:
        await client.track(ADA, "a")
        await server.requested("rudderstack", 7)
        await client.aclose(timeout=0.1)

    (halt,) = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert halt.startswith(f"RudderStack: halted: status {fault.status} from 127.0.0.1:")
    assert check in halt
    assert "its events (1) wait" in halt


async def test_failures_that_the_first_retry_heals_are_not_logged(
    server: DevServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.fault("rudderstack", Fault(503, when=lambda request: request.number % 7 == 0))
    async with Client(rudderstack(server, quick(max_events=5))) as client:
        for n in range(200):
            await client.track(f"user-{n}", "a")

    assert not caplog.records
