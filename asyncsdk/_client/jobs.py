"""What a client does in the background: deliver, keep rules fresh, start exposure windows."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress

from asyncsdk._delivery.lane import Lane
from asyncsdk._delivery.spool.spooler import SCAN_INTERVAL, Spooler
from asyncsdk._lifecycle import Job
from asyncsdk._model.reports import Watch
from asyncsdk._refresh import Refresher
from asyncsdk._rules.exposure_window import ExposureWindow
from asyncsdk.vendors._base import Limits

# An exposure of the same user to the same outcome is reported once in so many seconds (statsig-python-core 0.24.0).
EXPOSURE_WINDOW = 60.0
# Towards a dev server somebody is watching.
_DEV_LINGER, _DEV_POLL = 0.1, 1.0
_MAX_LAST_COMMIT = 10.0


def load() -> None:
    """Import what delivery needs, which takes longer than all the rest and would hold the loop when it starts."""
    import asyncsdk._transport  # noqa: F401, PLC0415 -- only a program that makes a client needs aiohttp


def delivery(lane: Lane, dev_url: str | None, watches: Sequence[Watch]) -> Job:
    """Make the job that empties a lane, into a dev server if there is one."""
    from asyncsdk._transport import Transport  # noqa: PLC0415 -- see `load`

    if dev_url is not None:
        lane.linger = min(lane.linger, _DEV_LINGER)

    async def deliver() -> None:
        destination = lane.destination
        async with aclosing(Transport(destination.limits, dev_url, destination.name, watches)) as transport:
            await lane.run(transport)

    return deliver


def refresh(refresher: Refresher, dev_url: str | None, watches: Sequence[Watch]) -> Job:
    """Make the job that keeps rules fresh, from a dev server if there is one."""
    from asyncsdk._transport import Transport  # noqa: PLC0415 -- see `load`

    if dev_url is not None:
        refresher.polling.interval = refresher.id_lists.polling.interval = _DEV_POLL

    async def keep_fresh() -> None:
        async with aclosing(Transport(Limits(), dev_url, refresher.name, watches)) as transport:
            await refresher.run(transport)

    return keep_fresh


def adoption(spooler: Spooler) -> Job:
    """Make the job that takes over, now and then, what processes that are gone have left."""

    async def adopt() -> None:
        while True:
            spooler.scan()
            await asyncio.sleep(SCAN_INTERVAL)

    return adopt


def last_commit(spooler: Spooler, stop_intake: Callable[[], None]) -> Job:
    """Make the job that puts the rest on disk, which a disk that hangs does not keep from ending."""

    async def commit() -> None:
        stop_intake()
        with suppress(TimeoutError):
            async with asyncio.timeout(_MAX_LAST_COMMIT):
                await spooler.close()

    return commit


def windows(recent: ExposureWindow, seconds: float = EXPOSURE_WINDOW) -> Job:
    """Make the job that lets every exposure be reported again after so many seconds."""

    async def forget() -> None:
        while True:
            await asyncio.sleep(seconds)
            recent.reset()

    return forget
