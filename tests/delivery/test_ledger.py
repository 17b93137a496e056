"""Whom a flush waits for."""

import asyncio

from asyncsdk._delivery.ledger import Ledger
from asyncsdk._model.receipts import Record
from asyncsdk.vendors._base import Limits


def record(key: str) -> Record:
    return Record(key, key, b"{", 0.0)


async def test_a_flush_waits_for_what_was_there_and_for_nothing_that_came_later() -> None:
    ledger = Ledger("vendor", Limits())
    before, later, last = record("before"), record("later"), record("last")
    ledger.hold(before)
    flush = asyncio.create_task(ledger.settled(lambda: False))
    await asyncio.sleep(0)

    ledger.hold(later)
    ledger.hold(last)
    ledger.settle([later], "delivered", 200)
    await asyncio.sleep(0)
    assert not flush.done()

    ledger.settle([before], "delivered", 200)
    await flush
    assert last.fate is None
