"""What keeps a client alive and lets it go: its one task, the process and loop it belongs to, its signal handler."""

import asyncio
import contextvars
import logging
import os
import signal
import threading
import warnings
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from types import FrameType
from typing import Any, Literal
from urllib.parse import urlsplit

from asyncsdk._model.reports import Report
from asyncsdk._threads import is_being_cancelled
from asyncsdk.errors import (
    ClientClosedError,
    ConfigurationError,
    ForkedProcessError,
    QueueFullError,
    WrongEventLoopError,
)

logger = logging.getLogger("asyncsdk")

Job = Callable[[], Coroutine[Any, Any, None]]
Jobs = Sequence[tuple[str, Job]]
State = Literal["new", "running", "draining", "closed"]
DEV_SERVER = "ASYNCSDK_DEV_SERVER"
# A job that fails at once, again and again, is started again at most this often.
_RESTART_PAUSE = 1.0
_TAKING = ("running", "draining")
# Calls of other threads that may wait for a loop that is held.
_MOST_CALLS = 10_000


class Lifecycle:
    """Where a client is in its life, and the one task that owns all its others.

    Attributes:
        state: `new`, `running`, `draining` or `closed`.
        crashes: How often a job was started again.
        on_catch_up: Called on the loop when what waits must wait no longer.
    """

    def __init__(self) -> None:
        """Begin as new; needs no running loop."""
        self._state: State = "new"
        # The loop on which events are taken; None when none are.
        self._home: asyncio.AbstractEventLoop | None = None
        self.crashes = 0
        self.on_catch_up: Callable[[], object] = lambda: None
        self.loop: asyncio.AbstractEventLoop | None = None
        self._pid = 0
        self._calls: deque[Callable[[], object]] = deque()
        self._task: asyncio.Task[None]

    def start(self, jobs: Jobs, ended: Callable[[], None], last: Job | None = None) -> None:
        """Start the jobs on the running loop, each supervised.

        Args:
            jobs: What to do.
            ended: Called when they are no more.
            last: Done before that, when they have ended; it ends by itself.
        """
        self.loop = asyncio.get_running_loop()
        self._pid = os.getpid()
        self.state = "running"
        # An empty context: the task must not keep alive what the request that happened to start it holds.
        self._task = self.loop.create_task(self._run(jobs, last), name="asyncsdk", context=contextvars.Context())
        self._task.add_done_callback(lambda _: ended())

    def cancel(self) -> None:
        """Tell the jobs to end; only after `start`."""
        self._task.cancel()

    def call_soon(self, function: Callable[[], object]) -> None:
        """Call a function on the client's loop, from any thread, after those given before.

        Raises:
            QueueFullError: The loop is held, and 10,000 calls wait for it.
            ClientClosedError: The loop is closed.
        """
        if len(self._calls) >= _MOST_CALLS:
            msg = f"the event loop is held: {_MOST_CALLS:,} events of other threads wait for it"
            raise QueueFullError(msg)
        self._calls.append(function)
        try:
            if self.loop is not None:  # pragma: no branch -- it is there once the client has started
                self.loop.call_soon_threadsafe(self._call_next)
        except RuntimeError:
            self._calls.clear()
            msg = "the client's event loop is closed"
            raise ClientClosedError(msg) from None

    def _call_next(self) -> None:
        if self._calls:  # unless they were called ahead of their turn
            self._calls.popleft()()

    def catch_up(self) -> None:
        """Make all calls that wait, on the loop, now."""
        while self._calls:
            self._calls.popleft()()
        self.on_catch_up()

    @property
    def state(self) -> State:
        """How far it is."""
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        self._state = state
        self._home = self.loop if state in _TAKING else None

    @property
    def takes_events(self) -> bool:
        """Whether events may be queued: after `start`, and until `aclose` ends its intake."""
        return self._state in _TAKING

    def takes_here(self) -> bool:
        """Say whether events may be queued by who calls: on the client's loop, which no forked child runs."""
        try:
            return asyncio.get_running_loop() is self._home
        except RuntimeError:
            return False

    def check_caller(self) -> None:
        """Refuse to be awaited for an event from where it could not be delivered.

        Raises:
            ClientClosedError: The client was not started, or is closed.
            ForkedProcessError: It was started in the parent of this process.
            WrongEventLoopError: It runs on another event loop.
        """
        self.check_admission()
        self.check_loop()

    def check_admission(self) -> None:
        """Refuse an event that could not be delivered from here.

        Raises:
            ClientClosedError: The client was not started, or is closed.
            ForkedProcessError: It was started in the parent of this process.
        """
        if self.state == "new":
            msg = "the client is not started: use `async with client:` or `await client.start()`"
            raise ClientClosedError(msg)
        if self.state == "closed":
            msg = "the client is closed, and cannot be started again: make another (in an app: one per app object)"
            raise ClientClosedError(msg)
        if os.getpid() != self._pid:
            msg = "the client was started before os.fork(): make or start one in the child process"
            raise ForkedProcessError(msg)

    def check_loop(self) -> None:
        """Refuse to be awaited on a loop that is not the client's.

        Raises:
            WrongEventLoopError: It is not.
        """
        if not self.is_on_its_loop:
            msg = "the client was started on another event loop: one client belongs to one loop"
            raise WrongEventLoopError(msg)

    @property
    def is_in_its_process(self) -> bool:
        """Whether this is the process that the client was started in."""
        return os.getpid() == self._pid

    @property
    def is_on_its_loop(self) -> bool:
        """Whether the caller runs on the loop that the client was started on."""
        return _running_loop() is self.loop

    async def _run(self, jobs: Jobs, last: Job | None) -> None:
        try:
            if not jobs:
                await asyncio.Event().wait()  # a client without destinations lives like any other
            async with asyncio.TaskGroup() as group:
                for name, job in jobs:
                    group.create_task(self._supervise(name, job), name=f"asyncsdk {name}")
        finally:
            if last is not None:
                await last()

    async def _supervise(self, name: str, job: Job) -> None:
        """Run a job for ever: a crash is logged, counted, and the job started again."""
        while True:
            try:
                await job()
            except (Exception, asyncio.CancelledError) as error:
                if isinstance(error, asyncio.CancelledError) and is_being_cancelled():
                    raise
                if self.state == "closed":
                    return  # it was told to end, and failed to do so in peace
                self.crashes += 1
                logger.exception("%s failed and is started again; please report this", name)
                await asyncio.sleep(_RESTART_PAUSE)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def seconds(timeout: float) -> float:
    """Refuse a time-out that is no number of seconds, before anything is done about it."""
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or timeout != timeout:  # noqa: PLR0124 -- NaN
        msg = "a timeout is a number of seconds"
        raise ConfigurationError(msg)
    return timeout


