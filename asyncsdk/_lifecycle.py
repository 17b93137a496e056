"""A client's state, its one task, the process and loop that it belongs to, and calls from other threads."""

import asyncio
import contextvars
import logging
import os
import warnings
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Literal

from asyncsdk._threads import is_being_cancelled
from asyncsdk.errors import (
    ClientClosedError,
    ForkedProcessError,
    QueueFullError,
    WrongEventLoopError,
)

logger = logging.getLogger("asyncsdk")

Job = Callable[[], Coroutine[Any, Any, None]]
Jobs = Sequence[tuple[str, Job]]
State = Literal["new", "running", "draining", "closed"]
# A job that fails at once, again and again, is started again at most this often.
_RESTART_PAUSE = 1.0
_TAKING = ("running", "draining")
# Calls of other threads that may wait for a loop that is held.
_MAX_CALLS = 10_000


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
        if len(self._calls) >= _MAX_CALLS:
            msg = f"the event loop is held: {_MAX_CALLS:,} events of other threads wait for it"
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


def warn_forgotten(client: object, unsent: int) -> None:
    """Warn of a client that nobody closed."""
    msg = f"a Client was not closed, {unsent} unsent events are lost: use `async with` or `await client.aclose()`"
    warnings.warn(msg, ResourceWarning, stacklevel=2, source=client)
