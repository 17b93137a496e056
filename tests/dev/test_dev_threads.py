"""A dev server in a thread, for tests that block theirs."""

import asyncio
import inspect
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import aiohttp
import orjson
import pytest

from asyncsdk import Client, Limits, RudderStack
from asyncsdk.dev import DevServer, Fault
from asyncsdk.errors import AsyncSDKError, ConfigurationError


def post(dev: DevServer, *names: str) -> int:
    """Send events to Amplitude's endpoint as a blocking program does, and return the status."""
    events = [{"event_type": name, "user_id": "ada-1", "insert_id": name} for name in names]
    status, _ = ask(f"{dev.url}/2/httpapi", orjson.dumps({"api_key": "key", "events": events}))
    return status


def ask(url: str, body: bytes | None = None) -> tuple[int, bytes]:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 -- loopback
    try:
        with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310 -- loopback
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "asyncsdk dev server"]


def test_it_answers_a_caller_that_blocks() -> None:
    with DevServer() as dev:
        assert post(dev, "a", "b") == 200

        assert [event.id for event in dev.wait_received("amplitude", 2)] == ["a", "b"]
        assert [request.status for request in dev.wait_requested("amplitude")] == [200]

    assert dev.total("amplitude") == 2  # readable after the end, too


def test_it_starts_and_stops_within_a_tenth_of_a_second() -> None:
    times = []
    for _ in range(3):
        began = time.monotonic()
        with DevServer() as dev:
            post(dev, "a")
        times.append(time.monotonic() - began)

    assert min(times) < 0.1


def test_its_thread_and_loop_end_with_the_block() -> None:
    with DevServer() as dev:
        assert len(threads()) == 1
        assert dev._thread is not None
        loop = dev._thread._loop

    assert loop.is_closed()
    assert threads() == []


def test_it_ends_although_a_request_hangs() -> None:
    with DevServer() as dev:
        dev.fault("amplitude", Fault(end="hang"))
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(post, dev, "a")
            dev.wait_requested("amplitude")
            dev.__exit__(None, None, None)

    assert isinstance(waiting.exception(5), OSError)


def test_an_error_of_the_block_reaches_the_caller_after_the_stop() -> None:
    with pytest.raises(ZeroDivisionError), DevServer():
        raise ZeroDivisionError

    assert threads() == []


def test_a_port_in_use_raises_and_leaves_no_thread() -> None:
    with DevServer() as dev:
        port = int(dev.url.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"), DevServer(port=port):
            pytest.fail("it cannot start")

        assert len(threads()) == 1


def test_a_mistake_raises_in_the_thread_that_makes_it() -> None:
    with DevServer() as dev:
        with pytest.raises(ConfigurationError, match="not 'amplitud'"):
            dev.script("amplitud", 503)
        with pytest.raises(ConfigurationError, match="cannot be served"):
            dev.set_ruleset({"gates": {}})
        with pytest.raises(TimeoutError, match="not 1 events accepted by amplitude"):
            dev.wait_received("amplitude", within=0.01)


def test_faults_and_rules_are_set_from_the_test() -> None:
    with DevServer() as dev:
        dev.script("amplitude", 503)
        assert [post(dev, "a"), post(dev, "a")] == [503, 200]
        dev.set_ruleset({"feature_gates": {"open": {"enabled": True, "defaultValue": True}}})
        assert dev.ruleset_fault == ""
        status, body = ask(f"{dev.url}/v2/download_config_specs/secret-k.json")
        assert (status, "open" in orjson.loads(body)["feature_gates"]) == (200, True)

        dev.reset()

        assert (dev.events, dev.requests) == ([], [])


async def test_another_loop_can_await_it() -> None:
    with DevServer() as dev:
        async with Client(RudderStack("key", dev.url, limits=Limits(linger=0))) as client:
            await client.track("ada-lovelace", "Item Viewed")
            [event] = await dev.received("rudderstack")

    assert event.name == "Item Viewed"


async def test_a_wait_of_another_loop_can_be_cancelled() -> None:
    with DevServer() as dev:
        waiting = asyncio.create_task(dev.received("rudderstack", within=60))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

        await dev.stop()
        await dev.start()

        async with aiohttp.ClientSession() as http, http.get(f"{dev.url}/nowhere") as response:
            assert response.status == 404


async def test_blocking_a_running_loop_raises() -> None:
    with DevServer() as dev:
        with pytest.raises(AsyncSDKError, match=r"await dev\.received"):
            dev.wait_received("amplitude")
        with pytest.raises(AsyncSDKError, match=r"await dev\.requested"):
            dev.wait_requested("amplitude")


def test_waiting_for_a_server_without_a_thread_raises() -> None:
    with pytest.raises(AsyncSDKError, match=r"with DevServer\(\) as dev"):
        DevServer().wait_received("amplitude")


def test_it_cannot_be_entered_twice_at_once() -> None:
    with DevServer() as dev:
        with pytest.raises(AsyncSDKError, match="running already"), dev:
            pytest.fail("it is running")
        assert post(dev, "a") == 200
    with dev:  # but again afterwards
        assert post(dev, "b") == 200

    assert dev.total("amplitude") == 2


def test_many_threads_read_while_events_arrive() -> None:
    with DevServer() as dev:

        def read() -> int:
            while (found := len(dev.events)) < 100:
                assert dev.total("amplitude") <= 100
            return found

        with ThreadPoolExecutor() as pool:
            readers = [pool.submit(read) for _ in range(3)]
            for number in range(10):
                assert post(dev, *(f"{number}-{index}" for index in range(10))) == 200

    assert [reader.result() for reader in readers] == [100, 100, 100]


# `url` and `vendor_names` do not change once a caller has the server; `wait_...` run what they wait for on the loop.
ELSEWHERE = {"url", "vendor_names", "wait_received", "wait_requested"}


def test_every_public_method_runs_on_the_loop_of_the_server() -> None:
    public = {name: value for name, value in inspect.getmembers(DevServer) if not name.startswith("_")}
    functions = {name: getattr(value, "fget", value) for name, value in public.items()}

    assert {name for name, function in functions.items() if not hasattr(function, "__wrapped__")} == ELSEWHERE
