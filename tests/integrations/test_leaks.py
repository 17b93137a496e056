"""Ten thousand requests of a hundred users: users are never mixed up, and no request leaves state behind."""

import asyncio
import gc
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import attrs
import pytest

from asyncsdk import Flags, Receipt
from asyncsdk.dev import DevServer
from asyncsdk.integrations._identity import RequestContext
from asyncsdk.integrations.aiohttp import from_header
from integrations.serving import ask_in_turn, client_of

USERS = [f"user-{number:03}" for number in range(100)]
AT_ONCE = 200

OPEN_FILES = Path("/proc/self/fd")

pytestmark = [
    pytest.mark.torture,
    pytest.mark.timeout(180),
    pytest.mark.skipif(not OPEN_FILES.exists(), reason="this system does not list open files"),
]


@attrs.frozen
class Footprint:
    """Resources of the process: tasks of its loop, open files, objects of requests, and memory blocks of Python."""

    tasks: int
    files: int
    of_requests: int
    blocks: int


def footprint() -> Footprint:
    gc.collect()
    of_requests = sum(type(thing) in (RequestContext, Flags, Receipt) for thing in gc.get_objects())
    return Footprint(len(asyncio.all_tasks()), len(list(OPEN_FILES.iterdir())), of_requests, sys.getallocatedblocks())


async def until(is_done: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_done():
            await asyncio.sleep(0.01)


async def crowd(framework: ModuleType, vendors: DevServer, requests: int) -> list[object]:
    """Run an application from start to end with many concurrent requests, and return their responses."""
    app = framework.make_app(client_of(vendors), {}, user=from_header("X-User"))
    each = requests // AT_ONCE
    turns = [USERS[number % len(USERS)] for number in range(requests)]
    async with framework.serving(app) as url:
        bodies = await asyncio.gather(
            *(ask_in_turn(url, "visit", turns[start * each : (start + 1) * each]) for start in range(AT_ONCE))
        )
    return [body for connection in bodies for body in connection]


async def passes(vendors: DevServer) -> dict[str, bool]:
    """Return whether each user passes the gate `half`."""
    async with client_of(vendors) as client:
        return {user: await client.check_gate(user, "half", exposure=False) for user in USERS}


async def test_ten_thousand_requests_keep_their_users_and_leave_no_state(
    framework: ModuleType, vendors: DevServer
) -> None:
    expected = await passes(vendors)
    await crowd(framework, vendors, 400)  # fills caches
    vendors.reset()
    before = footprint()

    bodies = await crowd(framework, vendors, 10_000)

    assert Counter(map(repr, bodies)) == {repr([user, expected[user]]): 100 for user in USERS}
    check_events(vendors, expected)
    check_exposures(vendors, expected)
    del bodies
    vendors.reset()
    await until(lambda: attrs.evolve(footprint(), blocks=0) == attrs.evolve(before, blocks=0))
    assert footprint().blocks - before.blocks < 5_000  # half a block per request


def check_events(vendors: DevServer, expected: dict[str, bool]) -> None:
    """Assert that every event has the user of its request, and what that request read."""
    for vendor, field in (("rudderstack", "properties"), ("amplitude", "event_properties"), ("statsig", "metadata")):
        events = [event for event in vendors.accepted(vendor) if event.name == "Visited"]
        assert Counter(event.user for event in events) == dict.fromkeys(USERS, 100)
        for event in events:
            read = {"half": expected[event.user], "button": "Test"}
            assert event.body[field] == {"who": event.user, "feature_flags": read}


def check_exposures(vendors: DevServer, expected: dict[str, bool]) -> None:
    """Assert that each user's exposure was reported once, or twice if a minute ended."""
    exposures = [event for event in vendors.accepted("statsig") if event.kind == "gate_exposure"]
    counts = Counter((event.user, event.body["metadata"]["gateValue"]) for event in exposures)

    assert set(counts) == {(user, str(passing).lower()) for user, passing in expected.items()}
    assert max(counts.values()) <= 2
