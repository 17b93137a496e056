"""Pacing: awaited event verbs give the event loop its turns back.

A task that only tracks, or a thousand of them, would otherwise fill the queues within one turn of the loop, while the
tasks that send get no time at all. So all awaited verbs of a client share a number of *credits*. A verb takes one; if
none is left, it waits in line for a later turn. Each turn hands out new credits, to those in line first:

    queue filled to     credits per turn    a turn is
    below a quarter     128                 the next iteration of the loop
    below a half        64                  the next iteration
    below 3/4           16                  the next iteration
    above               8                   a millisecond later

This is not waiting for a vendor. No verb waits longer than `_MAX_WAIT`, and the queue of a destination counts only
while that destination makes progress (`Lane.pressure`): one that is down, or does not answer, slows no caller.

With a spool, each commit releases its callers some at a time, which paces them already: `renew` then gives them a full
turn, so that they meet again in the next commit.

Example: 100 tasks track in a loop. The first 128 events are admitted at once; then the tasks wait in line, and each
turn admits 128 more, then fewer as the queue fills, until as many are admitted as are delivered.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence

from asyncsdk._delivery.lane import Lane

# Credits of a turn below each filling of the fullest queue, and beyond.
_CREDITS = ((0.25, 128), (0.5, 64), (0.75, 16))
_LEAST_CREDITS = 8
# Length of a turn when the queue is nearly full, in seconds: time for the vendor to answer.
_SLOW_TURN = 0.001
# Maximum time that a verb waits in line, in seconds.
_MAX_WAIT = 0.05


class Pacer:
    """The credits of one client, and the line of those who wait for one. Belongs to the client's loop.

    Attributes:
        credits: How many more verbs may go on in this turn. The caller takes one, and calls `wait_turn` below zero.
    """

    def __init__(self, lanes: Sequence[Lane]) -> None:
        """Begin with a full turn.

        Args:
            lanes: Those whose queues count. One that makes verbs wait for room needs no pacing.
        """
        self._lanes = tuple(lanes)
        self.credits = _CREDITS[0][1]
        # When each began to wait, on the monotonic clock, and what wakes it.
        self._line: deque[tuple[float, asyncio.Future[None]]] = deque()
        self._is_scheduled = False

    def __repr__(self) -> str:
        return f"<Pacer: {self.credits} credits, {len(self._line)} waiting>"

    async def wait_turn(self) -> None:
        """Wait in line for a credit."""
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self._line.append((time.monotonic(), turn))
        if not self._is_scheduled:
            self._schedule(loop, 0.0)
        await turn

    def renew(self) -> None:
        """Begin a turn for callers that waited for something else than a credit; called once per iteration at most."""
        if not self._line:
            self.credits = _CREDITS[0][1]

    def _schedule(self, loop: asyncio.AbstractEventLoop, delay: float) -> None:
        self._is_scheduled = True
        if delay:
            loop.call_later(delay, self._begin_turn, loop)
        else:
            loop.call_soon(self._begin_turn, loop)

    def _begin_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hand out the credits of a turn, and schedule the next one if the line is not empty."""
        self._is_scheduled = False
        now, line = time.monotonic(), self._line
        credits_, delay = turn_of(max((lane.pressure(now) for lane in self._lanes), default=0.0))
        overdue = now - _MAX_WAIT
        while line and (credits_ > 0 or line[0][0] < overdue):
            _, turn = line.popleft()
            if not turn.done():  # else its task was cancelled
                turn.set_result(None)
                credits_ -= 1
        # Those in line go first: while there are any, a newcomer finds no credit and waits behind them.
        self.credits = 0 if line else max(0, credits_)
        if line:
            self._schedule(loop, delay)


def turn_of(pressure: float) -> tuple[int, float]:
    """Return the credits of a turn and its length in seconds (0.0: one iteration) for a filling of 0.0 to 1.0."""
    for bound, credits_ in _CREDITS:
        if pressure < bound:
            return credits_, 0.0
    return _LEAST_CREDITS, _SLOW_TURN
