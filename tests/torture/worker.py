"""A process to be killed: tracks events continuously, and promises each when its spool has it.

    python worker.py <name> <url of the vendors> <folder> <producers> [<max_bytes>]

A promise is the event's id as a line on standard output, written after the verb has returned. Without producers, it only
delivers what other workers have left, until its standard input ends.
"""

import asyncio
import faulthandler
import os
import sys
from itertools import count

from asyncsdk import Amplitude, Client, Limits, RudderStack, Statsig
from asyncsdk.stores import SqliteSpool

LIMITS = Limits(max_events=50, linger=0.02, retry_initial=0.02, retry_max=0.2, timeout=2.0, max_queued_events=2000)


def make_client(url: str, folder: str, max_bytes: int = 10**9) -> Client:
    return Client(
        RudderStack("key", url, limits=LIMITS),
        Amplitude("key", url=f"{url}/2/httpapi", limits=LIMITS),
        Statsig("secret-key", rules=None, log_event_url=f"{url}/v1/log_event", limits=LIMITS),
        spool=SqliteSpool(folder, keep_free=0, max_bytes=max_bytes),
    )


async def produce(client: Client, name: str, producer: int) -> None:
    user = f"user-{name}-{producer}"
    for number in count():
        event_id = f"{name}-{producer}-{number}"
        await client.track(user, event_id, {"n": number, "text": "x" * (number * 37 % 900)}, message_id=event_id)
        os.write(1, event_id.encode() + b"\n")
        await asyncio.sleep(0.002)


async def main(name: str, url: str, folder: str, producers: int, max_bytes: int = 10**9) -> None:
    async with make_client(url, folder, max_bytes) as client:
        if not producers:
            await asyncio.to_thread(sys.stdin.read)
        await asyncio.gather(*(produce(client, name, producer) for producer in range(producers)))


if __name__ == "__main__":
    faulthandler.enable()
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], *map(int, sys.argv[4:])))
