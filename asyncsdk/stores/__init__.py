"""Where things are kept: the last good rules, and sticky assignments."""

from asyncsdk.stores._base import AssignmentStore, RulesCache
from asyncsdk.stores.file import FileAssignments, FileCache
from asyncsdk.stores.memory import MemoryAssignments, MemoryCache

__all__ = ["AssignmentStore", "FileAssignments", "FileCache", "MemoryAssignments", "MemoryCache", "RulesCache"]
