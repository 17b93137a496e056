"""What a flush waits for, and what listeners receive."""

import asyncio

from asyncsdk._delivery.ledger import Ledger
from asyncsdk._model.receipts import Record
from asyncsdk.vendors._base import Limits


def record(key: str) -> Record:
    return Record(key, key, b"{", 0.0)


async def test_a_flush_waits_for_events_held_before_it_only() -> None:
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


async def test_a_flush_waits_for_bundled_exposures() -> None:
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


def test_bundled_exposures_are_reported_each() -> None:
    ledger, reported = Ledger("vendor", Limits()), []
    ledger.on_settled = (lambda delivery, number: reported.append((delivery.status, number)),)
    exposures, event = Record("", "", b"{", 0.0, exposures=3), record("event")
    ledger.hold_exposures([exposures])
    ledger.hold(event)

    ledger.settle([exposures, event], "delivered", 200)

    assert reported == [("delivered", 4)]
    report = ledger.report()
    assert report.exposures is not None
    assert (report.delivered, report.exposures.delivered) == (1, 3)
