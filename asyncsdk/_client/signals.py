"""Draining on SIGTERM."""

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
