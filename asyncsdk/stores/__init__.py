"""Where things are kept: the last good rules, sticky assignments, and events that must outlive the process."""

from asyncsdk.stores._base import AssignmentStore, RulesCache
from asyncsdk.stores.file import FileAssignments, FileCache
from asyncsdk.stores.memory import MemoryAssignments, MemoryCache
from asyncsdk.stores.sqlite import SqliteSpool

__all__ = [
    "AssignmentStore",
    "FileAssignments",
    "FileCache",
    "MemoryAssignments",
    "MemoryCache",
    "RulesCache",
    "SqliteSpool",
]
