"""A service whose client runs on an event loop in another thread, and the state of one scenario."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from typing import Any, TypeVar

from openfeature import api
from openfeature.exception import OpenFeatureError

from asyncsdk import Client
from asyncsdk.dev import DevServer, Fault
from asyncsdk.integrations.openfeature import AsyncSDKProvider
from integrations.openfeature.conformance.flags import ruleset
from integrations.openfeature.providers import EventRecorder, fast_polling_client, statsig

T = TypeVar("T")
Pair = tuple[DevServer, Client]


class Service:
    """Runs vendors and clients on an event loop in another thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=5)

    @contextmanager
    def open(self, fault: Fault | None = None, start_timeout: float = 3.0, **rules: Any) -> Iterator[Pair]:
        """Start a vendor, optionally with a fault, and a client that gets its rules from it."""

        async def start() -> Pair:
            vendor = await stack.enter_async_context(DevServer(ruleset=ruleset(), keep=100_000))
            if fault is not None:
                vendor.fault("statsig-rules", fault)
            client = fast_polling_client(statsig(vendor, **rules), start_timeout=start_timeout)
            await client.start()
            stack.push_async_callback(client.aclose, timeout=0.2)
            return vendor, client

        stack = AsyncExitStack()
        try:
            yield self.run(start())
        finally:
            self.run(stack.aclose())


class Scene:
    """One scenario: its vendor, its client, its provider and the events of that provider."""

    def __init__(self, service: Service, stack: ExitStack) -> None:
        self.service = service
        self.stack = stack
        self.vendor: DevServer
        self.client: Client
        self.provider: AsyncSDKProvider
        self.recorder: EventRecorder
        self.is_vendor_gone = False

    def begin(self, vendor: DevServer, client: Client, stale_after: float = 60.0) -> None:
        self.vendor, self.client = vendor, client
        self.provider = AsyncSDKProvider(client, stale_after=stale_after)
        self.set_up()
        self.recorder = EventRecorder()

    def set_up(self) -> None:
        with suppress(OpenFeatureError):  # some scenarios expect it; they check the provider's state
            api.set_provider_and_wait(self.provider)

    def begin_alone(self, fault: Fault | None = None, *, stale_after: float = 60.0, **settings: Any) -> None:
        """Begin with a vendor and a client that no other scenario uses."""
        self.begin(*self.stack.enter_context(self.service.open(fault, **settings)), stale_after=stale_after)
