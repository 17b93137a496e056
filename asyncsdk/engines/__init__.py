"""Engines: where events wait for a fleet of relays. `Engine` is the protocol; the other classes implement it.

A client with an engine hands its events over; `asyncsdk relay` delivers them, in as many processes as it takes.
"""

from asyncsdk._model.engines import DatabaseConnection, Engine, EngineError, EngineStats, Taken, TransactionalEngine
from asyncsdk.engines.memory import Memory
from asyncsdk.engines.postgres import Postgres
from asyncsdk.engines.redis import Redis

__all__ = [
    "DatabaseConnection",
    "Engine",
    "EngineError",
    "EngineStats",
    "Memory",
    "Postgres",
    "Redis",
    "Taken",
    "TransactionalEngine",
]
