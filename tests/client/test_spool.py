"""A client with a spool: what is accepted is on disk, and gets from there to every vendor it is owed to."""

import asyncio
import logging
import shutil
import threading
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from helpers import ADA, amplitude, quick, rudderstack, statsig

from asyncsdk import (
    Client,
    ClientClosedError,
    ConfigurationError,
    Delivery,
    Destination,
    QueueFullError,
    Receipt,
    Rules,
    Statsig,
    Track,
    User,
)
from asyncsdk._model.receipts import Record
from asyncsdk._model.spooling import SpoolError
from asyncsdk.dev import DevServer, Fault
from asyncsdk.stores import SqliteSpool


@asynccontextmanager
async def client(folder: Path, *destinations: Destination, **settings: Any) -> AsyncIterator[Client]:
    spool = settings.pop("spool", SqliteSpool(folder / "spool", keep_free=0))
    async with Client(*destinations, spool=spool, **settings) as client:
        yield client


def names(server: DevServer, vendor: str) -> list[str]:
    return [event.name for event in server.accepted(vendor)]


def databases(folder: Path) -> list[Path]:
    return sorted((folder / "spool").glob("*.db"))


async def left_behind(folder: Path, server: DevServer, *events: str) -> None:
    """Let a client close while its vendor is down."""
    server.fault(None, Fault(503))
    async with client(folder, rudderstack(server), amplitude(server)) as one:
        for name in events:
            await one.track(ADA, name)
        report = await one.aclose(timeout=0.1)
    server.clear_faults()
    assert {counts.spooled for counts in report.destinations.values()} == {len(events)}


async def test_events_arrive_in_order_and_leave_nothing_behind(tmp_path: Path, server: DevServer) -> None:
    async with client(tmp_path, rudderstack(server), amplitude(server)) as one:
        for number in range(20):
            await one.track(ADA, str(number))
        report = await one.aclose()

    assert names(server, "rudderstack") == names(server, "amplitude") == [str(n) for n in range(20)]
    assert [(c.accepted, c.delivered) for c in report.destinations.values()] == [(20, 20)] * 2
    assert list((tmp_path / "spool").iterdir()) == []


async def test_an_awaited_event_is_on_disk(tmp_path: Path, server: DevServer) -> None:
    server.fault(None, Fault(end="hang"))
    async with client(tmp_path, amplitude(server)) as one:
        await one.track(ADA, "Bought")

        files = [path.read_bytes() for path in (tmp_path / "spool").iterdir()]
        assert any(b'"event_type":"Bought"' in data for data in files)
        await one.aclose(timeout=0)


async def test_events_that_are_taken_over_are_logged_and_counted(
    tmp_path: Path, server: DevServer, caplog: pytest.LogCaptureFixture
) -> None:
    await left_behind(tmp_path, server, "a", "b")
    caplog.set_level(logging.INFO, "asyncsdk")
    async with client(tmp_path, rudderstack(server), amplitude(server)) as two:
        await server.received("amplitude", 2)
        report = await two.aclose()

    said = [record.getMessage() for record in caplog.records if record.name == "asyncsdk.spool"]
    assert said == ["spool: adopted events of an ended process: RudderStack 2, Amplitude 2"]
    assert report.destinations["Amplitude"].accepted == 2


async def test_what_a_client_leaves_the_next_one_delivers_under_the_same_ids(tmp_path: Path, server: DevServer) -> None:
    await left_behind(tmp_path, server, "a", "b")
    async with client(tmp_path, rudderstack(server), amplitude(server)) as two:
        await two.track(ADA, "c")
        await server.received("rudderstack", 3)
        report = await two.aclose()

    assert names(server, "rudderstack") == names(server, "amplitude") == ["a", "b", "c"]
    sent = [event for event in server.events if event.vendor == "rudderstack" and event.name == "a"]
    assert len({event.body["messageId"] for event in sent}) == 1
    assert report.destinations["Amplitude"].accepted == report.destinations["Amplitude"].delivered == 3
    assert databases(tmp_path) == []