def warn_forgotten(client: object, unsent: int) -> None:
    """Warn of a client that nobody closed."""
    msg = f"a Client was not closed, {unsent} unsent events are lost: use `async with` or `await client.aclose()`"
    warnings.warn(msg, ResourceWarning, stacklevel=2, source=client)


def dev_server() -> str | None:
    """Read the URL of the dev server from the environment; None when there is none.

    Raises:
        ConfigurationError: It is not an address of this machine.
    """
    url = os.environ.get(DEV_SERVER)
    if not url:
        return None
    if urlsplit(url).hostname not in ("localhost", "127.0.0.1", "::1"):
        msg = f"{DEV_SERVER} must be an http:// address of this machine, such as http://127.0.0.1:4010"
        raise ConfigurationError(msg)
    logger.warning("all events go to the dev server at %s, because %s is set", url, DEV_SERVER)
    return url


class SignalDrain:
    """Calls `drain` on SIGTERM, and then whatever was installed before; never in its place.

    uvicorn reaches its lifespan's shutdown only when all connections are closed, so with a streaming client that is
    never: at the signal itself there is still time.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, drain: Callable[[], Awaitable[Report]], unsent: Callable[[], int]
    ) -> None:
        """Chain onto the handler of SIGTERM. Does nothing off the main thread, where Python allows no handlers."""
        self._loop = loop
        self._pid = os.getpid()
        self._drain = drain
        self._unsent = unsent
        self._drained: asyncio.Task[None] | None = None
        self._installed = threading.current_thread() is threading.main_thread()
        if self._installed:
            self._before = signal.signal(signal.SIGTERM, self._handle)

    def remove(self) -> None:
        """Put the earlier handler back, unless somebody has replaced ours since."""
        if self._installed and signal.getsignal(signal.SIGTERM) == self._handle:
            signal.signal(signal.SIGTERM, self._before)
        self._installed = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._pid or self._loop.is_closed():
            self.remove()
            signal.raise_signal(number)
            return
        self._loop.call_soon_threadsafe(self._begin)
        if callable(self._before):  # pragma: no branch -- SIG_DFL is shown in a process of its own
            self._before(number, frame)

    def _begin(self) -> None:
        if self._drained is not None and not self._drained.done():
            return  # hypercorn tells its workers twice
        self._drained = self._loop.create_task(self._run(), name="asyncsdk drain")
        if self._before is signal.SIG_DFL:  # pragma: no cover -- shown in a process of its own
            self._drained.add_done_callback(self._end_process)

    async def _run(self) -> None:
        """Drain, and say so before and after: whoever sent the signal may not wait for the end."""
        unsent = self._unsent()
        level = logging.WARNING if unsent else logging.INFO
        logger.log(level, "SIGTERM: %d events are unsent, and sent now", unsent)
        report = await self._drain()
        logger.log(level, "SIGTERM: flushed in %.2f s; %s", report.seconds, report)

    def _end_process(self, _: asyncio.Task[None]) -> None:  # pragma: no cover -- shown in a process of its own
        """Let the signal do what it would have done at once."""
        self.remove()
        signal.raise_signal(signal.SIGTERM)
