"""What once broke it, and must not again."""

import asyncio
import collections
import dataclasses
import logging
import os
import signal
import time
import warnings
from typing import Any

import pytest
from helpers import ADA, amplitude, quick, rudderstack, statsig

from asyncsdk import (
    Amplitude,
    Client,
    ConfigurationError,
    Delivery,
    InvalidEventError,
    Limits,
    Report,
    RudderStack,
    Track,
    User,
    redact,
)
from asyncsdk._client.signals import SignalDrain
from asyncsdk._delivery.circuit import Circuit
from asyncsdk._lifecycle import Lifecycle
from asyncsdk._model.receipts import Record
from asyncsdk.dev import DevServer, Fault


async def test_an_event_larger_than_the_queue_is_refused_at_once(server: DevServer) -> None:
    async with Client(rudderstack(server, quick(max_queued_bytes=2000), overflow="wait")) as client:
        receipt = await client.track(ADA, "big", {"text": "x" * 3000})

        assert (await receipt)["RudderStack"].reason == "too large"


async def test_a_turn_goes_on_to_the_next_who_waits(server: DevServer) -> None:
    async with DevServer() as dead:
        dead.fault(None, Fault(503))
        well = rudderstack(server, quick(max_queued_events=1), name="well", overflow="wait")
        ill = rudderstack(dead, quick(max_queued_events=1), name="ill", overflow="wait")
        client = Client(well, ill)
        await client.start()
        await client.track("user-0", "fill")
        both = asyncio.create_task(client.track("user-1", "both"))
        only = asyncio.create_task(client.track("user-2", "only", integrations={"ill": False}))

        await only
        both.cancel()
        await asyncio.wait([both])
        await client.aclose(timeout=0.1)


async def test_callers_who_gave_up_leave_nothing_behind(server: DevServer) -> None:
    server.fault("rudderstack", Fault(end="hang"))
    client = Client(rudderstack(server, quick(max_queued_events=1), overflow="wait"))
    await client.start()
    await client.track(ADA, "fill")
    waiting = [asyncio.create_task(client.track(ADA, "x")) for _ in range(50)]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)

    assert not client._lanes[0].ledger._room_waiters
    await client.aclose(timeout=0.1)


async def test_on_delivery_may_raise_even_a_cancellation(server: DevServer) -> None:
    def cancelled(event_id: str, delivery: Delivery) -> None:
        raise asyncio.CancelledError

    async with Client(rudderstack(server), on_delivery=cancelled) as client:
        for n in range(5):
            await client.track(f"user-{n}", "x")
        report = await client.flush()

    assert report.destinations["RudderStack"].delivered == 5
    assert server.total("rudderstack", "duplicate") == 0


def test_a_flight_that_never_took_its_first_step_is_accounted_for() -> None:
    made: list[Client] = []

    async def main(turns: int) -> None:
        client = Client(RudderStack("key", "http://127.0.0.1:9", limits=Limits(linger=5)))
        made.append(client)
        await client.start()
        await client.track("user-1", "x")
        flush = asyncio.create_task(client.flush())
        for _ in range(turns):
            await asyncio.sleep(0)
        flush.cancel()

    for turns in range(6):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # that it was not closed is the point
            asyncio.run(main(turns))

    for client in made:
        counts = client.health().destinations["RudderStack"].counts
        assert (counts.pending, counts.abandoned) == (0, 1)


@dataclasses.dataclass
class Form:
    password: str


async def test_redact_looks_into_all_that_holds_keys_and_at_the_user(server: DevServer) -> None:
    user = User("ada-lovelace", email="SECRET", ip="SECRET", custom={"iban": "SECRET"})
    client = Client(statsig(server), rudderstack(server), amplitude(server))
    async with client.add_middleware(redact("password", "email", "ip", "iban")):
        await client.track(
            user,
            "a",
            {
                "form": Form("SECRET"),
                "queue": collections.deque([{"password": "SECRET"}]),
                "list": collections.UserList([{"password": "SECRET"}]),
                "set": frozenset({"kept"}),
            },
        )
        await client.log_event({"event_type": "raw", "user_id": "ada-lovelace", "ip": "SECRET"})

    assert len(server.accepted()) == 6
    assert "SECRET" not in str([event.body for event in server.events])
    assert "kept" in str([event.body for event in server.events])


