"""Run the shop with two relays, kill all three at random while customers order, and compare orders with events.

    pip install 'asyncsdk[fastapi,postgres,relay]' 'sqlalchemy[asyncio]' uvicorn
    python -m asyncsdk.examples.fleet

Nothing leaves this machine: the vendor is a dev server. Without `--database`, a temporary Postgres is started.
"""

import argparse
import asyncio
import os
import random
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack

import aiohttp
import asyncpg
import attrs

from asyncsdk.dev import DevServer
from asyncsdk.engines import Postgres
from asyncsdk.examples.fleet.processes import Process, free_port, python, temporary_postgres

_SHOP = "asyncsdk.examples.fleet.shop"
_CUSTOMERS = 8
# Seconds between two kills, and until all events must have arrived; a killed relay's leases last two.
_BETWEEN_KILLS, _TO_DELIVER, _LEASE = 0.7, 60.0, "2"


@attrs.frozen
class Audit:
    """What the database and the vendor have.

    Attributes:
        orders: Ids of the events that the orders in the database should have.
        delivered: Ids of the events that the vendor has, each once.
        copies: Number of events that arrived once more, with the same id.
        kills: Number of processes that were killed.
        declined: Number of orders whose payment was declined, after their event was written.
    """

    orders: frozenset[str]
    delivered: frozenset[str]
    copies: int
    kills: int
    declined: int

    @property
    def is_right(self) -> bool:
        """Whether each order has its event, and each event its order."""
        return self.orders == self.delivered

    def __str__(self) -> str:
        missing, extra = len(self.orders - self.delivered), len(self.delivered - self.orders)
        return (
            f"{len(self.orders)} orders, {len(self.delivered)} events delivered: {missing} missing, {extra} without an "
            f"order ({self.declined} declined, {self.kills} processes killed, {self.copies} copies with the same id)"
        )


async def run(database: str | None, orders: int, kills: int, programs: str | None = None) -> Audit:
    """Run the example, and return the audit.

    Args:
        database: Address of a Postgres; None starts a temporary one. The tables of the shop are emptied.
        orders: Number of orders that customers try to make.
        kills: Number of processes to kill meanwhile.
        programs: The folder of the programs of Postgres; None searches for them.
    """
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(temporary_postgres(programs)) if database is None else database
        vendor = await stack.enter_async_context(DevServer())
        environ: dict[str, str] = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ASYNCSDK_")},
            "SHOP_DATABASE": address,
            "RUDDERSTACK_WRITE_KEY": "any-key",
            "RUDDERSTACK_URL": vendor.url,
        }
        await _prepare(address)
        port = free_port()
        serve = python("uvicorn", "--factory", f"{_SHOP}:init", "--port", str(port), "--log-level", "error")
        relay = python("asyncsdk", "relay", f"{_SHOP}:make_client", "--lease", _LEASE, "--close-timeout", "5")
        processes = [Process("shop", serve, environ), *(Process(f"relay {n}", relay, environ) for n in (1, 2))]
        for process in processes:
            await process.start()
            stack.push_async_callback(process.end)
        declined, _ = await asyncio.gather(_order(f"http://127.0.0.1:{port}", orders), _kill(processes, kills))
        ids = await _delivered(address)
        copies = sum(event.verdict == "duplicate" for event in vendor.events)
        delivered = frozenset(event.id for event in vendor.accepted("rudderstack"))
        return Audit(ids, delivered, copies, sum(process.kills for process in processes), declined)


async def _prepare(address: str) -> None:
    """Make the table of the events, and delete the orders of an earlier run."""
    engine = Postgres(address)
    await engine.migrate()
    await engine.aclose()
    connection = await asyncpg.connect(address)
    await connection.execute("drop table if exists shop_orders; delete from asyncsdk_events")
    await connection.close()


async def _order(url: str, number: int) -> int:
    """Let customers order; return how many were declined. A shop that is down is tried again."""
    numbers, declined = iter(range(number)), 0

    async def shop(customer: int) -> None:
        nonlocal declined
        async with aiohttp.ClientSession() as http:
            for order in numbers:
                body = {"customer": f"customer-{customer}", "sku": "lamp", "card": "0" if order % 5 == 0 else "4"}
                while True:
                    try:
                        async with http.post(f"{url}/orders", json=body) as reply:
                            declined += reply.status == 402
                            if reply.status < 500:
                                break
                    except aiohttp.ClientError:
                        pass
                    await asyncio.sleep(0.1)

    await asyncio.gather(*map(shop, range(_CUSTOMERS)))
    return declined


async def _kill(processes: Sequence[Process], number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(_BETWEEN_KILLS)
        await random.choice(processes).restart()  # noqa: S311 -- no secret


async def _delivered(address: str, timeout: float = _TO_DELIVER) -> frozenset[str]:
    """Wait until the relays have delivered all events, at most `timeout` seconds; return the ids they should have."""
    connection = await asyncpg.connect(address)
    ids = frozenset(f"order-{row['number']}" for row in await connection.fetch("select number from shop_orders"))
    try:
        async with asyncio.timeout(timeout):
            while await connection.fetchval("select count(*) from asyncsdk_events"):  # noqa: ASYNC110 -- of other processes
                await asyncio.sleep(0.1)
    except TimeoutError:
        pass  # the audit says what is missing
    await connection.close()
    return ids


def main(arguments: Sequence[str]) -> int:
    """Run the example as the command line says; return 0 if each order has its event, and each event its order."""
    parser = argparse.ArgumentParser("python -m asyncsdk.examples.fleet", description=__doc__.partition("\n")[0])
    parser.add_argument("--database", metavar="DSN", help="a Postgres to use; its tables of the shop are emptied")
    parser.add_argument("--postgres", metavar="FOLDER", help="where initdb and postgres are (default: they are found)")
    parser.add_argument("--orders", type=int, default=2_000, help="orders to make (default: 2000)")
    parser.add_argument("--kills", type=int, default=20, help="processes to kill meanwhile (default: 20)")
    options = parser.parse_args(arguments)
    try:
        audit = asyncio.run(run(options.database, options.orders, options.kills, options.postgres))
    except FileNotFoundError as error:
        parser.exit(1, f"{error}\n")
    print(audit)
    return 0 if audit.is_right else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
