"""The client's background jobs: delivery, polling for rules, exposure windows, and the spool's."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from asyncsdk._client.arguments import dev_linger
from asyncsdk._delivery.lane import Lane
from asyncsdk._lifecycle import Job
from asyncsdk._model.http import HttpSettings
from asyncsdk._model.reports import Watch
from asyncsdk._rules.exposure_window import ExposureWindow
from asyncsdk.vendors._base import Limits

if TYPE_CHECKING:
    from asyncsdk._delivery.spool.spooler import Spooler
    from asyncsdk._refresh import Refresher

# An exposure of the same user to the same result is reported once per this many seconds (statsig-python-core 0.24.0).
EXPOSURE_WINDOW = 60.0
# With a dev server a person is watching, so rules are polled more often; in seconds.
_DEV_POLL = 1.0
# Maximum time for the last commit to the spool, in seconds: a hung disk must not block shutdown.
_MAX_LAST_COMMIT = 10.0
# Maximum time to close the connections to an engine, in seconds.
_MAX_DISCONNECT = 2.0


def delivery(lane: Lane, dev_url: str | None, watches: Sequence[Watch], http: HttpSettings | None) -> Job:
    """Build the job that delivers a lane's events.

    Args:
        lane: The lane.
        dev_url: Base URL of a dev server that takes the vendor's place; None sends to the vendor.
        watches: Called around each request.
        http: Proxy, TLS and headers of its requests; None connects directly.
    """
    from asyncsdk._transport import Transport  # noqa: PLC0415 -- see `preload`

    if dev_url is not None:
        lane.linger = min(lane.linger, dev_linger())

    async def deliver() -> None:
        destination = lane.destination
        async with aclosing(Transport(destination.limits, dev_url, destination.name, watches, http)) as transport:
            await lane.run(transport)

    return deliver


def refresh(refresher: "Refresher", dev_url: str | None, watches: Sequence[Watch], http: HttpSettings | None) -> Job:
    """Build the job that polls for rules; the arguments are those of `delivery`."""
    from asyncsdk._transport import Transport  # noqa: PLC0415 -- see `preload`

    if dev_url is not None:
        refresher.polling.interval = refresher.id_lists.polling.interval = _DEV_POLL
        refresher.id_lists.accepts_http = refresher.follows_interval = True
        refresher.stop_sharing()

    async def keep_fresh() -> None:
        async with aclosing(Transport(Limits(), dev_url, refresher.name, watches, http)) as transport:
            await refresher.run(transport)

    return keep_fresh


def adoption(spooler: "Spooler") -> Job:
    """Build the job that regularly adopts the spool files of processes that have ended."""
    from asyncsdk._delivery.spool.spooler import SCAN_INTERVAL  # noqa: PLC0415 -- loaded already

    async def adopt() -> None:
        while True:
            spooler.scan()
            await asyncio.sleep(SCAN_INTERVAL)

    return adopt


def last_commit(spooler: "Spooler", stop_intake: Callable[[], None]) -> Job:
    """Build the job that flushes remaining events to disk, bounded in time so that a hung disk cannot block shutdown.

    Args:
        spooler: What writes to the disk.
        stop_intake: Called first: an event that is admitted after the last commit would not be on disk.
    """

    async def commit() -> None:
        stop_intake()
        with suppress(TimeoutError):
            async with asyncio.timeout(_MAX_LAST_COMMIT):
                await spooler.close()

    return commit


def disconnect(before: Job | None, aclose: Job) -> Job:
    """Build the job that closes an engine's connections at the end.

    Args:
        before: The job that runs first; None without one.
        aclose: Closes the connections.
    """

    async def close() -> None:
        try:
            if before is not None:
                await before()
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(_MAX_DISCONNECT):
                    await aclose()

    return close


def windows(recent: ExposureWindow, seconds: float = EXPOSURE_WINDOW) -> Job:
    """Build the job that starts a new exposure window every `seconds`, so that exposures are reported again."""

    async def forget() -> None:
        while True:
            await asyncio.sleep(seconds)
            recent.reset()

    return forget
