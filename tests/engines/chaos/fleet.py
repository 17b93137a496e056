"""Relay processes, of which some are killed and replaced.

They are forked from one process that has imported everything: a fleet that is killed all the time would otherwise be
busy with imports.
"""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter, deque
from contextlib import suppress
from pathlib import Path
from typing import IO

from engines.servers import ends_with_us

PATH = os.pathsep.join([str(Path(__file__).parents[2]), str(Path(__file__).parents[3])])


class Fleet:
    """Relays that run, and how those that do not have ended.

    Attributes:
        exits: Exit codes of relays that got SIGTERM.
        crashes: Exit codes of relays that ended on their own.
    """

    def __init__(self, *flags: str, lease: float = 1.0, log: IO[bytes] | int | None = None) -> None:
        """Prepare.

        Args:
            *flags: Flags of `relay_process.py`.
            lease: The relays' lease, in seconds.
            log: Where the relays log; None: to the standard error.
        """
        self.exits: Counter[int] = Counter()
        self.crashes: Counter[int] = Counter()
        command = [sys.executable, "-m", "engines.relay_process", "--forks", *flags, "relay", "engines.shop:client"]
        self._command = ends_with_us(command, "SIGTERM")
        self._command += ["--lease", str(lease), "--close-timeout", "1", "--log-level", "warning"]
        self._log = log
        self._parent: Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._starting: deque[asyncio.Future[None]] = deque()
        self._running: list[int] = []
        # What was sent to those that should end.
        self._ending: dict[int, signal.Signals] = {}
        self._all_ended = asyncio.Event()

    async def grow(self, relays: int = 1) -> None:
        """Start relays."""
        if self._parent is None:
            environment = {**os.environ, "PYTHONPATH": PATH}
            self._parent = await asyncio.create_subprocess_exec(
                *self._command, env=environment, stdin=PIPE, stdout=PIPE, stderr=self._log
            )
            self._reading = asyncio.create_task(self._read(self._parent))
        assert self._parent.stdin is not None
        for _ in range(relays):
            started = asyncio.get_running_loop().create_future()
            self._starting.append(started)
            self._parent.stdin.write(b".")
            await started

    async def _read(self, parent: Process) -> None:
        assert parent.stdout is not None
        async for line in parent.stdout:
            what, pid, *code = line.split()
            if what == b"started":
                self._running.append(int(pid))
                self._starting.popleft().set_result(None)
            else:
                self._record_end(int(pid), int(code[0]))

    def _record_end(self, pid: int, code: int) -> None:
        sent = self._ending.pop(pid, None)
        if sent is None:
            self._running.remove(pid)
            self.crashes[code] += 1
        elif sent == signal.SIGTERM:
            self.exits[code] += 1
        if not self._ending:
            self._all_ended.set()

    def _end(self, number: int, by: signal.Signals) -> None:
        pid = self._running.pop(number)
        self._ending[pid] = by
        self._all_ended.clear()
        os.kill(pid, by)

    async def strike(self, which: float, *, kill: bool) -> None:
        """Kill a relay, or send it SIGTERM, and start another one in its place."""
        if self._running:  # pragma: no branch -- unless all of them crashed
            self._end(int(which * len(self._running)), signal.SIGKILL if kill else signal.SIGTERM)
        await self.grow()

    async def shrink(self) -> int:
        """End all relays in order, and return their number."""
        relays = len(self._running)
        while self._running:
            self._end(0, signal.SIGTERM)
        if self._ending:
            with suppress(TimeoutError):
                async with asyncio.timeout(30.0):
                    await self._all_ended.wait()
        for pid in self._ending:
            os.kill(pid, signal.SIGKILL)
            self.crashes[-9] += 1  # it did not end
        return relays

    async def stop(self) -> None:
        """End everything."""
        if self._parent is None or self._reading is None:
            return
        await self.shrink()
        assert self._parent.stdin is not None
        self._parent.stdin.close()
        await self._parent.wait()
        await self._reading
