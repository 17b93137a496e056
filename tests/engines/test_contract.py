"""What every engine promises, on a real server."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import chain

from asyncsdk.engines import Engine, Taken

Engines = Callable[[], Engine]


def bodies(taken: Sequence[Taken]) -> list[bytes]:
    return [one.entry for one in taken]


async def test_entries_are_taken_in_the_order_of_put(engines: Engines) -> None:
    engine = engines()
    await engine.put("Amplitude", [b"1", b"2"])
    await engine.put("Amplitude", [b"3"])

    assert bodies(await engine.take("Amplitude", 10, 0.0, 10.0)) == [b"1", b"2", b"3"]


async def test_an_entry_is_any_bytes(engines: Engines) -> None:
    engine = engines()
    entries = [b"", bytes(range(256)), b"x" * 300_000]
    await engine.put("d", entries)

    assert bodies(await engine.take("d", 10, 0.0, 10.0)) == entries


async def test_take_returns_at_most_number(engines: Engines) -> None:
    engine = engines()
    await engine.put("d", [b"1", b"2", b"3"])

    assert bodies(await engine.take("d", 2, 0.0, 10.0)) == [b"1", b"2"]


async def test_destinations_are_apart_whatever_their_names(engines: Engines) -> None:
    engine = engines()
    for name in ("a", "A", "a (dev server)", "{a}", "", "Ünï'code\n"):
        await engine.put(name, [name.encode()])

    for name in ("a", "A", "a (dev server)", "{a}", "", "Ünï'code\n"):
        assert bodies(await engine.take(name, 9, 0.0, 10.0)) == [name.encode()]


async def test_a_leased_entry_is_taken_by_nobody_else(engines: Engines) -> None:
    one, other = engines(), engines()
    await one.put("d", [b"1", b"2"])
    await one.take("d", 1, 0.0, 10.0)

    assert bodies(await other.take("d", 9, 0.0, 10.0)) == [b"2"]


async def test_an_expired_lease_is_taken_again_and_counted(engines: Engines) -> None:
    one, other = engines(), engines()
    await one.put("d", [b"1"])
    (first,) = await one.take("d", 1, 0.0, 0.2)
    (second,) = await other.take("d", 1, 5.0, 0.2)

    assert (first.deliveries, second.deliveries, second.entry) == (1, 2, b"1")


async def test_expired_entries_go_before_new_ones(engines: Engines) -> None:
    one, other = engines(), engines()
    await one.put("d", [b"1", b"2"])
    await one.take("d", 2, 0.0, 0.05)
    await one.put("d", [b"3"])
    await asyncio.sleep(0.1)
    taken = list(await other.take("d", 9, 0.0, 0.05))
    taken += await other.take("d", 9, 0.0, 5.0)

    assert bodies(taken)[:2] == [b"1", b"2"]


async def test_an_extended_lease_does_not_expire(engines: Engines) -> None:
    one, other = engines(), engines()
    await one.put("d", [b"1"])
    taken = await one.take("d", 1, 0.0, 0.8)
    for _ in range(5):
        await asyncio.sleep(0.2)
        await one.extend("d", [entry.lease for entry in taken], 0.8)

    assert not await other.take("d", 1, 0.0, 0.8)


async def test_a_lost_lease_is_not_taken_back(engines: Engines) -> None:
    one, other, third = engines(), engines(), engines()
    await one.put("d", [b"1"])
    (lost,) = await one.take("d", 1, 0.0, 0.1)
    (taken,) = await other.take("d", 1, 5.0, 0.1)
    await one.extend("d", [lost.lease], 60.0)
    await one.release("d", [lost.lease])
    (again,) = await third.take("d", 1, 5.0, 0.1)

    assert (taken.deliveries, again.deliveries) == (2, 3)


async def test_an_acknowledged_entry_is_gone(engines: Engines) -> None:
    one, other = engines(), engines()
    await one.put("d", [b"1", b"2"])
    first, second = await one.take("d", 2, 0.0, 0.1)
    await one.ack("d", [first.lease])
    await one.ack("d", [first.lease])
    (again,) = await other.take("d", 9, 5.0, 0.1)
    await one.ack("d", [second.lease])

    assert again.entry == b"2"
    assert (await one.stats("d")).waiting == (await one.stats("d")).taken == 0


async def test_a_released_entry_is_taken_at_once_and_counted_anew(engines: Engines) -> None:
    one, other = engines(), engines()
    await one.put("d", [b"1", b"2"])
    taken = await one.take("d", 2, 0.0, 100.0)
    await one.release("d", [entry.lease for entry in taken])
    again = await other.take("d", 2, 5.0, 100.0)

    assert [(entry.entry, entry.deliveries) for entry in again] == [(b"1", 1), (b"2", 1)]


async def test_take_waits_for_the_first_entry(engines: Engines) -> None:
    one, other = engines(), engines()
    waiting = asyncio.create_task(one.take("d", 1, 10.0, 10.0))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    await other.put("d", [b"1"])

    async with asyncio.timeout(2.0):
        assert bodies(await waiting) == [b"1"]


async def test_take_returns_nothing_after_its_wait(engines: Engines) -> None:
    engine = engines()
    async with asyncio.timeout(2.0):
        assert not await engine.take("d", 1, 0.2, 10.0)


async def test_a_cancelled_take_leaves_a_working_engine(engines: Engines) -> None:
    engine = engines()
    waiting = asyncio.create_task(engine.take("d", 1, 10.0, 10.0))
    await asyncio.sleep(0.2)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await engine.put("d", [b"1"])

    assert bodies(await engine.take("d", 1, 2.0, 10.0)) == [b"1"]


async def test_stats_count_waiting_and_taken_entries(engines: Engines) -> None:
    engine = engines()
    assert (await engine.stats("d")).oldest == 0.0
    await engine.put("d", [b"1", b"2", b"3"])
    (taken, _) = await engine.take("d", 2, 0.0, 10.0)
    stats = await engine.stats("d")
    assert (stats.waiting, stats.taken) == (1, 2)
    assert 0.0 <= stats.oldest < 10.0
    await engine.release("d", [taken.lease])
    stats = await engine.stats("d")

    assert (stats.waiting, stats.taken) == (2, 1)


async def test_concurrent_takes_share_the_entries_without_overlap(engines: Engines) -> None:
    producer, relays = engines(), [engines() for _ in range(4)]
    await producer.put("d", [b"%d" % number for number in range(200)])

    async def drain(engine: Engine) -> list[bytes]:
        found: list[bytes] = []
        while taken := await engine.take("d", 7, 0.0, 30.0):
            found += bodies(taken)
            await engine.ack("d", [entry.lease for entry in taken])
        return found

    shares = await asyncio.gather(*map(drain, relays))
    assert sorted(chain.from_iterable(shares), key=int) == [b"%d" % number for number in range(200)]


async def test_verbs_without_leases_do_nothing(engines: Engines) -> None:
    engine = engines()
    await engine.extend("d", [], 1.0)
    await engine.ack("d", [])
    await engine.release("d", [])

    assert not await engine.take("d", 1, 0.0, 1.0)


async def test_an_engine_works_again_after_it_was_closed(engines: Engines) -> None:
    engine = engines()
    await engine.open()
    await engine.put("d", [b"1"])
    await engine.aclose()
    await engine.aclose()

    assert bodies(await engine.take("d", 1, 0.0, 1.0)) == [b"1"]
