"""What a client lets others watch: its requests, the outcomes of its events, its health; and jobs that run beside it."""

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from helpers import ADA, amplitude, quick, rudderstack, statsig

from asyncsdk import Client, ConfigurationError, Delivery, RequestInfo, Rules
from asyncsdk.dev import DevServer, Fault


def watching(client: Client) -> list[RequestInfo]:
    """Collect exchanges as they end."""
    seen: list[RequestInfo] = []
    client.on_request(lambda exchange: lambda: seen.append(exchange))
    return seen


async def test_who_watches_requests_hears_of_the_answer(server: DevServer) -> None:
    client = Client(rudderstack(server))
    seen = watching(client)
    async with client:
        await client.track(ADA, "a")
        await client.track(ADA, "b")

    [exchange] = seen
    [request] = server.requests
    assert (exchange.destination, exchange.purpose, exchange.method) == ("RudderStack", "events", "POST")
    assert (exchange.url, exchange.status, exchange.error) == (f"{server.url}/v1/batch", 200, "")
    assert (exchange.events, exchange.bytes) == (2, request.wire_size)


async def test_who_watches_requests_hears_of_them_when_they_leave(server: DevServer) -> None:
    left: list[tuple[int, str]] = []
    client = Client(rudderstack(server))
    client.on_request(lambda exchange: left.append((exchange.status, exchange.error)))  # type: ignore[func-returns-value] # no more to say
    async with client:
        await client.track(ADA, "a")

    assert left == [(0, "")]


async def test_a_request_without_an_answer_says_why() -> None:
    async with DevServer() as gone:
        client = Client(rudderstack(gone))
    answered: asyncio.Future[RequestInfo] = asyncio.get_running_loop().create_future()
    client.on_request(lambda exchange: lambda: answered.done() or answered.set_result(exchange))
    await client.start()
    await client.track(ADA, "a")
    exchange = await answered
    await client.aclose(timeout=0.1)

    assert (exchange.status, exchange.error) == (0, "connection refused")


async def test_a_request_that_is_cut_off_at_close_ends_too(server: DevServer) -> None:
    server.fault("rudderstack", Fault(delay=30))
    client = Client(rudderstack(server))
    seen = watching(client)
    await client.start()
    await client.track(ADA, "a")
    await server.requested("rudderstack")
    await client.aclose(timeout=0.1)

    assert [(exchange.status, exchange.error) for exchange in seen] == [(0, "cancelled")]


async def test_questions_for_rules_are_requests_without_events_and_their_url_has_no_key(server: DevServer) -> None:
    rules = Rules(
        specs_url=f"{server.url}/v2/download_config_specs",
        id_lists=True,
        id_lists_url=f"{server.url}/v1/get_id_lists?token=hush",
    )
    client = Client(statsig(server, rules=rules))
    seen = watching(client)
    async with client:
        assert await client.wait_ready()

    assert {(exchange.purpose, exchange.events, exchange.url) for exchange in seen} == {
        ("rules", 0, f"{server.url}/v2/download_config_specs/REDACTED.json"),
        ("id_lists", 0, f"{server.url}/v1/get_id_lists"),
    }


