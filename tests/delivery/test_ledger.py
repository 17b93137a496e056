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
    flush = asyncio.create_task(ledger.wait_settled(lambda: False))
    await asyncio.sleep(0)

    ledger.hold(later)
    ledger.hold(last)
    ledger.settle([later], "delivered", 200)
    await asyncio.sleep(0)
    assert not flush.done()

    ledger.settle([before], "delivered", 200)
    await flush
    assert last.delivery is None


async def test_a_flush_waits_for_exposures_that_travel_as_one() -> None:
    ledger = Ledger("vendor", Limits())
    exposures, event = Record("", "", b"{", 0.0, exposures=3), record("event")
    ledger.hold_exposures([exposures])
    ledger.hold(event)
    flush = asyncio.create_task(ledger.wait_settled(lambda: False))
    await asyncio.sleep(0)

    ledger.settle([exposures], "delivered", 200)
    await asyncio.sleep(0)
    assert (flush.done(), ledger.held_events) == (False, 1)

    ledger.settle([event], "delivered", 200)
    async with asyncio.timeout(5):
        await flush


def test_exposures_that_travel_as_one_are_told_of_each() -> None:
    ledger, told = Ledger("vendor", Limits()), []
    ledger.on_settled = (lambda delivery, number: told.append((delivery.status, number)),)
    exposures, event = Record("", "", b"{", 0.0, exposures=3), record("event")
    ledger.hold_exposures([exposures])
    ledger.hold(event)

    ledger.settle([exposures, event], "delivered", 200)

    assert told == [("delivered", 4)]
    report = ledger.report()
    assert report.exposures is not None
    assert (report.delivered, report.exposures.delivered) == (1, 3)
