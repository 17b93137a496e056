"""The tables of a spool file, and the settings of its connection.

`block` has a row for each block of undelivered records. `progress` has a row for each block that is partly settled: a
bit per record, with a checksum. `dead` has the dead letters. A block whose records are all settled is deleted from both
of the first two.
"""

VERSION = 1
# "asdk": marks a database as written by a spool of asyncsdk.
APPLICATION_ID = 0x6173646B
PAGE_BYTES = 16_384
# At 500 pages (8 MB) in the WAL, SQLite checkpoints inside a commit, while callers wait for it. The background
# checkpoints much earlier, so this happens only if it cannot keep up.
_CHECKPOINT_PAGES, _WAL_BYTES = 500, 8 * 1024 * 1024

_SYNC = (
    "PRAGMA synchronous=FULL",
    "PRAGMA fullfsync=1",  # macOS: a plain fsync leaves data in the drive's cache
)
# Of a new file, before its first page is written.
LAYOUT = (f"PRAGMA page_size={PAGE_BYTES}", "PRAGMA auto_vacuum=INCREMENTAL", *_SYNC)
SETTINGS = (
    "PRAGMA journal_mode=WAL",
    *_SYNC,
    f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}",
    f"PRAGMA journal_size_limit={_WAL_BYTES}",
    "PRAGMA trusted_schema=OFF",
    "PRAGMA secure_delete=OFF",  # some distributions compile it in; it would write each block twice more, as zeros
    "PRAGMA temp_store=MEMORY",
)
_TABLES = (
    "CREATE TABLE block (id INTEGER PRIMARY KEY, destination TEXT NOT NULL, events INTEGER NOT NULL, body BLOB)",
    "CREATE TABLE progress (block INTEGER PRIMARY KEY, done BLOB)",
    "CREATE TABLE dead (id INTEGER PRIMARY KEY, destination TEXT, events INTEGER, status TEXT, reason TEXT, body BLOB)",
)
TABLES = frozenset(_TABLES)
SCHEMA = (*_TABLES, f"PRAGMA application_id={APPLICATION_ID}", f"PRAGMA user_version={VERSION}")
