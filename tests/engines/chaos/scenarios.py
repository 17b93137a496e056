"""What is done to a fleet. Each scenario runs on a stage, as often as it is told; the stage's audit says how it ended."""

import asyncio
from collections.abc import Iterable
from random import Random

from engines.chaos.proxy import MODES, StallingProxy
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


async def stall(stage: Stage, proxy: StallingProxy, rounds: int) -> None:
    """Stall the network between the server and everything else, each time in another way; a relay gets SIGTERM meanwhile."""
    chance = Random(1)
    for number in range(rounds):
        mode = MODES[number % len(MODES)]
        await stage.progress(within=10.0)
        proxy.set(mode)
        if mode == "delay":
            await asyncio.sleep(chance.uniform(0.5, 1.5))
        else:
            await stage.until(f"health() says that the engine is away: {mode}", lambda: not stage.is_engine_ok())
            await stage.fleet.strike(chance.random(), kill=False)
            await asyncio.sleep(chance.uniform(0.0, 1.0))
        proxy.set("pass")
        await stage.until(f"the engine is back after {mode}", stage.is_engine_ok)
        stage.audit.done[f"{mode}s"] += 1
