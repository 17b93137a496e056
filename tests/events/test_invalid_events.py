"""`Client(on_invalid="report")`: an invalid event is counted, logged and returned, and breaks no request."""

import asyncio
import logging
import math
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from helpers import ADA, amplitude, quick, rudderstack, statsig
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncsdk import (
    Alias,
    Client,
    ConfigurationError,
    Delivery,
    Flags,
    Group,
    IdentifyEvent,
    InvalidEventError,
    LogEvent,
    Page,
    RawEvent,
    Receipt,
    Screen,
    Track,
    User,
)
from asyncsdk.dev import DevServer

NOBODY = User(ip="192.0.2.1")
"""A visitor who is not signed in, as `FlagsMiddleware` makes one without a cookie."""


class Hostile(Mapping[str, Any]):
    """A mapping that cannot be read."""

    def __getitem__(self, key: str) -> Any:
        raise OSError("no")

    def __iter__(self) -> Iterator[str]:
        raise OSError("no")

    def __len__(self) -> int:
        return 1


MISTAKES: dict[str, Callable[[Client], Any]] = {
    "identify": lambda client: client.identify(NOBODY, {"plan": "pro"}),
    "track": lambda client: client.track(None, "x"),
    "no name": lambda client: client.track(ADA, ""),
    "page": lambda client: client.page(ADA, 5),
    "screen": lambda client: client.screen(ADA, "x", [1]),
    "group": lambda client: client.group(ADA, ""),
    "group without a user": lambda client: client.group(NOBODY, "acme"),
    "alias": lambda client: client.alias("old", NOBODY),
    "alias of nothing": lambda client: client.alias("", ADA),
    "log_event": lambda client: client.log_event(ADA, "x", math),
    "log_event with an object": lambda client: client.log_event({"event_type": "x"}),
    "log_event with nothing": lambda client: client.log_event(None),
    "log_event with a hostile object": lambda client: client.log_event(Hostile()),
    "not JSON": lambda client: client.track(ADA, "x", {"at": object()}),
    "hostile properties": lambda client: client.track(ADA, "x", Hostile()),
    "hostile integrations": lambda client: client.track(ADA, "x", integrations=Hostile()),
    "misspelt integrations": lambda client: client.track(ADA, "x", integrations={"statsig": False}),
    "no time zone": lambda client: client.track(ADA, "x", timestamp=5),
    "blank id": lambda client: client.track(ADA, "x", message_id=" "),
}
NO_WAIT: dict[str, Callable[[Client], Receipt]] = {
    "no user": lambda client: client.put_nowait(Track(None, "x")),  # type: ignore[arg-type]
    "no id": lambda client: client.put_nowait(Track(NOBODY, "x")),
    "page": lambda client: client.put_nowait(Page(1.5, "x")),  # type: ignore[arg-type]
    "screen": lambda client: client.put_nowait(Screen(ADA, b"x")),  # type: ignore[arg-type]
    "identify": lambda client: client.put_nowait(IdentifyEvent([], {})),  # type: ignore[arg-type]
    "group": lambda client: client.put_nowait(Group(ADA, None)),  # type: ignore[arg-type]
    "alias": lambda client: client.put_nowait(Alias("a", {"plan": "pro"})),  # type: ignore[arg-type]
    "log_event": lambda client: client.put_nowait(LogEvent(ADA, None)),  # type: ignore[arg-type]
    "raw": lambda client: client.put_nowait(RawEvent("x")),  # type: ignore[arg-type]
    "not an event": lambda client: client.put_nowait("x"),  # type: ignore[arg-type]
    "flags": lambda client: client.bind(NOBODY).track("x"),
    "flags of nobody": lambda client: client.bind(None).track("x"),  # type: ignore[arg-type]
    "flags, name": lambda client: client.bind(ADA).track(""),
    "flags, properties": lambda client: read(client.bind(ADA)).track("x", Hostile()),
}