def test_sigterm_still_ends_a_forked_child() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    ready, tell = os.pipe()  # Python forgets a signal that comes while it forks

    async def main() -> int:
        client = Client(drain_on_sigterm=True)
        await client.start()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of any fork beside threads
            child = os.fork()
        if child == 0:
            os.write(tell, b"x")
            time.sleep(20)
            os._exit(1)
        await client.aclose()
        return child

    child = asyncio.run(main())
    signal.signal(signal.SIGTERM, before)
    os.read(ready, 1)
    os.kill(child, signal.SIGTERM)
    _, status = os.waitpid(child, 0)

    os.close(ready)
    os.close(tell)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGTERM


async def test_a_client_without_destinations_lives_like_any_other() -> None:
    client = Client()
    await client.start()
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert client.health().state == "running"
    await client.track(ADA, "a")
    await client.aclose()


async def test_the_books_are_closed_where_warnings_are_errors(server: DevServer) -> None:
    client = Client(rudderstack(server, quick(linger=60)))
    await client.start()
    receipt = await client.track(ADA, "a")
    (task,) = [task for task in asyncio.all_tasks() if task.get_name() == "asyncsdk"]
    seen: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: seen.append(context["exception"]))
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        task.cancel()
        await asyncio.wait([task])
        delivery = (await receipt)["RudderStack"]

    assert delivery.status == "abandoned"
    assert client.health().state == "closed"
    assert isinstance(seen[0], ResourceWarning)


def test_a_late_answer_of_before_a_failure_is_heeded_too() -> None:
    circuit = Circuit(Limits(retry_initial=1.0))
    early = circuit.begin_request()
    circuit.failed(circuit.begin_request(), 100.0, None)
    circuit.answered(circuit.begin_request())

    circuit.failed(early, 102.0, 30.0)
    assert circuit.probe_at >= 132.0
    circuit.skip_wait(200.0, 205.0)
    circuit.answered(circuit.begin_request())
    assert circuit.refused(early, 300.0)
    assert circuit.state == "suspect"


async def test_a_flush_of_nothing_is_complete_whatever_its_timeout(server: DevServer) -> None:
    async with Client(rudderstack(server)) as client:
        assert (await client.flush(timeout=0)).complete
        assert (await client.flush(timeout=-1)).complete


async def test_many_flushes_are_not_many_requests_to_a_halted_vendor(server: DevServer) -> None:
    server.fault("rudderstack", Fault(401))
    client = Client(rudderstack(server, quick(probe_interval=60)))
    await client.start()
    await client.track(ADA, "a")
    await server.requested("rudderstack")
    for _ in range(20):
        await client.flush(timeout=0.005)

    assert len(server.requests) <= 3  # asked at once whether it means it, and once more for the first flush
    await client.aclose(timeout=0.2)


async def test_closing_does_not_wait_for_what_cannot_come(server: DevServer) -> None:
    server.fault("rudderstack", Fault(401))
    client = Client(rudderstack(server, quick(probe_interval=60)))
    await client.start()
    await client.track(ADA, "a")
    began = time.monotonic()

    report = await client.aclose(timeout=10)

    assert report.destinations["RudderStack"].abandoned == 1
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("timeout", ["5", float("nan"), True])
async def test_a_timeout_is_a_number_and_nothing_is_lost_over_it(server: DevServer, timeout: Any) -> None:
    async with Client(rudderstack(server)) as client:
        await client.track(ADA, "a")
        for call in (client.flush, client.aclose):
            with pytest.raises(ConfigurationError, match="number of seconds"):
                await call(timeout)

    assert server.total("rudderstack") == 1


async def test_a_second_close_that_is_shorter_says_that_it_is_not_over(server: DevServer) -> None:
    server.fault("rudderstack", Fault(end="hang"))
    client = Client(rudderstack(server))
    await client.start()
    await client.track(ADA, "a")
    first = asyncio.create_task(client.aclose(timeout=0.3))
    await asyncio.sleep(0)

    assert not (await client.aclose(timeout=0.01)).complete
    await first


async def test_middleware_that_passes_the_wrong_thing_costs_its_event(
    server: DevServer, caplog: pytest.LogCaptureFixture
) -> None:
    client = Client(rudderstack(server)).add_middleware(lambda payload, next: next(payload.event))  # type: ignore[arg-type] # the slip
    async with client:
        delivery = (await (await client.track(ADA, "a")))["RudderStack"]

    assert delivery.reason == "middleware error"
    assert "`next` takes a Payload" in caplog.text


