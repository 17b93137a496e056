"""Stores: the last good ruleset, sticky assignments, and events that must outlive the process.

`RulesCache`, `AssignmentStore`, `Spool` and `SpoolFiles` are protocols; the other classes implement them.
"""

from asyncsdk.stores._base import AssignmentStore, ComparingStore, RulesCache, Spool, SpoolFiles
from asyncsdk.stores.file import FileAssignments, FileCache
from asyncsdk.stores.memory import MemoryAssignments, MemoryCache
from asyncsdk.stores.sqlite import SqliteSpool

__all__ = [
    "AssignmentStore",
    "ComparingStore",
    "FileAssignments",
    "FileCache",
    "MemoryAssignments",
    "MemoryCache",
    "RulesCache",
    "Spool",
    "SpoolFiles",
    "SqliteSpool",
]
