"""Waiting for the engine: an awaited verb of a client with an engine returns when the engine has its event.

While the engine is unavailable no verb waits: its event is in memory, as without an engine, and `health()` says so.
"""

import asyncio
from collections.abc import Sequence

from asyncsdk._delivery.fleet.engine_lane import EngineLane
from asyncsdk._model.receipts import Receipt, Record


class Acceptance:
    """The verbs that wait for an engine."""

    def __init__(self, lanes: Sequence[EngineLane]) -> None:
        """Watch `lanes`, the client's, in order."""
        self._lanes = tuple(lanes)
        self._waiting: set[asyncio.Future[None]] = set()
        for lane in self._lanes:
            lane.on_unavailable = self._release

    async def wait(self, receipt: Receipt) -> None:
        """Wait until the engine has an event for every destination that it is meant for, or is unavailable."""
        remaining = [
            outcome
            for lane, outcome in zip(self._lanes, receipt.outcomes, strict=True)
            if isinstance(outcome, Record) and outcome.delivery is None and lane.is_available
        ]
        if not remaining:
            return
        number, done = len(remaining), asyncio.get_running_loop().create_future()

        def count_down() -> None:
            nonlocal number
            number -= 1
            if not number and not done.done():
                done.set_result(None)

        for record in remaining:
            record.watchers += (count_down,)
        self._waiting.add(done)
        try:
            await done
        finally:
            self._waiting.discard(done)

    def _release(self) -> None:
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
