"""Reports each exposure once for a whole fleet: asks the engine which ones another process has reported already.

Only exposures that this process would report get here, a few milliseconds after their lookup, and many at a time. They
wait for the engine, and no lookup does. The engine is asked for at most `_TIMEOUT`; whenever it does not answer, or too
many are waiting, exposures are reported as without it: a duplicate is better than a gap.

An exposure that was claimed and then not reported, because the queue was full, is released. If the process is killed in
between, no other process reports it in this window.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from asyncsdk._failures import FailureStreak
from asyncsdk._model.exposures import Exposure
from asyncsdk._model.fleet import SharedExposures
from asyncsdk._model.users import User
from asyncsdk._rules.compiler.evaluate import INVALID_USER, Evaluation
from asyncsdk._rules.exposure_window import AUTOMATIC, ExposureKind, exposure_digest
from asyncsdk._rules.ruleset import Ruleset

Prebuilt = tuple[Exposure, ExposureKind]
"""The event parts and the kind of an exposure of a layer's parameter, or of a manual one."""
PendingExposure = tuple[Ruleset, User, Evaluation, float, Prebuilt | None]
"""The rules, the user, the evaluation that the user saw, when (seconds since 1970), and what `report` was given."""

# Maximum time to wait for the engine, and how long it is then not asked, in seconds.
_TIMEOUT, _PAUSE = 0.25, 1.0
# Maximum time to connect at the start, in seconds.
_CONNECT_TIMEOUT = 1.0
# Exposures in one question, and the maximum that waits for answers.
_MAX_BATCH, _MAX_WAITING = 500, 10_000


class ExposureFilter:
    """The exposures that wait for the engine's answer.

    Attributes:
        streak: Failures of the engine.
    """

    def __init__(
        self, shared: SharedExposures, project: str, report: Callable[[Sequence[PendingExposure], int], None]
    ) -> None:
        """Start without a task: exposures are reported at once until `run` runs.

        Args:
            shared: Where the fleet records what it has reported.
            project: Separates the exposures of one project from those of others.
            report: Reports exposures; called on the loop, with the number of those that another process has reported.
        """
        self.streak = FailureStreak("shared exposures")
        self._shared, self._salt, self._report = shared, project.encode(), report
        self._waiting: list[PendingExposure] = []
        self._asked: list[PendingExposure] = []
        self._to_release: list[bytes] = []
        self._arrived, self._idle = asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._is_running = False
        self._paused_until = 0.0

    @property
    def waiting(self) -> int:
        """Number of exposures that wait for an answer."""
        return len(self._waiting) + len(self._asked)

    def put(self, exposures: Sequence[PendingExposure]) -> None:
        """Report the exposures that are new to the fleet, once the engine has answered."""
        if not self._is_running or self.waiting + len(exposures) > _MAX_WAITING:
            self._report(exposures, 0)
            return
        self._waiting += exposures
        self._idle.clear()
        self._arrived.set()

    def release(self, exposure: PendingExposure) -> None:
        """Let another process report an exposure that this one could not."""
        if self._is_running and len(self._to_release) < _MAX_WAITING:
            self._to_release.append(self._digest(exposure))
            self._arrived.set()

    async def flush(self) -> None:
        """Wait until all exposures that were put so far are reported."""
        await self._idle.wait()

    async def run(self) -> None:
        """Ask the engine, until cancelled; then report what waits."""
        self._is_running = True
        try:
            # To connect takes longer than an answer.
            await self._call(self._shared.claim, (), _CONNECT_TIMEOUT)
            while True:
                await self._arrived.wait()
                self._arrived.clear()
                while self._waiting:
                    self._asked, self._waiting = self._waiting[:_MAX_BATCH], self._waiting[_MAX_BATCH:]
                    new = await self._new_ones(self._asked)
                    asked, self._asked = self._asked, []
                    self._report(new, len(asked) - len(new))
                if self._to_release:
                    released, self._to_release = self._to_release, []
                    await self._call(self._shared.release, released)
                if not self._waiting:
                    self._idle.set()
        finally:
            self._is_running = False
            left, self._asked, self._waiting = self._asked + self._waiting, [], []
            self._idle.set()
            if left:
                self._report(left, 0)

    async def _new_ones(self, exposures: Sequence[PendingExposure]) -> list[PendingExposure]:
        """Return the exposures that no process has reported in this window; all of them without an answer."""
        digests = [self._digest(exposure) for exposure in exposures]
        # A window of this process may have ended between two of the same exposure.
        distinct = list(dict.fromkeys(digests))
        answer = await self._call(self._shared.claim, distinct)
        if answer is None or len(answer) != len(distinct):
            return list(exposures)
        new = {digest for digest, is_new in zip(distinct, answer, strict=True) if is_new}
        found = []
        for digest, exposure in zip(digests, exposures, strict=True):
            if digest in new or exposure[2].outcome == INVALID_USER:
                new.discard(digest)
                found.append(exposure)
        return found

    async def _call(
        self,
        method: Callable[[Sequence[bytes]], Awaitable[Sequence[bool] | None]],
        digests: Sequence[bytes],
        timeout: float = _TIMEOUT,
    ) -> Sequence[bool] | None:
        """Call the engine; return None if it does not answer."""
        now = time.monotonic()
        if now < self._paused_until:
            return None
        try:
            async with asyncio.timeout(timeout):
                answer = await method(digests)
        except Exception as error:  # noqa: BLE001 -- an engine of the user may raise anything
            self._paused_until = now + _PAUSE
            reason = "timeout" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
            self.streak.record_failure(reason, "reporting exposures without it")
            return None
        self.streak.record_success()
        return answer or ()

    def _digest(self, exposure: PendingExposure) -> bytes:
        _, user, evaluation, _, prebuilt = exposure
        return exposure_digest(self._salt, user, evaluation, AUTOMATIC if prebuilt is None else prebuilt[1])
