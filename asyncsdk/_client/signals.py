"""Draining on SIGTERM.

uvicorn runs its lifespan's shutdown only once all connections are closed, which may be never if a browser keeps a
stream open. So events are delivered at the signal itself, while there is time. The handler that was installed before
ours is called as well, never replaced. Without one (SIG_DFL), the process ends when the drain has finished.
"""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Awaitable, Callable
from types import FrameType

from asyncsdk._model.reports import Report

logger = logging.getLogger("asyncsdk")


class SignalDrain:
    """Calls `drain` on SIGTERM, and then the handler that was installed before."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, drain: Callable[[], Awaitable[Report]], unsent: Callable[[], int]
    ) -> None:
        """Chain onto the handler of SIGTERM. Does nothing off the main thread, where Python allows no handlers.

        Args:
            loop: The client's.
            drain: Delivers what is queued.
            unsent: Returns the number of pending events, for the log.
        """
        self._loop = loop
        self._pid = os.getpid()
        self._drain = drain
        self._unsent = unsent
        self._drained: asyncio.Task[None] | None = None
        self._installed = threading.current_thread() is threading.main_thread()
        if self._installed:
            self._before = signal.signal(signal.SIGTERM, self._handle)

    def remove(self) -> None:
        """Restore the earlier handler, unless ours has been replaced since."""
        if self._installed and signal.getsignal(signal.SIGTERM) == self._handle:
            signal.signal(signal.SIGTERM, self._before)
        self._installed = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        # A forked child inherits the handler, and a signal may outlive the loop: neither is for this client.
        if os.getpid() != self._pid or self._loop.is_closed():
            self.remove()
            signal.raise_signal(number)
            return
        self._loop.call_soon_threadsafe(self._begin)
        if callable(self._before):  # pragma: no branch -- SIG_DFL is shown in a process of its own
            self._before(number, frame)

    def _begin(self) -> None:
        if self._drained is not None and not self._drained.done():
            return  # hypercorn signals its workers twice
        self._drained = self._loop.create_task(self._run(), name="asyncsdk drain")
        if self._before is signal.SIG_DFL:  # pragma: no cover -- shown in a process of its own
            self._drained.add_done_callback(self._end_process)

    async def _run(self) -> None:
        """Drain, and log before and after: the sender of the signal may kill the process before the end."""
        unsent = self._unsent()
        level = logging.WARNING if unsent else logging.INFO
        logger.log(level, "SIGTERM: sending %d unsent events now", unsent)
        report = await self._drain()
        logger.log(level, "SIGTERM: flushed in %.2f s; %s", report.seconds, report)

    def _end_process(self, _: asyncio.Task[None]) -> None:  # pragma: no cover -- shown in a process of its own
        """Let the signal do what it would have done without us."""
        self.remove()
        signal.raise_signal(signal.SIGTERM)
