"""The lane of a client with an engine: it hands events over to the engine, instead of sending them to the vendor.

Everything else is a lane's as it is: its queue and limits, order per user, one circuit with backoff, deadline, flush
and close. The engine takes the place of the vendor, `put` that of the request, and an event that it has stored is
settled as `enqueued`. While the engine is unavailable, events wait in the lane, or with a spool on disk.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar
from zlib import crc32

import attrs

from asyncsdk._delivery.batching import Batch
from asyncsdk._delivery.fleet.engine_status import EngineStatus, EngineTrouble
from asyncsdk._delivery.fleet.entries import ENTRY_BYTES, ENTRY_EVENTS, pack_entries
from asyncsdk._delivery.lane import Exchange, Lane, Sender
from asyncsdk._delivery.pending import InFlight
from asyncsdk._model.engines import Engine, EngineError
from asyncsdk._model.receipts import Record, Status
from asyncsdk.vendors._base import Destination, Limits, Request, Response, Verdict

logger = logging.getLogger("asyncsdk.engine")

# Entries that one `put` stores at most.
_MAX_ENTRIES = 10
# Seconds that an event waits for others, if others were put within this time. Short, because its caller waits for the
# engine.
_LINGER = 0.005
# An engine is nearer than a vendor, and asked again sooner; in seconds.
_TIMEOUT, _RETRY_INITIAL, _RETRY_MAX, _PROBE_INTERVAL = 5.0, 0.1, 5.0, 30.0
# There is no request to an engine that could be shown.
_NO_REQUEST = Request("", "", {}, b"")
_WHAT_TO_CHECK = "the engine's address, password and table"


def engine_limits(limits: Limits) -> Limits:
    """Return the limits of a lane to an engine: what is held is the destination's, what is sent the engine's."""
    return attrs.evolve(
        limits,
        max_events=_MAX_ENTRIES * ENTRY_EVENTS,
        max_bytes=_MAX_ENTRIES * ENTRY_BYTES,
        linger=_LINGER,
        timeout=min(_TIMEOUT, limits.timeout),
        retry_initial=_RETRY_INITIAL,
        retry_max=_RETRY_MAX,
        probe_interval=_PROBE_INTERVAL,
    )


def shard_labels(label: str, shards: int) -> list[str]:
    """Return the labels under which an engine with several shards keeps the entries of a destination."""
    return [label] if shards == 1 else [f"{label}#{number}" for number in range(shards)]


class EngineLane(Lane):
    """Hands the events of one destination over to an engine.

    Attributes:
        label: The name under which the engine keeps them.
        on_unavailable: Called when the engine fails: verbs must not go on waiting for it.
    """

    accepted_status: ClassVar[Status] = "enqueued"

    def __init__(self, destination: Destination, engine: Engine, status: EngineStatus) -> None:
        """Create an empty lane; needs no running loop.

        Args:
            destination: Encodes the events. Its limits on requests are the relay's.
            engine: Stores them.
            status: The state of the engine, shared by all lanes.
        """
        super().__init__(destination, engine_limits(destination.limits))
        self.label = destination.name
        self.on_unavailable: Callable[[], object] = lambda: None
        self._engine = engine
        self._shards: int = getattr(engine, "shards", 1)
        self._trouble = EngineTrouble(status)
        # When the latest `put` began, on the monotonic clock.
        self._put_at = float("-inf")

    @property
    def is_available(self) -> bool:
        """Whether the engine took the latest events, so that it makes sense to wait for it."""
        return self._circuit.state == "closed"

    def _is_due(self, now: float) -> bool:
        """Return whether a batch should be put now: also one that others would hardly join, after a pause."""
        if super()._is_due(now):
            return True
        return bool(self._pending.ready) and not self._in_flight and now >= self._put_at + self.linger

    async def _exchange(self, part: Batch, sender: Sender, *, uncompressed: bool) -> Exchange:
        """Put a batch into the engine."""
        now_ms, self._put_at = int(time.time() * 1000), time.monotonic()
        packed = [(label, pack_entries(label, records, now_ms)) for label, records in self.by_shard(part)]
        try:
            async with asyncio.timeout(self._limits.timeout):
                for label, entries in packed:
                    await self._engine.put(label, entries)
        except EngineError as error:
            failure = error
        except TimeoutError:
            failure = EngineError("timeout")
        except Exception as error:
            logger.debug("engine: an unexpected error", exc_info=True)
            failure = EngineError(f"unexpected {type(error).__name__}")
        else:
            return Exchange(_NO_REQUEST, Response(200), Verdict())
        return Exchange(_NO_REQUEST, Response(0, error=str(failure)), _verdict_on(failure, len(part)))

    def by_shard(self, records: Sequence[Record]) -> Iterable[tuple[str, Sequence[Record]]]:
        """Return the records of each shard, which are those of some users, with its label."""
        if self._shards == 1:
            return [(self.label, records)]
        by_shard: dict[int, list[Record]] = {}
        for record in records:
            by_shard.setdefault(crc32(record.key.encode("utf-8", "replace")) % self._shards, []).append(record)
        labels = shard_labels(self.label, self._shards)
        return [(labels[number], part) for number, part in by_shard.items()]

    def _fail(self, in_flight: InFlight, response: Response, verdict: Verdict) -> None:
        super()._fail(in_flight, response, verdict)
        self.on_unavailable()

    def _refuse(self, in_flight: InFlight, request: Request, response: Response, verdict: Verdict) -> None:
        super()._refuse(in_flight, request, response, verdict)
        self.on_unavailable()


def _verdict_on(error: EngineError, count: int) -> Verdict:
    reason = f"engine: {error}"
    if error.refused:
        return Verdict(halt=True, reason=reason, check=_WHAT_TO_CHECK)
    return Verdict(retry=range(count), reason=reason)
