"""Replacing rules: whole or not at all, under concurrent lookups, with damaged bodies, without blocking the loop."""

import asyncio
import gc
import sys
import threading
import weakref

import orjson
import pytest

from asyncsdk._refresh import Refresher
from asyncsdk._refresh.polling import CooperativeRunner
from asyncsdk._rules.bootstrap import client_response, client_view
from asyncsdk._rules.ruleset import Ruleset
from asyncsdk.vendors._base import Request, Response
from refresh.vendor import ADA, gate, make_refresher, mutations, rules, running, statsig, until

SWAPS = 1000


def version(number: int) -> bytes:
    """Return a ruleset with two configs whose value is the version."""
    configs = {
        name: {**gate(name), "entity": "dynamic_config", "type": "dynamic_config", "defaultValue": {"v": number}}
        for name in ("first", "second")
    }
    for config in configs.values():
        config["rules"][0]["returnValue"] = {"v": number}
    return rules(number, dynamic_configs=configs)


class Versions:
    """A vendor that returns a newer version on each request."""

    def __init__(self) -> None:
        self.count = 0

    async def fetch(self, request: Request) -> Response:
        self.count += 1
        return Response(200, body=version(self.count))


async def test_each_lookup_sees_one_whole_version() -> None:
    refresher, versions, seen = make_refresher(statsig(), poll_interval=1e-9), Versions(), set[int]()
    faults: list[object] = []

    def look_up() -> None:
        current = refresher.rules
        first, second = (current.config(ADA, name).value.get("v") for name in ("first", "second"))
        seen.add(first)
        if first != second or current.time_ms != first:
            faults.append((first, second, current.time_ms))

    def look_up_in_a_thread() -> None:
        while versions.count < SWAPS:
            look_up()

    task = asyncio.create_task(refresher.run(versions))
    await refresher.wait_ready(5)
    thread = threading.Thread(target=look_up_in_a_thread)
    thread.start()
    while versions.count < SWAPS:
        look_up()
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    thread.join()

    assert not faults
    assert len(seen) > SWAPS / 2


async def test_old_rules_are_freed() -> None:
    refresher, held = make_refresher(statsig(), poll_interval=1e-9), list[weakref.ref[Ruleset]]()
    refresher.subscribe(lambda _: held.append(weakref.ref(refresher.rules)))
    task = asyncio.create_task(refresher.run(Versions()))
    await until(lambda: len(held) > 50)
    task.cancel()
    await asyncio.wait([task])
    del task  # its traceback refers to the rules that it was about to free
    gc.collect()

    assert [one() for one in held if one() is not None] == [refresher.rules]


async def test_damaged_bodies_never_break_lookups() -> None:
    condition = {"type": "user_field", "operator": "any", "field": "email", "targetValue": ["a"], "idType": "userID"}
    body = rules(5, gate("gate", conditions=("c",)), condition_map={"c": condition})
    for damaged in mutations(body, iter(range(0, len(body), 3))):
        refresher = make_refresher(statsig())
        await refresher._install(rules(1), "Network")
        good = refresher.rules
        try:
            is_in_use = await refresher._install(damaged, "Network")
        except ValueError:
            is_in_use = False

        assert is_in_use is (refresher.rules is not good)
        assert refresher.rules.gate(ADA, "gate").value in (True, False)


async def test_a_large_body_is_installed_in_many_steps() -> None:
    refresher = make_refresher(statsig())
    body = rules(1, *[gate(f"gate-{number}") for number in range(20_000)])
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    assert await refresher._install(body, "Network")
    counting.cancel()

    assert len(body) > 5_000_000
    assert turns >= refresher.runner.yields > 50
    assert 0 < refresher.runner.max_step_seconds < 1


async def test_the_same_body_again_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    refresher = make_refresher(statsig())
    body = rules(1, *[gate(f"gate-{number}") for number in range(2000)])
    await refresher._install(body, "Network")
    parsed = refresher.runner.yields

    assert not await refresher._install(bytes(bytearray(body)), "Network")
    assert refresher.runner.yields - parsed <= parsed / 4


async def test_names_in_use_are_compiled_before_new_rules_are_used() -> None:
    refresher = make_refresher(statsig())
    await refresher._install(rules(1, gate("asked"), gate("idle"), gate("goes")), "Network")
    refresher.rules.gate(ADA, "asked")
    refresher.rules.gate(ADA, "goes")

    await refresher._install(rules(2, gate("asked", passes=False), gate("idle", passes=False)), "Network")

    assert refresher.rules.gates.keys() == {"asked"}


async def test_a_client_view_is_built_before_new_rules_are_used() -> None:
    refresher = make_refresher(statsig())
    same = [gate(f"gate-{number}") for number in range(100)]
    await refresher._install(rules(1, *same), "Network")
    before = client_view(refresher.rules, hash="none", client_key="client-key")
    refresher.runner.yields = 0

    await refresher._install(rules(2, *same, *[gate(f"new-{number}") for number in range(100)]), "Network")

    assert list(refresher.rules.views) == [("none", "client-key", None, False)]
    after = client_view(refresher.rules, hash="none", client_key="client-key")
    assert after.rules.gates["gate-1"] is before.rules.gates["gate-1"]
    assert orjson.loads(client_response(after, ADA, {}))["feature_gates"]["new-99"]["value"] is True
    assert refresher.runner.yields > 10


async def test_short_work_does_not_yield() -> None:
    def steps() -> orjson.Fragment:
        yield
        return "done"

    runners = [CooperativeRunner() for _ in range(20)]  # a busy machine may interrupt one of them
    for runner in runners:
        assert await runner.run(steps()) == "done"

    assert min(runner.yields for runner in runners) == 0


async def test_a_crash_of_the_task_does_not_lose_the_rules() -> None:
    """After a crash the supervisor calls `run` again."""
    refresher = make_refresher(statsig(bootstrap=rules()))

    class Buggy:
        async def fetch(self, request: Request) -> Response:
            raise ZeroDivisionError

    with pytest.raises(ExceptionGroup):
        await refresher.run(Buggy())
    async with running(refresher):
        assert await refresher.wait_ready(5)


async def test_cancelling_an_installation_changes_nothing() -> None:
    refresher = make_refresher(statsig())
    await refresher._install(rules(1), "Network")
    good = refresher.rules
    body = rules(2, *[gate(f"gate-{number}") for number in range(2000)])
    for turns in range(8):
        task = asyncio.create_task(refresher._install(body, "Network"))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

        assert refresher.rules is good
    assert await refresher._install(body, "Network")


def test_constructing_a_refresher_needs_no_loop() -> None:
    assert sys.getrefcount(Refresher(statsig())) > 0
