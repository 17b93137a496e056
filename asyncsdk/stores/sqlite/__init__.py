"""A spool in SQLite files: `SqliteSpool`.

From the outside in: `settings` (what the user sets), `files` (the spool's operations: commit, read, adopt),
`open_files` (the files by number), `open_file` (one database, its lock and pending acknowledgements), `database` (SQL,
with `schema`) and `file_lock` (ownership). Beside them are `disk_space` with `quota`, `quarantine`, and `rows`.
"""

from asyncsdk.stores.sqlite.settings import SqliteSpool, WhenFull

__all__ = ["SqliteSpool", "WhenFull"]