async def test_a_client_delivers_what_it_finds_without_an_event_of_its_own(tmp_path: Path, server: DevServer) -> None:
    await left_behind(tmp_path, server, "a")
    async with client(tmp_path, rudderstack(server), amplitude(server)):
        await server.received("rudderstack", 1)
        await server.received("amplitude", 1)


async def test_events_for_one_vendor_wait_for_a_client_that_has_it(tmp_path: Path, server: DevServer) -> None:
    await left_behind(tmp_path, server, "a")
    async with client(tmp_path, rudderstack(server)):
        await server.received("rudderstack", 1)
    async with client(tmp_path, amplitude(server)):
        await server.received("amplitude", 1)

    assert databases(tmp_path) == []


async def test_what_was_meant_for_a_vendor_never_goes_to_a_dev_server(
    tmp_path: Path, server: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await left_behind(tmp_path, server, "a")
    async with DevServer() as other:
        monkeypatch.setenv("ASYNCSDK_DEV_SERVER", other.url)
        async with client(tmp_path, amplitude(server)) as two:
            await two.track(ADA, "b")
            await other.received("amplitude", 1)

        assert names(other, "amplitude") == ["b"]


async def test_more_events_than_memory_holds_all_arrive_in_order(tmp_path: Path, server: DevServer) -> None:
    server.fault(None, Fault(503))
    small = quick(max_queued_events=10, max_events=4)
    async with client(tmp_path, amplitude(server, small)) as one:
        receipts = [await one.track(ADA, str(number)) for number in range(100)]
        assert one.health().destinations["Amplitude"].queued_events <= 10
        spool = one.health().spool
        assert spool is not None
        assert spool.waiting >= 90
        server.clear_faults()
        report = await one.flush()

        assert names(server, "amplitude") == [str(n) for n in range(100)]
        assert report.complete
        assert {(await receipt)["Amplitude"].status for receipt in receipts} == {"delivered"}


async def test_receipts_that_are_thrown_away_cost_no_event(tmp_path: Path, server: DevServer) -> None:
    server.script(None, 503, 503)
    async with client(tmp_path, amplitude(server, quick(max_queued_events=5))) as one:
        await asyncio.gather(*(one.track(f"user-{n}", str(n)) for n in range(300)))
        report = await one.flush()

    assert report.destinations["Amplitude"].delivered == 300
    assert sorted(names(server, "amplitude"), key=int) == [str(n) for n in range(300)]


async def test_closing_counts_what_is_on_disk(tmp_path: Path, server: DevServer) -> None:
    server.fault(None, Fault(503))
    async with client(tmp_path, amplitude(server, quick(max_queued_events=5))) as one:
        receipts = [await one.track(ADA, str(number)) for number in range(40)]
        one.put_nowait(Track(ADA, "last"))
        report = await one.aclose(timeout=0)

    counts = report.destinations["Amplitude"]
    assert (counts.accepted, counts.spooled, counts.abandoned, counts.pending) == (41, 41, 0, 0)
    assert counts.lost == 0
    assert {(await receipt)["Amplitude"].status for receipt in receipts} == {"spooled"}


async def test_nothing_retryable_is_dropped_for_its_age_in_memory(tmp_path: Path, server: DevServer) -> None:
    server.script(None, *[503] * 8)
    async with client(tmp_path, amplitude(server, quick(deadline=0.02))) as one:
        deliveries = await (await one.track(ADA, "a"))

    assert deliveries["Amplitude"].status == "delivered"
    assert deliveries["Amplitude"].attempts == 9


async def test_what_is_too_old_becomes_a_dead_letter(tmp_path: Path, server: DevServer) -> None:
    server.fault(None, Fault(503))
    spool = SqliteSpool(tmp_path / "spool", keep_free=0, max_age=0.05)
    async with client(tmp_path, amplitude(server), spool=spool) as one:
        deliveries = await (await one.track(ADA, "a"))
        assert (deliveries["Amplitude"].status, deliveries["Amplitude"].reason) == ("dropped", "deadline")
    health = one.health().spool

    assert health is not None
    assert health.dead_letters == 1
    assert len(databases(tmp_path)) == 1


async def test_what_a_vendor_refuses_becomes_a_dead_letter(tmp_path: Path, server: DevServer) -> None:
    server.script("rudderstack", 400)
    async with client(tmp_path, rudderstack(server)) as one:
        deliveries = await (await one.track(ADA, "a"))
        assert deliveries["RudderStack"].status == "rejected"
    health = one.health().spool

    assert health is not None
    assert health.dead_letters == 1


async def test_put_nowait_is_on_disk_soon(tmp_path: Path, server: DevServer) -> None:
    async with client(tmp_path, amplitude(server)) as one:
        receipt = one.put_nowait(Track(ADA, "a"))
        await asyncio.to_thread(one.put_nowait, Track(ADA, "b"))
        report = await one.flush()

        assert (await receipt)["Amplitude"].status == "delivered"
    assert report.destinations["Amplitude"].delivered == 2


async def test_an_event_for_nobody_waits_for_nothing(tmp_path: Path, server: DevServer) -> None:
    async with client(tmp_path, amplitude(server)) as one:
        receipt = await one.track(ADA, "a", integrations={"All": False})

    assert (await receipt)["Amplitude"].status == "skipped"
    assert not (tmp_path / "spool").exists()


async def test_a_caller_that_is_cancelled_leaves_the_event_and_the_others_alone(
    tmp_path: Path, server: DevServer
) -> None:
    async with client(tmp_path, amplitude(server)) as one:
        tasks = [asyncio.create_task(one.track(ADA, str(n))) for n in range(10)]
        await asyncio.sleep(0)
        tasks[3].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        report = await one.flush()

    assert [isinstance(result, Receipt) for result in results] == [n != 3 for n in range(10)]
    counts = report.destinations["Amplitude"]
    assert counts.accepted == counts.delivered == 10


# --- Statsig ------------------------------------------------------------------------------------------------------


async def test_callers_that_wait_together_leave_the_loop_to_others_in_between(
    tmp_path: Path, server: DevServer
) -> None:
    turn, turns = 0, Counter[int]()

    async def count() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    async def track(one: Client, number: int) -> None:
        await one.track(ADA, str(number))
        turns[turn] += 1

    async with client(tmp_path, amplitude(server)) as one:
        counting = asyncio.create_task(count())
        await asyncio.gather(*(track(one, number) for number in range(1000)))
        counting.cancel()

    assert max(turns.values()) <= 100


async def test_statsig_events_carry_their_ids(tmp_path: Path, server: DevServer) -> None:
    async with client(tmp_path, statsig(server)) as one:
        receipt = await one.log_event(ADA, "a")
        [event] = await server.received("statsig")

    assert event.body["metadata"]["asyncsdk_event_id"] == receipt.event_id


async def test_exposures_go_through_the_spool_in_few_commits(tmp_path: Path) -> None:
    rules = {"feature_gates": {"gate": {"enabled": True, "defaultValue": True, "rules": []}}}
    async with DevServer(ruleset=rules) as server:
        source = Statsig(
            "secret-key",
            rules=Rules(specs_url=f"{server.url}/v2/download_config_specs"),
            log_event_url=server.url,
            limits=quick(),
        )
        async with client(tmp_path, source) as one:
            for number in range(500):
                assert await one.check_gate(User(f"user-{number}"), "gate")
            server.fault("statsig", Fault(503))
            report = await one.aclose(timeout=0.3)
        exposures = report.destinations["Statsig"].exposures
        assert exposures is not None
        assert exposures.accepted == exposures.delivered + exposures.spooled == 500
        server.clear_faults()
        async with client(tmp_path, source):
            await server.received("statsig", 500)

    assert databases(tmp_path) == []


async def test_an_exposure_of_a_client_that_gives_up_is_on_disk(tmp_path: Path) -> None:
    rules = {"feature_gates": {"gate": {"enabled": True, "defaultValue": True, "rules": []}}}
    async with DevServer(ruleset=rules) as server:
        source = Statsig("secret-key", rules=Rules(specs_url=f"{server.url}/v2/download_config_specs"), log_event_url=server.url)  # fmt: skip
        one = Client(source, spool=SqliteSpool(tmp_path / "spool", keep_free=0))
        await one.start()
        (task,) = [task for task in asyncio.all_tasks() if task.get_name() == "asyncsdk"]
        await one.check_gate(ADA, "gate")
        with pytest.warns(ResourceWarning):
            task.cancel()
            await asyncio.wait([task])
            await asyncio.sleep(0)
        assert (await one.aclose()).destinations["Statsig"].exposures.spooled == 1  # type: ignore[union-attr] # it is there
        async with client(tmp_path, source):
            await server.received("statsig", 1)


async def test_nobody_waits_for_ever_for_a_client_that_was_cancelled(tmp_path: Path, server: DevServer) -> None:
    one = Client(amplitude(server), spool=SqliteSpool(tmp_path / "spool", keep_free=0))
    await one.start()
    await one.track(ADA, "a")
    (task,) = [task for task in asyncio.all_tasks() if task.get_name() == "asyncsdk"]
    with pytest.warns(ResourceWarning):
        task.cancel()
        async with asyncio.timeout(5):
            with pytest.raises(ClientClosedError):
                while True:
                    await one.track(ADA, "a")
            await asyncio.wait([task])
            await asyncio.sleep(0)
    counts = (await one.aclose()).destinations["Amplitude"]
    assert counts.accepted == counts.delivered + counts.spooled > 0
    assert counts.pending == 0


# --- full, and failing --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["drop_newest", "reject"])
async def test_a_full_spool_refuses(tmp_path: Path, server: DevServer, policy: Any) -> None:
    spool = SqliteSpool(tmp_path / "spool", keep_free=10**18, when_full=policy)
    async with client(tmp_path, amplitude(server), spool=spool) as one:
        if policy == "reject":
            with pytest.raises(QueueFullError, match="spool is full"):
                await one.track(ADA, "a")
        else:
            assert (await (await one.track(ADA, "a")))["Amplitude"].reason == "spool full"
        health = one.health()

    assert health.spool is not None
    assert health.spool.state == "full"
    assert health.destinations["Amplitude"].counts.dropped == {"spool full": 1}


async def test_a_spool_that_drops_the_oldest_counts_them(tmp_path: Path, server: DevServer) -> None:
    server.fault(None, Fault(503))
    spool = SqliteSpool(tmp_path / "spool", keep_free=0, when_full="drop_oldest", max_bytes=1_000_000)
    async with client(tmp_path, amplitude(server, quick(max_queued_events=5)), spool=spool) as one:
        deliveries = []
        one._lanes[0].ledger.on_settled += (lambda delivery, count: deliveries.append((delivery.reason, count)),)
        receipts = [await one.track(ADA, str(number), {"text": "x" * 20_000}) for number in range(150)]
        server.clear_faults()
        report = await one.flush(timeout=10)
        reasons = [(await receipt)["Amplitude"].reason for receipt in receipts]

    counts = report.destinations["Amplitude"]
    assert counts.dropped["spool full"] > 50
    assert counts.delivered + counts.dropped["spool full"] == counts.accepted == 150
    assert reasons.count("spool full") == deliveries.count(("spool full", 1)) == counts.dropped["spool full"]
    assert names(server, "amplitude") == sorted(names(server, "amplitude"), key=int)


async def test_a_spool_that_cannot_be_written_is_loud_and_stops_nobody(
    tmp_path: Path, server: DevServer, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "spool").write_text("a file where the folder should be")
    async with client(tmp_path, amplitude(server, quick(max_queued_events=5))) as one:
        for number in range(3):
            await one.track(ADA, str(number))
        health = one.health().spool
        report = await one.flush()

    assert health is not None
    assert (health.state, health.last_error) == ("degraded", "File exists")
    assert report.destinations["Amplitude"].delivered == 3
    assert [r.levelname for r in caplog.records if "write failed" in r.getMessage()] == ["ERROR"]


async def test_a_spool_that_can_be_written_again_is_used_again(
    tmp_path: Path, server: DevServer, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "spool").write_text("a file where the folder should be")
    async with client(tmp_path, amplitude(server)) as one:
        await one.track(ADA, "a")
        (tmp_path / "spool").unlink()
        assert one._spooler is not None
        one._spooler._retry_at = 0.0
        await one.track(ADA, "b")
        health = one.health().spool

        assert health is not None
        assert health.state == "ok"
    assert "spool: recovered" in caplog.text
    assert names(server, "amplitude") == ["a", "b"]


async def test_a_folder_that_somebody_deletes_is_missed_and_made_again(
    tmp_path: Path, server: DevServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.fault(None, Fault(503))
    async with client(tmp_path, amplitude(server, quick(max_queued_events=4))) as one:
        for name in "abcdef":
            await one.track(ADA, name)
        shutil.rmtree(tmp_path / "spool")
        await one.track(ADA, "g")
        missed = one.health().spool
        assert one._spooler is not None
        one._spooler._retry_at = 0.0
        await one.track(ADA, "h")
        again = one.health().spool
        files = databases(tmp_path)
        server.clear_faults()
        await one.flush()

    assert missed is not None
    assert again is not None
    assert (missed.state, missed.last_error, again.state) == ("degraded", "its file was deleted", "ok")
    assert [r.levelname for r in caplog.records if "its file was deleted" in r.getMessage()] == ["ERROR"]
    assert len(files) == 1
    assert names(server, "amplitude") == list("abcdefgh")


async def test_what_was_in_a_deleted_folder_is_on_disk_again_at_the_end(tmp_path: Path, server: DevServer) -> None:
    server.fault(None, Fault(503))
    async with client(tmp_path, amplitude(server, quick(max_queued_events=2))) as one:
        for number in range(6):
            await one.track(ADA, str(number))
        shutil.rmtree(tmp_path / "spool")
        report = await one.aclose(timeout=0)
    server.clear_faults()
    async with client(tmp_path, amplitude(server)):
        await server.received("amplitude", 6)

    assert report.destinations["Amplitude"].spooled == 6
    assert names(server, "amplitude") == [str(number) for number in range(6)]


async def test_what_only_memory_holds_overtakes_nothing_on_disk(
    tmp_path: Path, server: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.fault(None, Fault(503))
    async with client(tmp_path, amplitude(server, quick(max_queued_events=20))) as one:
        for number in range(25):
            await one.track(ADA, str(number))
        assert one._spooler is not None
        one._spooler._retry_at = float("inf")
        for number in range(25, 45):
            await one.track(ADA, str(number))
        server.clear_faults()
        report = await one.flush()
        counts = report.destinations["Amplitude"]

        assert names(server, "amplitude") == [str(n) for n in range(counts.delivered)]
        assert (counts.delivered, counts.dropped) == (40, {"queue full": 5})


async def test_what_only_memory_holds_is_abandoned_at_the_end(tmp_path: Path, server: DevServer) -> None:
    server.fault(None, Fault(503))
    async with client(tmp_path, amplitude(server, quick(max_queued_events=10))) as one:
        for number in range(15):
            await one.track(ADA, str(number))
        assert one._spooler is not None
        one._spooler._retry_at = float("inf")
        await one.track(ADA, "15")
        await one.track(ADA, "16")
        closing = asyncio.create_task(one.aclose(timeout=0))
        await asyncio.sleep(0)
        one.put_nowait(Track(ADA, "17"))
        report = await closing
    counts = report.destinations["Amplitude"]

    assert (counts.accepted, counts.spooled, counts.abandoned, counts.pending) == (18, 15, 3, 0)


async def test_events_that_do_not_wait_are_dropped_when_too_many_gather(
    tmp_path: Path, server: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asyncsdk._delivery.spool.spooler._MAX_BYTES", 1000)
    async with client(tmp_path, amplitude(server)) as one:
        receipts = [one.put_nowait(Track(ADA, str(number))) for number in range(100)]
        assert one._spooler is not None
        assert one._spooler._offer_exposures(0, [Record("", "", b"{", 0.0, exposures=1)]) is False
        await one.flush()
        deliveries = [(await receipt)["Amplitude"] for receipt in receipts]

    assert {delivery.reason for delivery in deliveries} == {"", "queue full"}


async def test_a_refused_exposure_is_counted(tmp_path: Path, server: DevServer) -> None:
    spool = SqliteSpool(tmp_path / "spool", keep_free=10**18)
    async with client(tmp_path, statsig(server), spool=spool) as one:
        lane = one._lanes[0]
        assert one._spooler is not None
        one._spooler.exposure_intake(lane)([Record("", "", b"{", 0.0, exposures=1)])
        await one.flush()
        exposures = lane.ledger.report().exposures

    assert exposures is not None
    assert exposures.dropped == {"spool full": 1}


class Unreadable:
    """A spool that can be written, but not be read for a while."""

    def __init__(self, spool: SqliteSpool) -> None:
        self.rejects, self.max_age = spool.rejects, spool.max_age
        self.may_have_events, self._files = spool.may_have_events, spool.open()
        self.commit, self.tidy, self.close = self._files.commit, self._files.tidy, self._files.close
        self.is_well = False

    def open(self) -> "Unreadable":
        return self

    def read(self, *where: Any) -> Any:
        if not self.is_well:
            raise SpoolError("no")
        return self._files.read(*where)

    def adopt(self, labels: Any) -> Any:
        if not self.is_well:
            raise SpoolError("no")
        return self._files.adopt(labels)


async def test_a_spool_that_cannot_be_read_is_tried_again(tmp_path: Path, server: DevServer) -> None:
    await left_behind(tmp_path, server, "before")
    server.fault(None, Fault(503))
    spool = Unreadable(SqliteSpool(tmp_path / "spool", keep_free=0))
    async with client(tmp_path, amplitude(server, quick(max_queued_events=2)), spool=spool) as one:
        receipts = [await one.track(ADA, str(number)) for number in range(6)]
        server.clear_faults()
        await receipts[0]
        await asyncio.sleep(0.05)
        spool.is_well = True
        assert one._spooler is not None
        one._spooler.scan()
        await asyncio.gather(*receipts)
        await server.received("amplitude", 7)


async def begin_a_commit_that_is_held(one: Client) -> threading.Event:
    """Track an event whose commit waits for what is returned."""
    let_go = threading.Event()
    assert one._spooler is not None
    commit = one._spooler._files.commit
    one._spooler._files.commit = lambda *what: let_go.wait(5) and commit(*what)  # type: ignore[method-assign]
    one.put_nowait(Track(ADA, "a"))
    await asyncio.sleep(0)
    return let_go


async def test_closing_waits_for_the_commit_that_is_under_way(tmp_path: Path, server: DevServer) -> None:
    server.fault(None, Fault(503))
    async with client(tmp_path, amplitude(server)) as one:
        let_go = await begin_a_commit_that_is_held(one)
        asyncio.get_running_loop().call_later(0.05, let_go.set)
        report = await one.aclose(timeout=0)

    assert report.destinations["Amplitude"].spooled == 1


async def test_closing_a_cancelled_client_before_its_last_commit_is_done_is_not_complete(
    tmp_path: Path, server: DevServer
) -> None:
    async with client(tmp_path, amplitude(server)) as one:
        let_go = await begin_a_commit_that_is_held(one)
        one._life.cancel()
        while one._life.state != "closed":
            await asyncio.sleep(0)
        early = await one.aclose()
        let_go.set()

    assert not early.complete


async def test_what_is_damaged_on_disk_is_counted_as_lost(tmp_path: Path, server: DevServer) -> None:
    server.fault(None, Fault(503))
    async with client(tmp_path, amplitude(server, quick(max_queued_events=2))) as one:
        for number in range(6):
            await one.track(ADA, str(number))
        assert one._spooler is not None
        one._spooler._files.read = lambda *where: ()  # type: ignore[method-assign]
        server.clear_faults()
        report = await one.flush()

    counts = report.destinations["Amplitude"]
    assert counts.dropped == {"spool damaged": 6 - counts.delivered}


# --- threads and settings -----------------------------------------------------------------------------------------


async def test_the_thread_starts_with_the_first_event_and_ends_with_the_client(
    tmp_path: Path, server: DevServer
) -> None:
    before = threading.active_count()
    async with client(tmp_path, amplitude(server)) as one:
        assert threading.active_count() == before
        await one.track(ADA, "a")
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


def test_a_loop_that_was_closed_leaves_the_events_to_the_next(tmp_path: Path) -> None:
    async def begin() -> None:
        async with DevServer() as server:
            server.fault(None, Fault(503))
            one = Client(amplitude(server), spool=tmp_path / "spool")
            await one.start()
            await one.track(ADA, "a")
            clients.append(one)

    async def end() -> None:
        async with DevServer() as server, Client(amplitude(server), spool=tmp_path / "spool"):
            await server.received("amplitude", 1)

    clients: list[Client] = []
    with pytest.warns(ResourceWarning):
        asyncio.run(begin())
    asyncio.run(end())


async def test_flushing_at_the_end_gives_up_when_it_is_hopeless(tmp_path: Path, server: DevServer) -> None:
    server.fault(None, Fault(429, retry_after=60))
    async with client(tmp_path, amplitude(server, quick(max_queued_events=3))) as one:
        for number in range(10):
            await one.track(ADA, str(number))
        await server.requested("amplitude")
        report = await one.aclose(timeout=10)

    assert report.seconds < 5
    assert report.destinations["Amplitude"].spooled == 10


@pytest.mark.parametrize("spool", ["", 7, SqliteSpool])
def test_what_is_no_spool_is_refused(spool: Any) -> None:
    with pytest.raises(ConfigurationError, match="spool"):
        Client(spool=spool)


async def test_deliveries_are_told_by_id(tmp_path: Path, server: DevServer) -> None:
    told: list[tuple[str, Delivery]] = []
    async with client(tmp_path, amplitude(server), on_delivery=lambda *delivery: told.append(delivery)) as one:
        receipt = await one.track(ADA, "a")
        await receipt

    assert [(event_id, delivery.status) for event_id, delivery in told] == [(receipt.event_id, "delivered")]


async def test_an_event_that_may_have_arrived_is_not_sent_to_statsig_again_if_told_so(
    tmp_path: Path, server: DevServer
) -> None:
    server.script("statsig", Fault.lost_reply())
    async with client(tmp_path, statsig(server, on_lost_reply="drop")) as one:
        lost = await (await one.log_event(ADA, "a"))
        deliveries = await (await one.log_event(ADA, "b"))

    assert (lost["Statsig"].status, deliveries["Statsig"].status) == ("rejected", "delivered")
    assert names(server, "statsig") == ["a", "b"]
