"""A service whose client runs on an event loop in another thread, and what its scenarios need."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from typing import Any, TypeVar

import pytest
from openfeature import api
from openfeature.exception import OpenFeatureError

from asyncsdk import Client
from asyncsdk.dev import DevServer, Fault
from asyncsdk.integrations.openfeature import AsyncSDKProvider
from integrations.openfeature.conformance.flags import ruleset
from integrations.openfeature.conftest import Heard, hurried, statsig

T = TypeVar("T")
Pair = tuple[DevServer, Client]

# What the suites ask of some providers and not of others, and why it is not asked here.
NOT_HERE = {
    "caching": "nothing is cached: a flag is evaluated each time, in less than a cache would cost",
    "own-metadata": "Statsig's rules have no metadata of their own",
}


def pytest_bdd_apply_tag(tag: str, function: Callable[..., Any]) -> bool:
    pytest.mark.skip(reason=NOT_HERE[tag])(function)
    return True


class Service:
    """An event loop in a thread, and the vendors and clients on it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=5)

    @contextmanager
    def open(self, fault: Fault | None = None, start_timeout: float = 3.0, **rules: Any) -> Iterator[Pair]:
        """A vendor that may have a fault, and a client that asks it for rules."""

        async def start() -> Pair:
            vendor = await stack.enter_async_context(DevServer(ruleset=ruleset(), keep=100_000))
            if fault is not None:
                vendor.fault("statsig-rules", fault)
            client = hurried(statsig(vendor, **rules), start_timeout=start_timeout)
            await client.start()
            stack.push_async_callback(client.aclose, timeout=0.2)
            return vendor, client

        stack = AsyncExitStack()
        try:
            yield self.run(start())
        finally:
            self.run(stack.aclose())


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield Service(loop)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="module")
def shared(service: Service) -> Iterator[Pair]:
    """What scenarios use that change nothing."""
    with service.open() as pair:
        yield pair


class Scene:
    """One scenario: its vendor, its provider, and what is heard of it."""

    def __init__(self, service: Service, stack: ExitStack) -> None:
        self.service = service
        self.stack = stack
        self.vendor: DevServer
        self.client: Client
        self.provider: AsyncSDKProvider
        self.heard: Heard
        self.is_vendor_gone = False

    def begin(self, vendor: DevServer, client: Client, stale_after: float = 60.0) -> None:
        self.vendor, self.client = vendor, client
        self.provider = AsyncSDKProvider(client, stale_after=stale_after)
        self.set_up()
        self.heard = Heard()

    def set_up(self) -> None:
        with suppress(OpenFeatureError):  # which is what some scenarios are about
            api.set_provider_and_wait(self.provider)

    def begin_alone(self, fault: Fault | None = None, *, stale_after: float = 60.0, **settings: Any) -> None:
        """Begin with a vendor and a client for this scenario alone."""
        self.begin(*self.stack.enter_context(self.service.open(fault, **settings)), stale_after=stale_after)


@pytest.fixture
def scene(service: Service) -> Iterator[Scene]:
    with ExitStack() as stack:
        yield Scene(service, stack)
