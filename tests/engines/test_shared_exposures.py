"""Fleet-wide de-duplication of exposures: each one is reported once, and always when the engine does not answer."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from helpers import ADA, statsig_with_rules

from asyncsdk import Client, ConfigurationError, User
from asyncsdk._lookups import shared_exposures as limits
from asyncsdk._model.engines import EngineError
from asyncsdk.dev import DevServer
from asyncsdk.engines import Memory, Postgres, Redis
from engines.conftest import Engines

ONE, TWO, THREE = (bytes([number]) * 16 for number in range(3))


# --- the contract -------------------------------------------------------------------------------------------------


async def test_the_first_to_claim_an_exposure_reports_it(engines: Engines) -> None:
    one, two = (engines().exposures() for _ in range(2))  # type: ignore[attr-defined]

    assert list(await one.claim([ONE, TWO])) == [True, True]
    assert list(await two.claim([TWO, THREE, ONE])) == [False, True, False]


async def test_a_released_exposure_can_be_claimed_again(engines: Engines) -> None:
    one, two = (engines().exposures() for _ in range(2))  # type: ignore[attr-defined]
    await one.claim([ONE, TWO])
    await one.release([ONE])

    assert list(await two.claim([ONE, TWO])) == [True, False]


async def test_of_many_processes_one_claims(engines: Engines) -> None:
    racers: list[Any] = [engines().exposures() for _ in range(4)]  # type: ignore[attr-defined]
    many = [number.to_bytes(16, "big") for number in range(200)]
    answers = await asyncio.gather(*(racer.claim(many) for racer in racers))

    assert [sum(column) for column in zip(*answers, strict=True)] == [1] * 200


@pytest.fixture(params=["redis", "postgres"])
def make_engine(request: pytest.FixtureRequest) -> Any:
    from engines.conftest import maker_of

    return maker_of(request.param, request)


@pytest.fixture
async def engine(make_engine: Callable[[], Any]) -> AsyncIterator[Any]:
    engine = make_engine()
    yield engine
    await engine.aclose()


async def test_an_exposure_is_claimed_again_in_the_next_window(engine: Any) -> None:
    shared = engine.exposures(window=0.05)
    assert list(await shared.claim([ONE])) == [True]
    async with asyncio.timeout(10):
        while not (await shared.claim([ONE]))[0]:
            await asyncio.sleep(0.01)


async def test_a_full_engine_lets_exposures_be_reported(engine: Any) -> None:
    shared = engine.exposures(window=3600, max_exposures=1)
    await shared.claim([ONE])
    other = engine.exposures(window=3600, max_exposures=1)
    await other.claim([ONE])

    assert list(await other.claim([ONE])) == [True]


@pytest.mark.parametrize("make", [lambda: Redis("redis://127.0.0.1:9"), lambda: Postgres("postgresql://h/db")])
@pytest.mark.parametrize("settings", [{"window": 0}, {"window": "1h"}, {"max_exposures": 0}])
def test_wrong_settings_are_rejected(make: Callable[[], Any], settings: Any) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(settings))):
        make().exposures(**settings)


# --- clients ------------------------------------------------------------------------------------------------------


def client_of(server: DevServer, shared: Any, **settings: Any) -> Client:
    return Client(statsig_with_rules(server, **settings), shared_exposures=shared)


def exposures(server: DevServer) -> int:
    return sum(one.kind.endswith("_exposure") for one in server.accepted("statsig"))


async def test_two_processes_report_an_exposure_once(engines: Engines, server: DevServer) -> None:
    async with client_of(server, engines()) as one, client_of(server, engines()) as two:
        for client in (one, two, one):
            await client.check_gate(ADA, "open")
            await client.check_gate(User("bob"), "open")
            (await client.get_layer(ADA, "page")).get("color")
            await client.flush()

        assert exposures(server) == 3


async def test_other_outcomes_and_manual_exposures_are_exposures_of_their_own(server: DevServer) -> None:
    memory = Memory()
    async with client_of(server, memory) as one, client_of(server, memory) as two:
        await one.check_gate(User("ada", country="NL"), "dutch")
        await two.check_gate(User("ada", country="DE"), "dutch")
        two.log_exposure(User("ada", country="NL"), "dutch")
        await one.flush()
        await two.flush()

        assert exposures(server) == 3


async def test_projects_do_not_share_exposures(server: DevServer) -> None:
    memory = Memory()
    import attrs

    other = attrs.evolve(statsig_with_rules(server), secret_key="secret-other")
    async with client_of(server, memory) as one, Client(other, shared_exposures=memory) as two:
        for client in (one, two):
            await client.check_gate(ADA, "open")
            await client.flush()

        assert exposures(server) == 2


class Slow:
    """Shared exposures that hang, fail, or answer nonsense."""

    def __init__(self, how: str) -> None:
        self.how, self.calls = how, 0
        self.go_on = asyncio.Event()

    async def claim(self, exposures: Sequence[bytes]) -> Any:
        self.calls += bool(exposures)
        if self.how == "fails" and exposures:
            raise EngineError("connection refused")
        if self.how == "hangs" and exposures:
            await self.go_on.wait()
        return [] if self.how == "nonsense" else [False] * len(exposures)

    async def release(self, exposures: Sequence[bytes]) -> None:
        raise EngineError("connection refused")

    async def aclose(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize("how", ["fails", "hangs", "nonsense"])
async def test_without_an_answer_exposures_are_reported(server: DevServer, how: str) -> None:
    slow = Slow(how)
    async with client_of(server, slow) as client:
        for number in range(3):
            await client.check_gate(User(f"user-{number}"), "open")
            report = await client.flush()
            assert report.complete

        assert exposures(server) == 3
        assert slow.calls == (3 if how == "nonsense" else 1)  # then it is not asked for a second


async def test_lookups_and_events_do_not_wait_for_the_engine(server: DevServer) -> None:
    slow = Slow("hangs")
    async with client_of(server, slow) as client:
        for number in range(100):
            assert await client.check_gate(User(f"user-{number}"), "open")
        await client.log_event(ADA, "bought")
        while not [one for one in server.accepted("statsig") if one.body["eventName"] == "bought"]:
            await asyncio.sleep(0)

        assert exposures(server) == 0
        slow.go_on.set()


async def test_too_many_that_wait_are_reported_at_once(server: DevServer) -> None:
    slow = Slow("hangs")
    client = client_of(server, slow)
    reported: list[int] = []
    waiting = limits.ExposureFilter(slow, "", lambda found, _: reported.append(len(found)))
    task = asyncio.create_task(waiting.run())
    async with client:
        await asyncio.sleep(0)
        rules = client._holder.rules
        one = (rules, ADA, rules.gate(ADA, "open"), 0.0, None)
        waiting.put([one] * limits._MAX_WAITING)
        waiting.put([one])
        assert reported == [1]
        task.cancel()
        await asyncio.wait([task])

    assert reported == [1, limits._MAX_WAITING]


class Releasing(Memory):
    """An engine for exposures whose `release` waits for `go_on`."""

    def __init__(self) -> None:
        super().__init__()
        self.released: list[int] = []
        self.go_on = asyncio.Event()

    async def claim(self, exposures: Sequence[bytes]) -> list[bool]:
        return [True] * len(exposures)

    async def release(self, exposures: Sequence[bytes]) -> None:  # type: ignore[override]
        self.released.append(len(exposures))
        await self.go_on.wait()


@pytest.fixture
async def filtered(server: DevServer) -> AsyncIterator[tuple[limits.ExposureFilter, Releasing, Any, list[int]]]:
    """A filter that runs, its engine, an exposure, and the numbers of exposures that were reported at a time."""
    engine, reported = Releasing(), list[int]()
    waiting = limits.ExposureFilter(engine, "", lambda found, _: reported.append(len(found)))
    task = asyncio.create_task(waiting.run())
    async with client_of(server, Memory()) as client:
        rules = client._holder.rules
        await asyncio.sleep(0)
        yield waiting, engine, (rules, ADA, rules.gate(ADA, "open"), 0.0, None), reported
    task.cancel()
    await asyncio.wait([task])


async def test_no_more_exposures_than_may_wait_are_released_at_a_time(filtered: Any) -> None:
    waiting, engine, one, _ = filtered
    for _ in range(limits._MAX_WAITING + 1):
        waiting.release(one)
    while not engine.released:
        await asyncio.sleep(0)

    assert engine.released == [limits._MAX_WAITING]


async def test_an_exposure_that_comes_while_others_are_released_is_waited_for(filtered: Any) -> None:
    waiting, engine, one, reported = filtered
    waiting.release(one)
    while not engine.released:
        await asyncio.sleep(0)
    waiting.put([one])
    engine.go_on.set()
    await waiting.flush()

    assert reported == [1]


async def test_exposures_that_wait_at_the_end_are_reported(server: DevServer) -> None:
    slow = Slow("hangs")
    client = client_of(server, slow)
    await client.start()
    await client.check_gate(ADA, "open")
    await client.aclose()

    assert exposures(server) == 1


async def test_an_exposure_that_found_no_room_is_released(server: DevServer) -> None:
    from asyncsdk import Limits

    memory = Memory()
    full = client_of(server, memory, limits=Limits(max_queued_events=1, max_events=1, linger=0.01))
    async with full, client_of(server, memory) as other:
        for number in range(20):
            await full.check_gate(User(f"user-{number}"), "open")
        await full.flush()
        for number in range(20):
            await other.check_gate(User(f"user-{number}"), "open")
        await other.flush()

        assert exposures(server) == 20


async def test_a_dev_server_gets_all_exposures(server: DevServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYNCSDK_DEV_SERVER", server.url)
    async with client_of(server, Slow("works")) as client:
        await client.check_gate(ADA, "open")
        await client.flush()

    assert exposures(server) == 1


@pytest.mark.parametrize("wrong", ["redis://localhost", Redis, 1, True])
def test_what_is_no_engine_is_rejected(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="`shared_exposures` must be an engine"):
        Client(statsig_with_rules(), shared_exposures=wrong)
