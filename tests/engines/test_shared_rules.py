"""The contract of shared rules: one leader, fenced writes, and notices, on each engine."""

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from asyncsdk import ConfigurationError, Rules
from asyncsdk._model.fleet import Lead, SharedRules
from asyncsdk.engines import Memory, Postgres, Redis
from engines.conftest import Engines

TTL = 30.0


@pytest.fixture
def project(request: pytest.FixtureRequest) -> str:
    return f"statsig|/v2/download_config_specs|plain_text|{request.node.name}"


@pytest.fixture
async def pair(engines: Engines) -> tuple[SharedRules, SharedRules]:
    """What two processes use."""
    made: list[Any] = [engines(), engines()]
    return made[0].rules(), made[1].rules()


async def lead(shared: SharedRules, project: str, ttl: float = TTL) -> Lead:
    found = await shared.lead(project, ttl)
    assert found is not None
    return found


async def test_one_process_leads_until_it_resigns(pair: Any, project: str) -> None:
    one, two = pair
    first = await lead(one, project)

    assert await two.lead(project, TTL) is None
    assert await lead(one, project) == first
    await two.resign(project)
    assert await two.lead(project, TTL) is None
    await one.resign(project)
    assert (await lead(two, project)).token > first.token
    assert await one.lead(project, TTL) is None


async def test_projects_have_leaders_of_their_own(pair: Any, project: str) -> None:
    one, two = pair
    await lead(one, project)
    await lead(two, project + " other")


async def test_a_leader_that_does_not_renew_is_replaced(pair: Any, project: str) -> None:
    one, two = pair
    first = await lead(one, project, 0.02)
    while (second := await two.lead(project, TTL)) is None:
        await asyncio.sleep(0.01)

    assert second.token > first.token
    assert await one.lead(project, TTL) is None


async def test_a_replaced_leader_cannot_write(pair: Any, project: str) -> None:
    one, two = pair
    first = await lead(one, project)
    await one.resign(project)
    second = await lead(two, project)

    assert await one.write(project, project, b"late", replaces="", token=first.token) == ("fenced", "")
    assert (await two.write(project, project, b"new", replaces="", token=second.token))[0] == "written"
    assert (await one.read(project, project)).body == b"new"


async def test_a_write_replaces_only_the_version_that_it_names(pair: Any, project: str) -> None:
    one, two = pair
    token = (await lead(one, project)).token
    _, version = await one.write(project, project, b"1", replaces="", token=token)

    for wrong in ("", "another"):
        assert await one.write(project, project, b"2", replaces=wrong, token=token) == ("changed", "")
    assert (await one.write(project, project, b"2", replaces=version, token=token))[0] == "written"
    assert await one.write(project, "nothing", b"2", replaces=version, token=token) == ("changed", "")
    assert (await two.read(project, project)).body == b"2"


async def test_a_known_version_is_not_read_again(pair: Any, project: str) -> None:
    one, two = pair
    assert (await two.read(project, project)).version == ""
    token = (await lead(one, project)).token
    await one.write(project, project, b"\x00\xff", replaces="", token=token, generation="g-1")
    found = await two.read(project, project)

    assert (found.body, found.generation) == (b"\x00\xff", "g-1")
    again = await two.read(project, project, found.version)
    assert (again.version, again.body) == (found.version, None)


async def test_the_vendor_is_asked_once_in_an_interval_whoever_leads(pair: Any, project: str) -> None:
    one, two = pair
    assert (await one.lead(project, TTL, "rules", 60.0)).due_in <= 0
    assert 59 < (await one.lead(project, TTL, "rules", 60.0)).due_in <= 60
    assert (await one.lead(project, TTL, "lists", 60.0)).due_in <= 0
    await one.resign(project)

    assert 59 < (await two.lead(project, TTL, "rules", 60.0)).due_in <= 60
    assert (await two.lead(project, TTL, "rules", 0.0)).due_in <= 0


async def test_a_write_is_noticed_within_a_second(pair: Any, project: str) -> None:
    one, two = pair
    token = (await lead(one, project)).token
    async with aclosing(two.notices(project)) as notices:
        await anext(notices)  # it is time to look, once it listens
        waiting = asyncio.ensure_future(anext(notices))
        await asyncio.sleep(0)
        await one.write(project, project, b"1", replaces="", token=token)
        await asyncio.wait_for(waiting, 1.0)


async def test_of_many_processes_one_leads(engines: Engines, project: str) -> None:
    racers: list[Any] = [engines().rules() for _ in range(8)]  # type: ignore[attr-defined]
    won = await asyncio.gather(*(racer.lead(project, TTL) for racer in racers))

    assert sum(lead is not None for lead in won) == 1


# --- settings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", [Memory(), Redis("redis://127.0.0.1:9"), Postgres("postgresql://h/db")], ids=repr)
def test_rules_take_an_engine_or_what_it_shares(engine: Any) -> None:
    assert Rules(shared=engine).shared.may_write  # type: ignore[union-attr]
    assert not Rules(shared=engine.rules(may_write=False)).shared.may_write  # type: ignore[union-attr]


@pytest.mark.parametrize("wrong", ["redis://localhost", Redis, 1])
def test_what_cannot_be_shared_is_rejected(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="`shared` of Rules must be an engine"):
        Rules(shared=wrong)


@pytest.mark.parametrize("settings", [{"may_write": "no"}, {"layout": "json"}, {"may_write": None}])
def test_wrong_settings_are_rejected(settings: Any) -> None:
    with pytest.raises(ConfigurationError):
        Redis("redis://127.0.0.1:9").rules(**settings)