def read(flags: Flags) -> Flags:
    flags.check_gate("open")
    return flags


def make(server: DevServer, **options: Any) -> Client:
    options.setdefault("on_invalid", "report")
    return Client(statsig(server), rudderstack(server), amplitude(server), **options)


@pytest.fixture
async def client(server: DevServer) -> AsyncIterator[Client]:
    async with make(server) as client:
        yield client


def counts(client: Client) -> list[Mapping[str, int]]:
    return [health.counts.rejected for health in client.health().destinations.values()]


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
async def test_a_verb_returns_a_receipt_that_says_so(client: Client, mistake: Callable[[Client], Any]) -> None:
    receipt = await mistake(client)

    assert {(one.status, one.reason) for one in (await receipt).values()} == {("rejected", "invalid")}
    assert receipt.error
    assert f"  invalid: {receipt.error}\n" in receipt.explain()
    assert counts(client) == [{"invalid": 1}] * 3


@pytest.mark.parametrize("mistake", NO_WAIT.values(), ids=NO_WAIT)
async def test_so_does_a_call_that_does_not_wait(client: Client, mistake: Callable[[Client], Receipt]) -> None:
    receipt = mistake(client)

    assert receipt.error in client.health().last_invalid
    assert counts(client) == [{"invalid": 1}] * 3


@pytest.mark.parametrize("mistake", [*MISTAKES.values(), *NO_WAIT.values()], ids=[*MISTAKES, *NO_WAIT])
async def test_all_of_them_raise_by_default(server: DevServer, mistake: Callable[[Client], Any]) -> None:
    async with make(server, on_invalid="raise") as client:
        with pytest.raises((InvalidEventError, OSError)):
            receipt = mistake(client)
            await receipt

        assert (client.health().invalid_events, counts(client)) == (0, [{}] * 3)


