"""Send lines with a client, a bounded number at a time, and record what was final, in order."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import attrs
import orjson

from asyncsdk import AsyncSDKError, Client, Receipt
from asyncsdk.cli.send.records import Line, RecordError, build
from asyncsdk.cli.send.state import State

_MAX_PENDING = 2_000
_SAVE_INTERVAL = 1.0
_FINE = ("delivered", "enqueued", "skipped")


@attrs.define(eq=False)
class Sender:
    """Sends the lines of one file.

    Attributes:
        client: The client.
        state: How far the file was sent; updated.
        rejects: Where the lines go that were not delivered everywhere.
        state_path: The file of the state; None keeps none.
        rate: Maximum number of events per second; 0 for no limit.
        advance: Called with the number of further lines that are final.
        last_problem: Why the last line that was not delivered was not.
    """

    client: Client
    state: State
    rejects: BinaryIO
    state_path: Path | None
    rate: float
    advance: Callable[[int], None]
    last_problem: str = attrs.field(init=False, default="")
    _pending: deque[tuple[Line, Receipt | None, str]] = attrs.field(init=False, factory=deque)
    _saved_at: float = attrs.field(init=False, default=0.0)

    async def send(self, lines: Iterator[Line]) -> None:
        """Send the lines after the state's; when cancelled, the state has what was final."""
        try:
            due = time.monotonic()
            for line in lines:
                if line.number <= self.state.line:
                    continue
                if self.rate:
                    due = max(due, time.monotonic() - 1) + 1 / self.rate
                    await asyncio.sleep(due - time.monotonic())
                self._pending.append(await self._admit(line))
                while len(self._pending) >= _MAX_PENDING or (self._pending and self._is_final()):
                    await self._settle()
            while self._pending:
                await self._settle()
            self.state.is_done = True
        finally:
            self._save()

    async def _admit(self, line: Line) -> tuple[Line, Receipt | None, str]:
        if line.fields is None:
            return line, None, line.problem
        try:
            call = build(line.fields, self.state.source, line.number, datetime.now(UTC))
            # A verb waits for room in the queue; `put_nowait` would drop the event.
            receipt: Receipt = await getattr(self.client, call.verb)(*call.arguments, **call.options)
        except (RecordError, AsyncSDKError, TypeError) as error:
            return line, None, str(error)
        return line, receipt, ""

    def _is_final(self) -> bool:
        _, receipt, _ = self._pending[0]
        return receipt is None or None not in receipt.deliveries.values()

    async def _settle(self) -> None:
        """Wait until the outcome of the oldest line is final, and record it."""
        line, receipt, problem = self._pending[0]
        outcomes = {} if receipt is None else await receipt
        failures = [
            f"{name}: {one.status} {one.reason}".rstrip() for name, one in outcomes.items() if one.status not in _FINE
        ]
        self._pending.popleft()
        if problem or failures:
            self.state.rejected += 1
            reason = self.last_problem = problem or "; ".join(failures)
            record = orjson.dumps({"line": line.number, "reason": reason, "event": line.fields or line.text})
            self.state.rejects_bytes += self.rejects.write(record + b"\n")
        else:
            self.state.delivered += 1
        self.state.line = line.number
        self.advance(1)
        if time.monotonic() - self._saved_at >= _SAVE_INTERVAL:
            self._save()

    def _save(self) -> None:
        # The rejects first: the state says how many bytes of them are valid.
        self.rejects.flush()
        if self.state_path is not None:
            self.state.write(self.state_path)
        self._saved_at = time.monotonic()
