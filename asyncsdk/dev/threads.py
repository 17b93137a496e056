"""A dev server on an event loop of its own, in a thread: `with DevServer() as dev:`.

Tests that block their thread need it: FastAPI's and Starlette's `TestClient`, Django's and Flask's test clients, and
any plain `def` test. The server answers while they wait. Three rules keep it safe:

1. All state belongs to the server's loop. A method decorated with `on_server_loop` or `awaits_server_loop` runs there,
   from whichever thread or loop it is called, and what it raises reaches the caller.
2. Without `with`, and on the server's own loop, the decorators call the method directly.
3. The thread owns its loop: it creates the loop, and closes it when the block ends.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from functools import partial, wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Protocol, Self, TypeVar

from asyncsdk.dev.history import ReceivedRequest
from asyncsdk.dev.received_event import ReceivedEvent
from asyncsdk.errors import AsyncSDKError

P = ParamSpec("P")
T = TypeVar("T")


class ServerThread:
    """An event loop that runs in a thread until `close`."""

    def __init__(self) -> None:
        """Start the thread, and wait until its loop runs."""
        self._is_running = threading.Event()
        # A daemon: a test run that is aborted without leaving the block must end all the same.
        self._thread = threading.Thread(target=self._run, name="asyncsdk dev server", daemon=True)
        self._thread.start()
        self._is_running.wait()

    @property
    def is_current(self) -> bool:
        """Whether the caller runs in this thread."""
        return threading.get_ident() == self._thread.ident

    def call(self, function: Callable[[], T]) -> T:
        """Call a function on the loop, and wait for it; what it raises is raised here."""

        async def call() -> T:
            return function()

        return self.run(call())

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop, and wait for it; what it raises is raised here."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Await a coroutine that runs on the loop, from another loop; cancelling the wait cancels the coroutine."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self._loop))

    def close(self) -> None:
        """End the tasks of the loop, close it, and wait until the thread has ended."""
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join()

    def _run(self) -> None:
        asyncio.run(self._keep_running())

    async def _keep_running(self) -> None:
        self._loop, self._closing = asyncio.get_running_loop(), asyncio.Event()
        self._is_running.set()
        await self._closing.wait()


class HasThread(Protocol):
    """An object whose state belongs to a loop that may be in another thread."""

    _thread: ServerThread | None


Server = TypeVar("Server", bound=HasThread)


def on_server_loop(method: Callable[Concatenate[Server, P], T]) -> Callable[Concatenate[Server, P], T]:
    """Decorate a method so that it runs on the server's loop, and blocks the caller until it has."""

    @wraps(method)
    def call(self: Server, /, *args: P.args, **keywords: P.kwargs) -> T:
        thread = self._thread
        if thread is None or thread.is_current:
            return method(self, *args, **keywords)
        return thread.call(partial(method, self, *args, **keywords))

    return call


def awaits_server_loop(
    method: Callable[Concatenate[Server, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Server, P], Coroutine[Any, Any, T]]:
    """Decorate an async method so that it runs on the server's loop; callers await it on theirs."""

    @wraps(method)
    async def call(self: Server, /, *args: P.args, **keywords: P.kwargs) -> T:
        thread = self._thread
        if thread is None or thread.is_current:
            return await method(self, *args, **keywords)
        return await thread.wait(method(self, *args, **keywords))

    return call


class RunsInThread:
    """What a server needs to be a plain context manager, beside the async one."""

    _thread: ServerThread | None = None

    async def start(self) -> None:
        """Start to listen."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Close all connections and stop listening."""
        raise NotImplementedError

    async def received(self, vendor: str, count: int = 1, *, within: float = 5.0) -> list[ReceivedEvent]:
        """Wait until a vendor has accepted a number of events."""
        raise NotImplementedError

    async def requested(self, vendor: str, count: int = 1, *, within: float = 5.0) -> list[ReceivedRequest]:
        """Wait until a number of requests to a vendor have arrived."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        if self._thread is not None:
            msg = "the dev server is running already"
            raise AsyncSDKError(msg)
        thread = ServerThread()
        try:
            thread.run(self.start())
        except BaseException:
            thread.close()
            raise
        self._thread = thread
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:  # pragma: no branch -- `__enter__` has set it
            try:
                thread.run(self.stop())
            finally:
                thread.close()

    def wait_received(self, vendor: str, count: int = 1, *, within: float = 5.0) -> list[ReceivedEvent]:
        """Block until a vendor has accepted a number of events: `received` for tests that are not async.

        Args:
            vendor: Name of a vendor.
            count: Number of accepted events to wait for, counted since the start or the last `reset`.
            within: Maximum time to wait, in seconds.

        Returns:
            The vendor's accepted events, oldest first.

        Raises:
            AsyncSDKError: The server was not started by `with`, or the caller runs on an event loop, which this would
                block: `await dev.received(...)` there.
            TimeoutError: There are fewer after `within` seconds; the text has the verdicts and the last replies.
        """
        return self._blocking("received").run(self.received(vendor, count, within=within))

    def wait_requested(self, vendor: str, count: int = 1, *, within: float = 5.0) -> list[ReceivedRequest]:
        """Block until a number of requests to a vendor have arrived: `requested` for tests that are not async.

        Args:
            vendor: Name of a vendor.
            count: Number of requests to wait for, counted since the start or the last `reset`.
            within: Maximum time to wait, in seconds.

        Returns:
            The vendor's requests that are still kept, oldest first.

        Raises:
            AsyncSDKError: The server was not started by `with`, or the caller runs on an event loop, which this would
                block: `await dev.requested(...)` there.
            TimeoutError: There are fewer after `within` seconds; the text has the verdicts and the last replies.
        """
        return self._blocking("requested").run(self.requested(vendor, count, within=within))

    def _blocking(self, verb: str) -> ServerThread:
        """Return the thread to wait for, after checking that the caller may block."""
        if self._thread is None:
            msg = (
                f"wait_{verb} needs a server in a thread (`with DevServer() as dev:`); otherwise await dev.{verb}(...)"
            )
            raise AsyncSDKError(msg)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return self._thread
        msg = f"wait_{verb} would block the running event loop: use `await dev.{verb}(...)`"
        raise AsyncSDKError(msg)
