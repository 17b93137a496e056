"""A client's state, its one task, the event loop and process it belongs to, and calls from other threads.

The states, and the only moves between them. Everything that changes the state is in this file:

    new ──start──> running ──begin_drain──> draining
     │                │                        │
     └──close_intake──┴──────close_intake──────┴──> closed

    state      event verbs   lookups                            tasks
    new        raise         fallbacks, or the bootstrap         none
    running    admit         current rules                       running
    draining   admit         current rules                       running; lanes do not linger
    closed     raise         the last rules                      ending, or ended

Two rules hold in every state:

1. Only `_move` writes the state, and only along `_MOVES`. `closed` is final, and closing a closed client does nothing.
2. `_home`, the loop on which events are admitted without further checks, is set if and only if the state admits events,
   so that the hot path compares one attribute.
"""

import asyncio
import contextvars
import logging
import os
import time
import warnings
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import CoroutineType
from typing import Any, Literal
from weakref import WeakMethod

from asyncsdk._threads import is_being_cancelled, release_all_of
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

_MOVES: Mapping[State, frozenset[State]] = {
    "new": frozenset({"running", "closed"}),
    "running": frozenset({"draining", "closed"}),
    "draining": frozenset({"closed"}),
    "closed": frozenset(),
}
_ADMITTING = frozenset({"running", "draining"})
# Minimum pause before a crashed job is restarted, in seconds, so that one that fails at once does not spin.
_RESTART_PAUSE = 1.0
# Seconds until a timer that never comes due.
_FAR_AWAY = 1e9
_PACKAGE = str(Path(__file__).parent)
_LOOP_CLOSED = "the client's event loop is closed: create a client, start it and close it within one asyncio.run(...)"
# Maximum number of calls from other threads that wait for a blocked loop.
_MAX_CALLS = 10_000
# Calls from other threads are made in slices of this many, for at most this many seconds per turn of the loop.
_CALLS_PER_SLICE, _MAX_CALLING = 32, 0.002