async def test_all_of_them_raise_with_a_dev_server(server: DevServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYNCSDK_DEV_SERVER", server.url)

    for enabled in (True, False):
        async with make(server, enabled=enabled) as client:
            with pytest.raises(InvalidEventError):
                await client.track(None, "x")  # type: ignore[arg-type]


async def test_each_kind_has_one_error_with_the_call(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        await client.track(ADA, "")
        client.put_nowait(Track(NOBODY, "x"))

    name, nobody = errors(caplog)
    assert name.startswith("an invalid event is not sent (said once for each kind): `event` must be a name that is not")
    assert "test_invalid_events.py:" in name
    assert name.endswith("in test_each_kind_has_one_error_with_the_call)")
    assert "anonymous_cookie=" in nobody
    assert client.health().invalid_events == 6


async def test_the_health_has_the_latest(client: Client) -> None:
    assert client.health().last_invalid == ""

    await client.group(ADA, "")

    assert client.health().last_invalid.startswith("`group_id` must be an id that is not blank; it is empty (Group, ")


async def test_a_task_of_its_own_has_no_call(client: Client) -> None:
    await asyncio.create_task(client.track(ADA, ""))

    assert client.health().last_invalid.endswith("(Track, in a task of its own)")


async def test_an_error_of_the_values_has_its_traceback(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    await client.track(ADA, "x", integrations=Hostile())

    [record] = caplog.records
    assert "the event cannot be read: OSError" in record.message
    assert record.exc_info


async def test_there_are_at_most_a_hundred_kinds(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(150):
        await client.track(ADA, "x", {f"key {number}": object()})

    assert len(errors(caplog)) == 100
    assert client.health().invalid_events == 150


async def test_valid_events_are_delivered_as_ever(server: DevServer, client: Client) -> None:
    await client.track(ADA, "")
    receipt = await client.track(ADA, "x")

    assert {delivery.status for delivery in (await receipt).values()} == {"delivered"}
    assert (receipt.error, client.health().invalid_events) == ("", 1)
    assert server.total("rudderstack") == 1


async def test_the_id_of_the_caller_is_kept(client: Client) -> None:
    assert (await client.track(ADA, "", message_id="mine")).event_id == "mine"


async def test_other_threads_are_counted(client: Client) -> None:
    threads = [threading.Thread(target=lambda: [client.put_nowait(Track(ADA, "")) for _ in range(50)]) for _ in "1234"]
    for thread in threads:
        thread.start()
    await asyncio.to_thread(lambda: [thread.join() for thread in threads])

    await client.flush()

    assert client.health().invalid_events == 200
    assert counts(client) == [{"invalid": 200}] * 3


async def test_with_async_middleware_too(server: DevServer) -> None:
    async def wait(payload: Any, proceed: Any) -> None:
        await asyncio.sleep(0)
        await proceed(payload)

    async with make(server).add_middleware(wait) as client:
        assert (await client.track(ADA, "")).error
        assert not (await client.track(ADA, "x")).error
        assert "async middleware" in client.put_nowait(Track(ADA, "x")).error


async def test_with_async_middleware_a_dev_server_raises(server: DevServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYNCSDK_DEV_SERVER", server.url)

    async def wait(payload: Any, proceed: Any) -> None:
        await proceed(payload)

    async with make(server).add_middleware(wait) as client:
        with pytest.raises(InvalidEventError) as caught:
            await client.track(ADA, "")
    assert "because ASYNCSDK_DEV_SERVER is set" in caught.value.__notes__[0]


async def test_with_a_spool_too(server: DevServer, tmp_path: Path) -> None:
    async with make(server, spool=tmp_path) as client:
        assert (await client.track(ADA, "")).error
        await client.track(ADA, "x")
        report = await client.flush()

    assert (report.destinations["Statsig"].accepted, report.destinations["Statsig"].rejected) == (2, {"invalid": 1})


async def test_with_a_queue_that_makes_callers_wait(server: DevServer) -> None:
    destination = rudderstack(server, quick(max_queued_events=1), overflow="wait")

    async with Client(destination, on_invalid="report") as client:
        await client.track(ADA, "x")
        assert (await client.track(ADA, "")).error


async def test_on_delivery_is_called(server: DevServer) -> None:
    seen: list[tuple[str, Delivery]] = []

    async with make(server, on_delivery=lambda event_id, delivery: seen.append((event_id, delivery))) as client:
        receipt = await client.track(ADA, "")

    assert [(event_id, one.reason) for event_id, one in seen] == [(receipt.event_id, "invalid")] * 3


async def test_without_destinations_the_health_counts() -> None:
    async with Client(on_invalid="report") as client:
        await client.track(ADA, "")

        assert client.health().invalid_events == 1


async def test_a_client_that_is_off_reports_as_well(server: DevServer) -> None:
    async with make(server, enabled=False) as client:
        await client.track(ADA, "")

        assert counts(client) == [{"invalid": 1}] * 3


@pytest.mark.parametrize("word", ["ignore", None, True])
def test_another_word_is_a_mistake(word: Any) -> None:
    with pytest.raises(ConfigurationError, match="`on_invalid` must be 'raise' or 'report', not "):
        Client(on_invalid=word)


ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), st.binary(max_size=3),
    st.sampled_from([ADA, NOBODY, Hostile(), object(), [], {}, {"userID": "u1"}, {"x": object()}, User, Track]),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(ANYTHING, min_size=3, max_size=3), st.sampled_from([Track, Page, Screen, IdentifyEvent, Group, LogEvent, RawEvent, Alias]))  # fmt: skip
def test_no_values_of_any_type_raise(values: list[Any], kind: type[Any]) -> None:
    async def put() -> None:
        async with Client(amplitude_nowhere(), on_invalid="report", close_timeout=0) as client:
            receipt = client.put_nowait(kind(*values[:2], context=values[2]))
            assert receipt.explain()

    asyncio.run(put())


def amplitude_nowhere() -> Any:
    from asyncsdk import Amplitude

    return Amplitude("key", url="http://127.0.0.1:9", limits=quick(linger=60))