async def test_a_request_to_a_dev_server_is_shown_as_it_goes_there(
    server: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASYNCSDK_DEV_SERVER", server.url)
    client = Client(statsig(server, rules=Rules()))
    seen = watching(client)
    async with client:
        await client.track(ADA, "a")

    assert {exchange.url for exchange in seen} == {
        f"{server.url}/v2/download_config_specs/REDACTED.json",
        f"{server.url}/v1/log_event",
    }


@pytest.mark.parametrize("watch", [lambda _: 1 / 0, lambda _: lambda: 1 / 0, lambda _: 5])
async def test_a_watcher_that_fails_costs_no_event(
    server: DevServer, watch: Callable[[RequestInfo], Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    async with Client(rudderstack(server)) as client:
        client.on_request(watch)
        await client.track(ADA, "a")
        report = await client.flush()

    assert report.destinations["RudderStack"].delivered == 1
    assert "a function given to on_request failed" in caplog.text


async def test_settled_events_are_told_once_per_request(server: DevServer) -> None:
    heard: list[tuple[Delivery, int]] = []
    client = Client(rudderstack(server), amplitude(server))
    client.on_settled(lambda delivery, count: heard.append((delivery, count)))
    async with client:
        for _ in range(3):
            await client.track(ADA, "a")

    assert sorted((delivery.destination, delivery.status, count) for delivery, count in heard) == [
        ("Amplitude", "delivered", 3),
        ("RudderStack", "delivered", 3),
    ]


async def test_events_with_different_attempts_are_reported_separately(server: DevServer) -> None:
    server.script("rudderstack", 503)
    heard: list[tuple[int, int]] = []
    client = Client(rudderstack(server, quick(linger=0, max_in_flight=1)))
    client.on_settled(lambda delivery, count: heard.append((delivery.attempts, count)))
    async with client:
        await client.track(ADA, "a")
        await server.requested("rudderstack")
        await client.track("bob", "b")

    assert sorted(heard) == [(1, 1), (2, 1)]


async def test_a_delivery_tells_how_long_it_took(server: DevServer) -> None:
    server.script("rudderstack", Fault(delay=0.05))
    async with Client(rudderstack(server)) as client:
        deliveries = await (await client.track(ADA, "a"))

    assert 0.05 <= deliveries["RudderStack"].seconds < 5


async def test_health_counts_the_requests_that_had_to_be_repeated(server: DevServer) -> None:
    server.script("rudderstack", 503, 429)
    async with Client(rudderstack(server)) as client:
        await client.track(ADA, "a")
        await client.track(ADA, "b")
        await client.flush()

        assert client.health().destinations["RudderStack"].retries == 2


async def test_a_refused_event_is_no_retry(server: DevServer) -> None:
    server.script("rudderstack", 400)
    async with Client(rudderstack(server)) as client:
        await client.track(ADA, "a")
        await client.flush()

        assert client.health().destinations["RudderStack"].retries == 0


async def test_health_tells_how_long_the_oldest_event_has_waited(server: DevServer) -> None:
    server.fault("rudderstack", Fault(503))
    async with Client(rudderstack(server, quick(retry_initial=9, retry_max=9))) as client:
        assert client.health().destinations["RudderStack"].oldest == 0
        began = asyncio.get_running_loop().time()
        await client.track(ADA, "a")
        while client.health().destinations["RudderStack"].state == "ok":
            await asyncio.sleep(0.01)
        await client.track("bob", "b")
        await asyncio.sleep(0)
        oldest = client.health().destinations["RudderStack"].oldest
        held = asyncio.get_running_loop().time() - began
        await client.aclose(timeout=0)

    assert 0.01 <= oldest <= held + 0.01


async def test_a_job_runs_beside_the_client_until_it_is_closed(server: DevServer) -> None:
    lives: list[str] = []

    async def job() -> None:
        lives.append("begun")
        try:
            await asyncio.Event().wait()
        finally:
            lives.append("ended")

    client = Client(rudderstack(server)).add_background_task("mine", job)
    assert not lives
    async with client:
        await client.track(ADA, "a")
        await client.flush()
        assert lives == ["begun"]

    assert lives == ["begun", "ended"]


async def test_a_job_that_raises_a_cancellation_of_its_own_is_started_again(
    server: DevServer, caplog: pytest.LogCaptureFixture
) -> None:
    begun = [asyncio.Event(), asyncio.Event()]

    async def job() -> None:
        next(event for event in begun if not event.is_set()).set()
        await asyncio.wait([asyncio.ensure_future(asyncio.sleep(0))])
        raise asyncio.CancelledError  # as awaiting what somebody else has cancelled does

    async with Client(rudderstack(server)).add_background_task("mine", job) as client:
        await begun[1].wait()
        assert client.health().crashes >= 1

    assert "mine failed and is started again" in caplog.text


async def test_a_job_that_returns_is_done(server: DevServer) -> None:
    runs: list[int] = []

    async def job() -> None:
        runs.append(1)

    async with Client(rudderstack(server)).add_background_task("RudderStack", job) as client:
        await client.track(ADA, "a")
        await client.flush()

    assert runs == [1]
    assert server.total("rudderstack") == 1


async def test_a_job_is_added_before_the_start() -> None:
    async def job() -> None: ...

    async with Client() as client:
        with pytest.raises(ConfigurationError, match="before the client starts"):
            client.add_background_task("late", job)


async def test_health_may_be_asked_by_another_thread_while_events_flow(server: DevServer) -> None:
    server.fault("rudderstack", Fault(503), times=20)
    asked: list[float] = []
    is_over = threading.Event()

    async with Client(rudderstack(server, quick(max_events=5))) as client:

        def ask() -> None:
            while not is_over.is_set():
                asked.append(client.health().destinations["RudderStack"].oldest)

        thread = threading.Thread(target=ask)
        thread.start()
        for n in range(500):
            await client.track(f"user-{n % 50}", "a")
        await client.flush()
        is_over.set()
        thread.join()

    assert max(asked) > 0
    assert server.total("rudderstack") == 500
