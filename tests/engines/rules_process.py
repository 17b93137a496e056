"""Processes of a fleet that share rules: `python -m engines.rules_process URL KEY CLIENTS TTL INTERVAL`.

Prints a line for each change of a client: its number, its part, and the time of its rules.
"""

import asyncio
import sys
from contextlib import AsyncExitStack

import attrs
from refresh.vendor import Vendor, make_refresher, running, statsig

from engines.shop import make_engine


async def main(url: str, key: str, clients: int, ttl: float, interval: float) -> None:
    async with AsyncExitStack() as stack:
        refreshers = []
        for _ in range(clients):
            shared = make_engine().rules(ttl=ttl)  # type: ignore[attr-defined]
            source = attrs.evolve(statsig(Vendor(url), shared=shared), secret_key=key)
            refreshers.append(await stack.enter_async_context(running(make_refresher(source, poll_interval=interval))))
        before: list[tuple[str, int]] = [("", -1)] * clients
        while True:
            for number, one in enumerate(refreshers):
                now = str(one.health().role), one.rules.time_ms
                if now != before[number]:
                    before[number] = now
                    print(number, *now, flush=True)  # noqa: T201 -- what the test reads
            await asyncio.sleep(0.02)


if __name__ == "__main__":
    address, secret, count, *seconds = sys.argv[1:]
    asyncio.run(main(address, secret, int(count), *map(float, seconds)))
