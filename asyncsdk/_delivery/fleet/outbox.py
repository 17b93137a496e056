"""The transactional outbox: an event written in a transaction of the caller's, which exists if that commits.

It takes neither the lanes' queues nor the spool: the caller waits for its own database, and a rollback undoes the
event. What is written is `enqueued`, with a reason that says that the caller's transaction decides; no driver tells
this client how it ended.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from asyncsdk._delivery.fleet.engine_lane import EngineLane
from asyncsdk._delivery.fleet.entries import pack_entries
from asyncsdk._model.receipts import Delivery, Receipt, Record

PutIn = Callable[[Any, Sequence[tuple[str, bytes]]], Awaitable[None]]

_WITH_TRANSACTION = "with the caller's transaction"


class Outbox:
    """Writes events in transactions of the caller's."""

    def __init__(self, put_in: PutIn, lanes: Sequence[EngineLane]) -> None:
        """Write with an engine's `put_in`, under the labels of `lanes`, the client's, in order."""
        self._put_in = put_in
        self._lanes = tuple(lanes)

    async def write(self, connection: object, receipt: Receipt) -> Receipt:
        """Write a prepared event, and count it once it is written. A call that raises, or is cancelled, counts nothing.

        Args:
            connection: The caller's.
            receipt: The prepared event.

        Returns:
            The receipt, in which the event is `enqueued`.

        Raises:
            TransactionError: The connection is of the wrong kind, or has no transaction.
        """
        now_ms, entries = int(time.time() * 1000), list[tuple[str, bytes]]()
        pairs = list(zip(self._lanes, receipt.outcomes, strict=True))
        for lane, outcome in pairs:
            if isinstance(outcome, Record):
                for label, records in lane.by_shard([outcome]):
                    entries += [(label, entry) for entry in pack_entries(label, records, now_ms)]
        await self._put_in(connection, entries)
        for lane, outcome in pairs:
            if isinstance(outcome, Record):
                delivery = Delivery(lane.destination.name, "enqueued", reason=_WITH_TRANSACTION)
                outcome.settle(delivery)
            else:
                delivery = outcome
            lane.ledger.count_refused(receipt.event_id, delivery)
        return receipt