async def test_a_waiting_middleware_is_told_apart_from_one_that_raises_the_same(server: DevServer) -> None:
    def refuse(payload: Any, next: Any) -> None:
        raise InvalidEventError("mine")

    async with Client(rudderstack(server)).add_middleware(refuse) as client:
        delivery = (await client.put_nowait(Track(ADA, "a")))["RudderStack"]

    assert delivery.reason == "middleware error"


async def test_a_destination_that_is_misspelt_is_an_error(server: DevServer) -> None:
    async with Client(rudderstack(server), amplitude(server)) as client:
        with pytest.raises(InvalidEventError, match="spelt 'Amplitude'"):
            await client.track(ADA, "a", integrations={"amplitude": False})


@pytest.mark.parametrize("wrong", [Amplitude, ["api-key"], "api-key", 5, None])
def test_what_is_no_destination_is_told_so(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="one by one"):
        Client(wrong)


@pytest.mark.parametrize("wrong", [5, redact, "x"])
def test_callbacks_are_checked_when_they_are_given(wrong: Any) -> None:
    async def later(event_id: str, delivery: Delivery) -> None: ...

    for given in (later, 5):
        with pytest.raises(ConfigurationError, match="plain function"):
            Client(on_delivery=given)  # type: ignore[arg-type] # that is the test
    with pytest.raises(ConfigurationError, match="middleware is a function"):
        Client().add_middleware(wrong)


async def test_losses_are_told_in_the_log_once_a_minute(server: DevServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with Client(rudderstack(server, quick(max_queued_events=1, linger=60))) as client:
        for _ in range(5):
            await client.track(ADA, "a")

    assert [r.getMessage() for r in caplog.records if "at most once" in r.getMessage()] == [
        "RudderStack: events are dropped: queue full (logged at most once a minute)"
    ]


async def test_what_middleware_filters_is_no_loss(server: DevServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with Client(rudderstack(server)).add_middleware(lambda payload, next: None) as client:
        await client.track(ADA, "a")
        report = await client.aclose()

    assert report.destinations["RudderStack"].lost == 0
    assert not caplog.records


async def test_a_loop_that_only_tracks_leaves_time_for_sending(server: DevServer) -> None:
    async with Client(rudderstack(server, quick(max_queued_events=2000))) as client:
        for n in range(6000):
            await client.track(f"user-{n % 10}", "a")
        report = await client.flush(timeout=10)

    assert report.destinations["RudderStack"].delivered > 2000


async def test_nobody_who_stopped_waiting_for_a_receipt_is_remembered(server: DevServer) -> None:
    async with Client(rudderstack(server, quick(linger=60))) as client:
        receipt = await client.track(ADA, "a")

        async def ask() -> None:
            await receipt

        for _ in range(20):
            task = asyncio.create_task(ask())
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])

        (outcome,) = receipt.outcomes
        assert isinstance(outcome, Record)
        assert outcome.watchers == ()


async def test_a_turn_that_passes_over_a_caller_who_gave_up_reaches_the_next(server: DevServer) -> None:
    async with Client(rudderstack(server, quick(max_queued_events=1, linger=60), overflow="wait")) as client:
        await client.track(ADA, "a")
        first, second = (asyncio.create_task(client.track(ADA, name)) for name in ("b", "c"))
        await asyncio.sleep(0)
        first.cancel()
        client._lanes[0].ledger.wake_room_waiter()
        await asyncio.wait([first])
        flush = asyncio.create_task(client.flush())
        await second
        await flush

    assert first.cancelled()


async def test_a_job_that_fails_when_it_is_told_to_end_is_not_started_again() -> None:
    life, starts = Lifecycle(), []

    async def fail_at_the_end() -> None:
        starts.append(True)
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError

    ended = asyncio.Event()
    life.start([("job", fail_at_the_end)], ended.set)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    life.close_intake()
    life.cancel()
    await ended.wait()

    assert len(starts) == 1
    assert life.crashes == 0


def test_a_signal_for_a_loop_that_is_closed_goes_to_the_handler_before() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    loop = asyncio.new_event_loop()

    async def drain() -> Report:
        raise AssertionError

    SignalDrain(loop, drain, lambda: 0)
    loop.close()
    signal.raise_signal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, before)

    assert heard == [signal.SIGTERM]
