"""The protocols of stores and spools, for the modules beside this one.

A store is one module here, with one class for each protocol that it satisfies. The contract test in `tests/stores`
finds it without being told.
"""

from asyncsdk._model.spooling import SpoolFiles
from asyncsdk._model.stores import AssignmentStore, ComparingStore, RulesCache, Spool

__all__ = ["AssignmentStore", "ComparingStore", "RulesCache", "Spool", "SpoolFiles"]
