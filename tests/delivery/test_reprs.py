"""What a debugger shows of each object with a state: one line, with counts."""

from collections import deque
from pathlib import Path

from helpers import ADA, rudderstack

from asyncsdk import Client, Limits, RudderStack, Track
from asyncsdk._delivery.circuit import Circuit
from asyncsdk._delivery.lane import Lane
from asyncsdk._delivery.ledger import Ledger
from asyncsdk._delivery.pending import Pending
from asyncsdk._delivery.spool.positions import SpooledRecord
from asyncsdk._delivery.spool.reader import SpoolReader
from asyncsdk._model.receipts import Record
from asyncsdk.dev import DevServer
from asyncsdk.stores import SqliteSpool


def record(key: str) -> Record:
    return Record(key, "", b"12345", 0.0)


def test_a_circuit_shows_its_state_and_limit() -> None:
    circuit = Circuit(Limits(max_in_flight=4))
    assert repr(circuit) == "<Circuit closed, limit 4, generation 0>"

    circuit.refused(circuit.begin_request(), 0.0)
    assert repr(circuit) == "<Circuit suspect, limit 4, generation 1>"


def test_pending_shows_ready_and_queued_records() -> None:
    pending = Pending(deque([record("a"), record("a"), record("b")]))
    batch = pending.next_batch(1, 1000)
    pending.next_batch(1, 1000)

    assert repr(batch) == "<InFlight 1 records in 1 parts, 1 keys>"
    assert repr(pending) == "<Pending 0 ready, 1 queued, 2 busy keys>"


def test_a_ledger_shows_what_it_holds() -> None:
    ledger = Ledger("Vendor", Limits(max_queued_events=10, max_queued_bytes=100))
    ledger.hold(record("a"))

    assert repr(ledger) == "<Ledger Vendor: 1/10 events, 5/100 bytes held, 0 waiting for room, epoch 0>"


def test_a_lane_shows_where_its_records_are() -> None:
    lane = Lane(RudderStack("key", "http://localhost"))
    lane.offer(record("a"))

    shown = repr(lane)
    assert shown.startswith("<Lane RudderStack: 1 held, 1 in the intake, 0 requests in flight, 0 to retry, <Circuit cl")


def test_a_reader_shows_its_backlog() -> None:
    reader = SpoolReader(Lane(RudderStack("key", "http://localhost")), lambda *_: None)
    reader.backlog.append_block(1, 1, [SpooledRecord("a", "", b"", 0.0)])

    backlog = "<Backlog 1 events of this process in 1 ranges>"
    assert repr(reader) == f"<SpoolReader RudderStack: {backlog}, 0 awaited by receipts>"


async def test_a_spooler_shows_its_commit(tmp_path: Path, server: DevServer) -> None:
    async with Client(rudderstack(server), spool=SqliteSpool(tmp_path / "spool", keep_free=0)) as client:
        spooler = client._spooler
        assert repr(spooler) == "<Spooler idle, open <CommitGroup 0 records, 0 waiters>, 0 events unsent, 1 lanes>"

        await client.track(ADA, "a")
        client.put_nowait(Track(ADA, "b"))
        assert "open <CommitGroup 1 records, 0 waiters>, 1 events unsent" in repr(spooler)
