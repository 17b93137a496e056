"""The protocol of engines, for the modules beside this one.

An engine is one module here, with one class that satisfies `Engine`. The contract test in `tests/engines` runs it on a
real server.
"""

from asyncsdk._model.engines import Engine, EngineError, EngineStats, Taken

__all__ = ["Engine", "EngineError", "EngineStats", "Taken"]
