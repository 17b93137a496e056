"""What makes tests with a dev server quick: no linger, no waits between retries, a clock that may stand still."""

import time
from datetime import UTC, datetime

import freezegun
import pytest
import time_machine

from asyncsdk import Client, ConfigurationError, RudderStack
from asyncsdk._retry import SCALE
from asyncsdk.testing import DevServer, FakeClient, Fault, no_backoff


def service() -> Client:
    return Client(RudderStack("any", "https://plane.example.com"))


@pytest.mark.parametrize(("given", "linger"), [("0", 0.0), ("0.05", 0.05), ("", 0.1), ("60", 1.0)])
async def test_the_linger_towards_a_dev_server_is_set(
    monkeypatch: pytest.MonkeyPatch, server: DevServer, given: str, linger: float
) -> None:
    monkeypatch.setenv("ASYNCSDK_DEV_SERVER", server.url)
    monkeypatch.setenv("ASYNCSDK_DEV_LINGER", given)

    async with service() as client:
        assert client._parts.lanes[0].linger == linger


@pytest.mark.parametrize("given", ["soon", "-1", "inf", "nan"])
async def test_a_linger_that_is_no_number_of_seconds_raises(
    monkeypatch: pytest.MonkeyPatch, server: DevServer, given: str
) -> None:
    monkeypatch.setenv("ASYNCSDK_DEV_SERVER", server.url)
    monkeypatch.setenv("ASYNCSDK_DEV_LINGER", given)

    with pytest.raises(ConfigurationError, match="ASYNCSDK_DEV_LINGER must be a number of seconds"):
        await service().start()


@no_backoff()
async def test_without_backoff_many_failures_take_no_time(monkeypatch: pytest.MonkeyPatch, server: DevServer) -> None:
    monkeypatch.setenv("ASYNCSDK_DEV_SERVER", server.url)
    server.script("rudderstack", *[503] * 8, Fault(429, retry_after=60))
    began = time.monotonic()

    async with service() as client:
        receipt = await client.track("u1", "Order Completed")
        assert (await receipt)["RudderStack"].attempts == 10

    assert time.monotonic() - began < 3  # 60 s for `Retry-After` alone, with backoff


@no_backoff()
def waits_of_a_plain_function() -> list[float]:
    return [*SCALE]


def test_the_usual_waits_come_back() -> None:
    with pytest.raises(ZeroDivisionError), no_backoff():
        assert SCALE == [0.001]
        raise ZeroDivisionError
    assert waits_of_a_plain_function() == [0.001]

    assert SCALE == [1.0]


WHEN = datetime(2030, 1, 1, tzinfo=UTC)


async def frozen_event(server: DevServer) -> str:
    fake = FakeClient(gates={"sale": True})
    assert await fake.check_gate("u1", "sale")
    assert (await fake.track("u1", "Order Completed")).time_ms == WHEN.timestamp() * 1000
    async with service() as client:
        await client.track("u1", "Order Completed")
        [event] = await server.received("rudderstack")
        server.reset()
    return str(event.body["originalTimestamp"])


async def test_under_a_frozen_clock_events_have_its_time(monkeypatch: pytest.MonkeyPatch, server: DevServer) -> None:
    monkeypatch.setenv("ASYNCSDK_DEV_SERVER", server.url)
    monkeypatch.setenv("ASYNCSDK_DEV_LINGER", "0")

    with freezegun.freeze_time(WHEN, real_asyncio=True):
        assert await frozen_event(server) == "2030-01-01T00:00:00.000Z"
    with time_machine.travel(WHEN, tick=False):
        assert await frozen_event(server) == "2030-01-01T00:00:00.000Z"
