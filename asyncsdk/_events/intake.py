"""The intake: how a client admits events, awaited or not, on its loop or in another thread.

Admission prepares and commits (`admission.py`); this decides in which order, and who waits for what.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

from asyncsdk._events.admission import Admission
from asyncsdk._events.pacing import Pacer
from asyncsdk._lifecycle import Lifecycle
from asyncsdk._model.engines import DatabaseConnection
from asyncsdk._model.events import Event
from asyncsdk._model.receipts import Receipt
from asyncsdk.errors import ConfigurationError

_NO_OUTBOX = "`connection` needs a client with engine=Postgres(dsn): only that writes events in a transaction of yours"

if TYPE_CHECKING:
    from asyncsdk._delivery.spool.spooler import Spooler


class Intake:
    """The calls that every event of a client passes through."""

    _life: Lifecycle
    _admission: Admission
    _pacer: Pacer
    _spooler: "Spooler | None"
    # Waits until an engine has an event; None without an engine.
    _until_accepted: Callable[[Receipt], Awaitable[None]] | None
    # Writes an event in a transaction of the caller's; None without an engine that can.
    _write: Callable[[object, Receipt], Awaitable[Receipt]] | None

    def put_nowait(self, event: Event) -> Receipt:
        """Admit an event without waiting: for callbacks, sync code and other threads.

        In another thread the event is validated and encoded there, and enqueued on the client's loop. A full queue then
        drops it, whatever its `overflow` is.

        Args:
            event: `Track(...)`, `Page(...)` and the like.

        Returns:
            The receipt of the event.

        Raises:
            InvalidEventError: No vendor could take it, or an async middleware waits for something.
            QueueFullError: A destination with `overflow="raise"` or `"wait"` is full; or the loop is blocked, and
                10,000 events from other threads wait for it.
            ClientClosedError: The client was not started, or is closed.
            ForkedProcessError: It was started in the parent of this process.
        """
        if self._life.takes_here():
            return self._admit(self._admission.prepare(event))
        self._life.check_admission()
        receipt = self._admission.prepare(event)
        self._life.call_soon(partial(self._admit_from_thread, receipt))
        return receipt

    async def _take(self, event: Event, connection: DatabaseConnection | None = None) -> Receipt:
        """Admit an event, and wait for room, for the disk, or for the engine.

        Args:
            event: The event.
            connection: Write it in the transaction of this connection instead. None: the event is not part of one.
        """
        if connection is not None:
            return await self._take_in(connection, event)
        life, admission = self._life, self._admission
        if not life.takes_here():
            life.check_caller()
        pacer = self._pacer
        pacer.credits -= 1
        if pacer.credits < 0:
            await pacer.wait_turn()
            life.check_admission()
        if admission.pipeline.may_suspend:
            receipt = await admission.prepare_async(event)
            life.check_admission()
        else:
            receipt = admission.prepare(event)
        if admission.may_wait:
            if self._spooler is not None:
                return await self._spooler.put(receipt)
            if admission.find_full_lane(receipt) is not None:
                await admission.wait_for_room(receipt)
                life.check_admission()
            # There is room at those that wait; only one that raises is asked again.
            self._admit(receipt, drops=not admission.may_raise)
            if self._until_accepted is not None:
                await self._until_accepted(receipt)
            return receipt
        return self._admit(receipt)

    async def _take_in(self, connection: DatabaseConnection, event: Event) -> Receipt:
        """Write an event in a transaction of the caller's.

        Raises:
            ConfigurationError: The client has no engine that can.
            TransactionError: The connection cannot.
        """
        life, admission = self._life, self._admission
        if not life.takes_here():
            life.check_caller()
        if self._write is None:
            raise ConfigurationError(_NO_OUTBOX)
        if admission.pipeline.may_suspend:
            receipt = await admission.prepare_async(event)
            life.check_admission()
        else:
            receipt = admission.prepare(event)
        return await self._write(connection, receipt)

    def _admit(self, receipt: Receipt, *, drops: bool = False) -> Receipt:
        """Commit a prepared event on the loop: to the spool, else to every lane or, if one refuses, to none.

        Args:
            receipt: The prepared event.
            drops: Let a full destination drop it whatever its `overflow` is: no caller is there to catch an exception.

        Raises:
            QueueFullError: A destination that does not drop is full.
        """
        if self._spooler is not None:
            return self._spooler.put_nowait(receipt)
        if self._admission.may_refuse and not drops:
            self._admission.check_room(receipt)
        return self._admission.commit(receipt)

    def _admit_from_thread(self, receipt: Receipt) -> None:
        if self._life.state == "closed":
            self._admission.drop(receipt, "closed")
        else:
            self._admit(receipt, drops=True)
