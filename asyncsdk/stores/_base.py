"""The seam to a store: one narrow Protocol per thing that is kept.

A store is one file beside this one, with one class per Protocol that it satisfies. It may raise whatever it likes:
whoever uses it counts that, logs it once and goes on without it. The contract test in `tests/stores` picks every store
up by itself.
"""

from asyncsdk._model.spooling import Spool, SpoolFiles
from asyncsdk._model.stores import AssignmentStore, RulesCache

__all__ = ["AssignmentStore", "RulesCache", "Spool", "SpoolFiles"]
