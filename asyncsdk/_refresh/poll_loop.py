"""A loop that polls after each delay, or at once when a caller asks for it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import attrs


@attrs.define(eq=False, repr=False)
class PollLoop:
    """Polls until cancelled, and lets callers ask for a poll now and wait for its outcome.

    Invariant: a caller that asks while a poll is running waits for the next one, because the answer of the running one
    may be older than the change that the caller knows of. All callers that ask until then share it.
    """

    _waiting: list[asyncio.Future[bool]] = attrs.field(init=False, factory=list)
    _is_wanted: asyncio.Event = attrs.field(init=False, factory=asyncio.Event)

    async def run(self, poll: Callable[[], Awaitable[tuple[bool, float]]]) -> None:
        """Poll until cancelled. May be called again after a crash.

        Args:
            poll: Polls once; returns whether that succeeded, and the seconds until the next poll.
        """
        try:
            while True:
                self._is_wanted.clear()
                waiting, self._waiting = self._waiting, []
                succeeded = False
                try:
                    succeeded, delay = await poll()
                finally:
                    _answer(waiting, succeeded=succeeded)
                with suppress(TimeoutError):
                    async with asyncio.timeout(delay):
                        await self._is_wanted.wait()
        finally:
            _answer(self._waiting, succeeded=False)

    def wake(self) -> None:
        """Poll soon; a poll that is running is followed by another one."""
        self._is_wanted.set()

    async def poll_now(self) -> bool:
        """Poll at once; return whether that succeeded."""
        outcome: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(outcome)
        self._is_wanted.set()
        return await outcome


def _answer(waiting: list[asyncio.Future[bool]], *, succeeded: bool) -> None:
    for outcome in waiting:
        if not outcome.done():  # else the caller gave up
            outcome.set_result(succeeded)
