"""Keep events, receipts, edits of rules and overrides in a file (SQLite), so that a restarted server still has them.

The server's memory stays what is shown: the file is read once, at the start, and what is new is written twice a second,
in a thread. Events that the memory has forgotten are deleted from the file too, so it is bounded likewise.
"""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import attrs
import orjson

from asyncsdk.dev.control.bench import Bench
from asyncsdk.dev.control.calls import CallError
from asyncsdk.dev.control.snapshots import pack_event, unpack_event
from asyncsdk.dev.received_event import Json
from asyncsdk.dev.rulebook import Rulebook
from asyncsdk.dev.ruleset_edits import Override
from asyncsdk.errors import ConfigurationError

_INTERVAL = 0.5
_APPLICATION = 0x61736476  # "asdv"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY, event BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS receipts (id TEXT PRIMARY KEY, receipt BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS rules (id INTEGER PRIMARY KEY CHECK (id = 1), rules BLOB NOT NULL);
"""
_COMMAND_LINE = "command line"


@attrs.frozen
class _News:
    """What is new since the last time.

    Attributes:
        events: New events by number.
        receipts: New receipts by event id.
        oldest: Number of the oldest event that is kept.
        rules: Edits and overrides; None if they are as they were.
    """

    events: Sequence[tuple[int, bytes]]
    receipts: Sequence[tuple[str, bytes]]
    oldest: int
    rules: Json


class KeepFile:
    """The file of one server.

    Args:
        path: The file, which is created if there is none.
        bench: What the server has received.
        book: Its rules.

    Raises:
        ConfigurationError: The file cannot be opened, or another program wrote it.
    """

    def __init__(self, path: Path, bench: Bench, book: Rulebook) -> None:
        self._path, self._bench, self._book = path, bench, book
        self._saved_seq, self._saved_told, self._is_first = 0, 0, True
        try:
            self._restore()
        except (sqlite3.Error, OSError, ValueError, TypeError, KeyError, CallError) as error:
            msg = f"events cannot be kept in {path}: {error}"
            raise ConfigurationError(msg) from error
        self._saved_rules = self._rules()
        bench.kept_words = (
            f"in {path}, at most {bench.history.keep:,} events with their receipts, "
            "edits of rules, and overrides; not raw requests and faults"
        )
        bench.keep_file = str(path)

    async def run(self) -> None:
        """Save what is new, until cancelled; then save the rest."""
        try:
            while True:
                await asyncio.sleep(_INTERVAL)
                await asyncio.to_thread(self._write, self._news())
        finally:
            self._write(self._news())

    def _rules(self) -> tuple[Json, Json, Json]:
        """Return what edits and overrides are made of. Each change replaces one of these objects."""
        return self._book.original, self._book.working, self._book.overrides

    def _news(self) -> _News:
        history = self._bench.history
        events = [(event.seq, orjson.dumps(pack_event(event))) for event in history.events_after(self._saved_seq)]
        told = [receipt["id"] for number, receipt in self._bench.told if number > self._saved_told]
        receipts = [(event_id, orjson.dumps(self._bench.receipts.get(event_id))) for event_id in told]
        self._saved_seq, self._saved_told = history.last_seq, self._bench.last_told
        rules, before = self._rules(), self._saved_rules
        self._saved_rules = rules
        is_new = any(one is not other for one, other in zip(rules, before, strict=True))
        oldest = history.events.oldest()
        oldest_seq = history.last_seq + 1 if oldest is None else oldest.seq
        return _News(events, receipts, oldest_seq, rules if is_new else None)

    def _write(self, news: _News) -> None:
        with closing(sqlite3.connect(self._path)) as database, database:
            if self._is_first:  # events count from 1 again
                database.execute("DELETE FROM events")
            database.executemany("INSERT OR REPLACE INTO events VALUES (?, ?)", news.events)
            database.executemany("INSERT OR REPLACE INTO receipts VALUES (?, ?)", news.receipts)
            database.execute("DELETE FROM events WHERE seq < ?", (news.oldest,))
            if news.rules is not None:
                database.execute("INSERT OR REPLACE INTO rules VALUES (1, ?)", (_pack_rules(*news.rules),))
        self._is_first = False

    def _restore(self) -> None:
        """Read the file.

        Raises:
            Exception: It is not one of these, or is broken; it is left as it is.
        """
        with closing(sqlite3.connect(self._path)) as database, database:
            (application,) = database.execute("PRAGMA application_id").fetchone()
            (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if tables and application != _APPLICATION:
                msg = "another program wrote it"
                raise OSError(msg)
            database.execute(f"PRAGMA application_id = {_APPLICATION}")
            database.executescript(_SCHEMA)
            for (event,) in database.execute("SELECT event FROM events ORDER BY seq"):
                self._bench.history.record_local(unpack_event(orjson.loads(event)))
            for event_id, receipt in database.execute("SELECT id, receipt FROM receipts"):
                self._bench.receipts.put(event_id, orjson.loads(receipt))
            for (rules,) in database.execute("SELECT rules FROM rules"):
                kept = orjson.loads(rules)
                self._book.restore(kept["original"], kept["working"], [Override(**one) for one in kept["overrides"]])


def _pack_rules(original: Json, working: Json, overrides: Sequence[Override]) -> bytes:
    edits = {"original": original, "working": working} if working != original else {"original": {}, "working": {}}
    # Those of the command line are given again, or not.
    kept = [attrs.asdict(one) for one in overrides if one.by != _COMMAND_LINE]
    return orjson.dumps({**edits, "overrides": kept})