class Lifecycle:
    """The state of a client, and the one task that owns all its other tasks.

    Attributes:
        state: `new`, `running`, `draining` or `closed`; see the table at the head of this file.
        crashes: How many times a job was restarted.
        loop: The event loop that the client was started on; None before.
        on_catch_up: Called on the loop when work that was put off must be done now.
    """

    def __init__(self) -> None:
        """Begin as new; needs no running loop."""
        self.state: State = "new"
        self.crashes = 0
        self.loop: asyncio.AbstractEventLoop | None = None
        self.on_catch_up: Callable[[], object] = lambda: None
        # The loop on which events are admitted; None in states that admit none.
        self._home: asyncio.AbstractEventLoop | None = None
        self._pid = 0
        self._calls: deque[Callable[[], object]] = deque()
        self._has_scheduled_calls = False
        # Ends what `start` or `start_idle` began.
        self._end: Callable[[], object]

    def __repr__(self) -> str:
        return f"<Lifecycle {self.state}: {self.crashes} crashes, {len(self._calls)} calls waiting>"

    # --- moves ------------------------------------------------------------------------------------------------

    def start(self, jobs: Jobs, ended: Callable[[], None], last: Job | None = None) -> None:
        """Move to `running`, and start the jobs on the running loop, each supervised.

        Args:
            jobs: Names and coroutine functions.
            ended: Called once all of them have ended.
            last: Run after the jobs have ended and before `ended` is called; it must end by itself.
        """
        loop = self._move_to_this_loop()
        # An empty context: the task must not keep alive what the request that happened to start it refers to.
        task = loop.create_task(self._run(jobs, last), name="asyncsdk", context=contextvars.Context())
        self._end = task.cancel
        # Only the loop refers to the timer: see `_LoopGuard`.
        timer = WeakMethod(loop.call_later(_FAR_AWAY, _LoopGuard(loop)).cancel)
        task.add_done_callback(lambda _: cancel() if (cancel := timer()) is not None else None)
        task.add_done_callback(lambda _: ended())

    def start_idle(self, ended: Callable[[], None]) -> None:
        """Move to `running` without jobs, tasks or timers; `cancel` then calls `ended` at once."""
        self._move_to_this_loop()
        self._end = ended

    def begin_drain(self) -> None:
        """Move to `draining`: events are still admitted, and delivered without lingering."""
        self._move("draining")

    def close_intake(self) -> None:
        """Move to `closed`: no event is admitted any more. Does nothing if the client is closed."""
        if self.state != "closed":
            self._move("closed")

    def cancel(self) -> None:
        """Ask the jobs to end. Only after `start`."""
        self._end()

    def _move_to_this_loop(self) -> asyncio.AbstractEventLoop:
        self.loop = asyncio.get_running_loop()
        self._pid = os.getpid()
        self._move("running")
        return self.loop

    def _move(self, state: State) -> None:
        if state not in _MOVES[self.state]:
            msg = f"a client cannot go from {self.state} to {state}"
            raise RuntimeError(msg)
        self.state = state
        self._home = self.loop if state in _ADMITTING else None

    # --- calls from other threads -----------------------------------------------------------------------------

    def call_soon(self, function: Callable[[], object]) -> None:
        """Call a function on the client's loop, after those passed earlier. Safe from any thread.

        Raises:
            QueueFullError: The loop is blocked, and 10,000 calls wait for it.
            ClientClosedError: The loop is closed.
        """
        if len(self._calls) >= _MAX_CALLS:
            msg = f"the event loop is held: {_MAX_CALLS:,} events of other threads wait for it"
            raise QueueFullError(msg)
        self._calls.append(function)
        if self._has_scheduled_calls or self.loop is None:
            return
        self._has_scheduled_calls = True
        try:
            self.loop.call_soon_threadsafe(self._make_calls)
        except RuntimeError:
            self._has_scheduled_calls = False
            self._calls.clear()
            raise ClientClosedError(_LOOP_CLOSED) from None

    def _make_calls(self) -> None:
        """Make waiting calls for a part of this turn of the loop, and the rest in later turns.

        Threads schedule this only while `_has_scheduled_calls` is not set. They append first and read the flag then;
        here the flag is cleared first and the queue read then: a call between the two is seen by one of the sides.
        """
        calls, until = self._calls, time.monotonic() + _MAX_CALLING
        try:
            while calls and time.monotonic() < until:
                for _ in range(min(_CALLS_PER_SLICE, len(calls))):
                    calls.popleft()()
        finally:
            self._has_scheduled_calls = False
            if calls:
                self._has_scheduled_calls = True
                asyncio.get_running_loop().call_soon(self._make_calls)

    def catch_up(self) -> None:
        """Make the calls that wait at this moment, and do all work that was put off. Only on the loop.

        Calls that other threads add meanwhile are not made: they could add them as fast as they are made.
        """
        for _ in range(len(self._calls)):
            self._calls.popleft()()
        self.on_catch_up()

    # --- who may call -----------------------------------------------------------------------------------------

    @property
    def takes_events(self) -> bool:
        """Whether events may be admitted: after `start`, and until `close_intake`."""
        return self.state in _ADMITTING

    def takes_here(self) -> bool:
        """Return whether the caller may enqueue events directly: it runs on the client's loop, which admits them.

        A forked child never does: it runs another loop.
        """
        try:
            return asyncio.get_running_loop() is self._home
        except RuntimeError:
            return False

    def check_caller(self) -> None:
        """Raise if an event verb cannot be awaited here.

        Raises:
            ClientClosedError: The client was not started, or is closed.
            ForkedProcessError: It was started in the parent of this process.
            WrongEventLoopError: It runs on another event loop.
        """
        self.check_admission()
        self.check_loop()

    def check_admission(self) -> None:
        """Raise if an event could not be delivered from this process now.

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
        """Raise if the caller runs on a loop that is not the client's.

        Raises:
            WrongEventLoopError: It does.
        """
        if not self.is_on_its_loop:
            msg = "the client was started on another event loop: one client belongs to one loop"
            if self.loop is not None and self.loop.is_closed():
                msg = _LOOP_CLOSED
            raise WrongEventLoopError(msg)

    @property
    def is_in_its_process(self) -> bool:
        """Whether this is the process that the client was started in."""
        return os.getpid() == self._pid

    @property
    def is_on_its_loop(self) -> bool:
        """Whether the caller runs on the loop that the client was started on."""
        return _running_loop() is self.loop

    # --- the task ---------------------------------------------------------------------------------------------

    async def _run(self, jobs: Jobs, last: Job | None) -> None:
        try:
            if not jobs:
                await asyncio.Event().wait()  # a client without destinations runs until it is closed, like any other
            async with asyncio.TaskGroup() as group:
                for name, job in jobs:
                    group.create_task(self._supervise(name, job), name=f"asyncsdk {name}")
        finally:
            if last is not None:
                await last()

    async def _supervise(self, name: str, job: Job) -> None:
        """Run a job until it is cancelled. A crash is logged and counted, and the job restarted."""
        while True:
            try:
                await job()
            except (Exception, asyncio.CancelledError) as error:
                if isinstance(error, asyncio.CancelledError) and is_being_cancelled():
                    raise
                if self.state == "closed" or (self.loop is not None and self.loop.is_closed()):
                    return  # it failed while it was being cancelled
                self.crashes += 1
                logger.exception("%s failed and is started again; please report this", name)
                await asyncio.sleep(_RESTART_PAUSE)


class _LoopGuard:
    """Ends the tasks of clients whose loop is closed under them, which would each complain in the log otherwise.

    It belongs to a timer of the loop, which never comes due: closing the loop deletes the timer, and so this.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def __call__(self) -> None:
        """Nothing to do."""

    def __del__(self) -> None:
        if not self._loop.is_closed():
            return
        release_all_of(self._loop)
        for task in asyncio.all_tasks(self._loop):
            coroutine = task.get_coro()
            if not isinstance(coroutine, CoroutineType):  # pragma: no cover -- another library's kind of task
                continue
            if coroutine.cr_code.co_filename.startswith(_PACKAGE):  # pragma: no branch -- tests have no other tasks
                task._log_destroy_pending = False  # type: ignore[attr-defined] # noqa: SLF001 -- as asyncio.gather does
                # It is suspended, and may await something on its way out, which has to wait in vain.
                with suppress(BaseException):
                    coroutine.close()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def warn_forgotten(client: object, unsent: int) -> None:
    """Warn of a client that was never closed.

    Args:
        client: The client.
        unsent: How many events are lost with it.
    """
    lost = {0: "", 1: ", 1 unsent event is lost"}.get(unsent, f", {unsent} unsent events are lost")
    msg = f"a Client was not closed{lost}: use `async with` or `await client.aclose()`"
    warnings.warn(msg, ResourceWarning, stacklevel=2, source=client)
