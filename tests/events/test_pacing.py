"""Pacing: however many tasks track, the loop has turns left to send, and a healthy vendor loses nothing."""

import asyncio
import time

import pytest
from helpers import ADA, quick, rudderstack

from asyncsdk import Client, ClientClosedError, Track
from asyncsdk._events.pacing import Pacer, turn_of
from asyncsdk.dev import DevServer, Fault

EVENTS = 20_000


@pytest.mark.parametrize("tasks", [1, 10, 100])
async def test_a_healthy_vendor_loses_nothing_to_tasks_that_only_track(server: DevServer, tasks: int) -> None:
    async def work() -> None:
        for _ in range(EVENTS // tasks):
            await client.track(ADA, "a")

    async with Client(rudderstack(server, quick(linger=0.0))) as client:
        await asyncio.gather(*(work() for _ in range(tasks)))
        report = await client.flush(timeout=15)

    assert report.destinations["RudderStack"].delivered == EVENTS


async def test_a_thousand_tasks_leave_the_loop_its_turns(server: DevServer) -> None:
    async def work() -> None:
        for _ in range(20):
            await client.track(ADA, "a")

    async with Client(rudderstack(server)) as client:
        before = client._pacer.credits
        gathered = asyncio.gather(*(work() for _ in range(1000)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # every task has had a turn

        assert client.health().destinations["RudderStack"].queued_events <= before
        await gathered


async def test_tasks_wait_in_line_in_the_order_of_their_calls() -> None:
    pacer, order = Pacer([]), []

    async def work(number: int) -> None:
        await pacer.wait_turn()
        order.append(number)

    await asyncio.gather(*map(work, range(300)))

    assert order == list(range(300))


async def test_a_new_turn_does_not_overtake_those_in_line() -> None:
    pacer = Pacer([])
    first = asyncio.create_task(pacer.wait_turn())
    pacer.credits = -1
    await asyncio.sleep(0)
    pacer.renew()
    assert pacer.credits == -1

    await first
    pacer.renew()
    assert pacer.credits == turn_of(0.0)[0]


async def test_a_cancelled_task_leaves_its_turn_to_the_next() -> None:
    pacer = Pacer([])
    tasks = [asyncio.create_task(pacer.wait_turn()) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[0].cancel()

    await asyncio.wait_for(asyncio.gather(*tasks[1:]), 1)
    assert pacer.credits == turn_of(0.0)[0] - 2


def test_a_turn_hands_out_less_the_fuller_the_queue_is() -> None:
    turns = [turn_of(filling / 100) for filling in range(101)]

    assert turns == sorted(turns, key=lambda turn: (-turn[0], turn[1]))
    assert turns[0] == (128, 0.0)
    assert turns[100] == (8, 0.001)


@pytest.mark.parametrize("status", [503, 200])
async def test_a_vendor_that_makes_no_progress_slows_no_caller(server: DevServer, status: int) -> None:
    server.fault("rudderstack", Fault(status=503) if status == 503 else Fault(delay=60))
    limits = quick(max_queued_events=100, linger=0.0, retry_initial=60, retry_max=60)
    async with Client(rudderstack(server, limits), close_timeout=0) as client:
        for _ in range(100):
            client.put_nowait(Track(ADA, "a"))
        lane = client._lanes[0]
        while lane.pressure(time.monotonic()) > 0:
            await asyncio.sleep(0.01)
        client._pacer.credits = 0

        await client.track(ADA, "a")

        assert client._pacer.credits == turn_of(0.0)[0] - 1


async def test_an_event_that_waits_in_line_when_the_client_closes_is_refused(server: DevServer) -> None:
    client = Client(rudderstack(server))
    await client.start()
    client._pacer.credits = 0
    late = asyncio.create_task(client.track(ADA, "a"))
    await asyncio.sleep(0)
    client._life.close_intake()

    with pytest.raises(ClientClosedError):
        await late
    client._life.cancel()


def test_a_pacer_shows_its_credits_and_its_line() -> None:
    assert repr(Pacer([])) == "<Pacer: 128 credits, 0 waiting>"
