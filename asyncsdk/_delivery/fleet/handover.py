"""A client's side of its engine: the lanes that hand events over, and the state of the engine."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from asyncsdk._delivery.fleet.acceptance import Acceptance
from asyncsdk._delivery.fleet.engine_lane import EngineLane
from asyncsdk._delivery.fleet.engine_status import EngineStatus
from asyncsdk._delivery.fleet.outbox import Outbox
from asyncsdk._lifecycle import Job
from asyncsdk._model.engines import Engine, EngineError
from asyncsdk._model.receipts import Receipt
from asyncsdk._model.reports import EngineHealth
from asyncsdk._retry import waits
from asyncsdk.vendors._base import Destination, Request, Response

# Bounds of the backoff between two attempts to check the engine, in seconds.
_RETRY_INITIAL, _RETRY_MAX = 1.0, 60.0
_OUTLOOK = "events are kept here until it recovers"


class Handover:
    """Hands events over to an engine.

    Attributes:
        lanes: One per destination, in order.
        write: Writes an event in a transaction of the caller's; None if the engine cannot.
    """

    def __init__(self, engine: Engine, destinations: Sequence[Destination]) -> None:
        """Prepare; nothing is connected before the client starts."""
        self._engine = engine
        self._status = EngineStatus(_OUTLOOK)
        self.lanes = [EngineLane(destination, engine, self._status) for destination in destinations]
        self._acceptance = Acceptance(self.lanes)
        put_in = getattr(engine, "put_in", None)
        self.write: Callable[[object, Receipt], Awaitable[Receipt]] | None = (
            None if put_in is None else Outbox(put_in, self.lanes).write
        )

    def set_label_suffix(self, suffix: str) -> None:
        """Append a suffix to the names under which the engine keeps events."""
        for lane in self.lanes:
            lane.label = lane.destination.name + suffix

    def jobs(self) -> list[tuple[str, Job]]:
        """Return the names and jobs of all lanes, and of the engine."""
        todo: list[tuple[str, Job]] = [(lane.destination.name, partial(lane.run, _NoSender())) for lane in self.lanes]
        return [*todo, ("engine", self._check)]

    async def until_accepted(self, receipt: Receipt) -> None:
        """Wait until the engine has an event, or is unavailable."""
        await self._acceptance.wait(receipt)

    async def _check(self) -> None:
        """Check the engine's settings as soon as it answers."""
        await open_engine(self._engine, self._status)
        await asyncio.Event().wait()  # a job that returned would be started again

    async def aclose(self) -> None:
        """Close the engine's connections."""
        await self._engine.aclose()

    def health(self) -> EngineHealth:
        """Return the state of the engine."""
        return self._status.health()


async def open_engine(engine: Engine, status: EngineStatus) -> None:
    """Connect to an engine and record what is wrong with its settings; try again until it answers."""
    pauses = waits(_RETRY_INITIAL, _RETRY_MAX)
    while True:
        try:
            warnings = await engine.open()
        except EngineError as error:
            status.record_error(error)
            await asyncio.sleep(next(pauses))
        else:
            status.record_success()
            status.record_warnings(warnings)
            return


class _NoSender:
    """A lane to an engine sends no requests."""

    async def send(self, request: Request, *, uncompressed: bool = False) -> Response:
        raise NotImplementedError
