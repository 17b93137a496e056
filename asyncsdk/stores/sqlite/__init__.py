"""A spool in SQLite files: `SqliteSpool`. Its settings load no SQLite; `files` does, when a client starts."""

from asyncsdk.stores.sqlite.settings import SqliteSpool, WhenFull

__all__ = ["SqliteSpool", "WhenFull"]
