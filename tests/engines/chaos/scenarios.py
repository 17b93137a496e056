"""What is done to a fleet. Each scenario runs on a stage, as often as it is told; the stage's audit says how it ended."""

import asyncio
from collections.abc import Iterable

from engines.chaos.stage import Stage
from engines.chaos.strikes import Strike


async def kill(stage: Stage, strikes: Iterable[Strike]) -> None:
    """Kill relays and the server, while the vendor fails half of the requests."""
    stage.is_failing = True
    for strike in strikes:
        await asyncio.sleep(strike.pause)
        await stage.progress(within=10.0)
        if strike.what == "restart":
            stage.own.kill()
            await asyncio.to_thread(stage.own.start)
        else:
            await stage.fleet.strike(strike.which, kill=strike.what == "kill")
        stage.audit.done[f"{strike.what}s"] += 1
