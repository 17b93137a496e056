"""Keep events and receipts in a file (SQLite), so that a restarted server still has them.

The server's memory stays what is shown: the file is read once, at the start, and what is new is appended twice a
second, in a thread. Events that the memory has forgotten are deleted from the file too, so it is bounded likewise.
"""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import orjson

from asyncsdk.dev.control.bench import Bench
from asyncsdk.dev.control.snapshots import pack_event, unpack_event
from asyncsdk.errors import ConfigurationError

_INTERVAL = 0.5
_APPLICATION = 0x61736476  # "asdv"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY, event BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS receipts (id TEXT PRIMARY KEY, receipt BLOB NOT NULL);
"""


class KeepFile:
    """The file of one server.

    Args:
        path: The file, which is created if there is none.
        bench: What the server has received.

    Raises:
        ConfigurationError: The file cannot be opened, or another program wrote it.
    """

    def __init__(self, path: Path, bench: Bench) -> None:
        self._path, self._bench = path, bench
        self._saved_seq, self._saved_told = 0, 0
        try:
            events, receipts = self._read()
        except (sqlite3.Error, OSError) as error:
            msg = f"events cannot be kept in {path}: {error}"
            raise ConfigurationError(msg) from error
        for event in events:
            bench.history.record_local(unpack_event(orjson.loads(event)))
        for event_id, receipt in receipts:
            bench.receipts.put(event_id, orjson.loads(receipt))
        bench.kept_words = f"in {path}, at most {bench.history.keep:,} events"
        bench.keep_file = str(path)

    async def run(self) -> None:
        """Save what is new, until cancelled; then save the rest."""
        try:
            while True:
                await asyncio.sleep(_INTERVAL)
                await asyncio.to_thread(self._write, *self._news())
        finally:
            self._write(*self._news())

    def _news(self) -> tuple[Sequence[tuple[int, bytes]], Sequence[tuple[str, bytes]], int]:
        """Return new events and receipts, and the number of the oldest event that is kept."""
        history = self._bench.history
        events = [(event.seq, orjson.dumps(pack_event(event))) for event in history.events_after(self._saved_seq)]
        told = [receipt["id"] for number, receipt in self._bench.told if number > self._saved_told]
        receipts = [(event_id, orjson.dumps(self._bench.receipts.get(event_id))) for event_id in told]
        self._saved_seq, self._saved_told = history.last_seq, self._bench.last_told
        oldest = history.events.oldest()
        return events, receipts, history.last_seq + 1 if oldest is None else oldest.seq

    def _write(self, events: Sequence[tuple[int, bytes]], receipts: Sequence[tuple[str, bytes]], oldest: int) -> None:
        with closing(sqlite3.connect(self._path)) as database, database:
            database.executemany("INSERT OR REPLACE INTO events VALUES (?, ?)", events)
            database.executemany("INSERT OR REPLACE INTO receipts VALUES (?, ?)", receipts)
            database.execute("DELETE FROM events WHERE seq < ?", (oldest,))

    def _read(self) -> tuple[list[bytes], list[tuple[str, bytes]]]:
        """Return what the file has, and prepare it for this server, whose events count from 1 again."""
        with closing(sqlite3.connect(self._path)) as database, database:
            (application,) = database.execute("PRAGMA application_id").fetchone()
            (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if tables and application != _APPLICATION:
                msg = "another program wrote it"
                raise OSError(msg)
            database.execute(f"PRAGMA application_id = {_APPLICATION}")
            database.executescript(_SCHEMA)
            events = [event for (event,) in database.execute("SELECT event FROM events ORDER BY seq")]
            receipts = database.execute("SELECT id, receipt FROM receipts").fetchall()
            database.execute("DELETE FROM events")
        return events, receipts
