"""The contract of stores of sticky assignments: those of `asyncsdk.stores`, and those of engines on real servers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import ADA, statsig_with_rules
from lookups.test_assignments import rules
from stores.test_stores import create, stores

from asyncsdk import Client, Rules
from asyncsdk.engines import Postgres, Redis
from asyncsdk.stores import ComparingStore
from engines.conftest import maker_of

Stores = Callable[[], ComparingStore]


@pytest.fixture(params=[*(kind.__name__ for kind in stores("Assignments")), "memory", "redis", "postgres"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Callable[[], Any], bool]:
    """What makes another store or engine, and whether it is an engine."""
    if request.param in ("memory", "redis", "postgres"):
        return maker_of(request.param, request), True
    kind = next(kind for kind in stores("Assignments") if kind.__name__ == request.param)
    first = create(kind, tmp_path)
    return (lambda: first if request.param.startswith("Memory") else create(kind, tmp_path)), False


@pytest.fixture
async def another(make: tuple[Callable[[], Any], bool]) -> AsyncIterator[Stores]:
    """A function that returns another store of the same assignments each time, as another process would have."""
    create_one, is_engine = make
    engines: list[Any] = []

    def another() -> Any:
        if not is_engine:
            return create_one()
        engines.append(create_one())
        return engines[-1].assignments()

    yield another
    for engine in engines:
        await engine.aclose()


@pytest.fixture
def assignments(another: Stores) -> ComparingStore:
    return another()


async def test_a_new_unit_has_no_assignments(assignments: ComparingStore) -> None:
    assert await assignments.load("ada:userID") == {}


async def test_assignments_are_kept_by_unit_and_name(assignments: ComparingStore) -> None:
    await assignments.save("ada:userID", "button", {"rule_id": "a", "json_value": {"x": [1]}})
    await assignments.save("ada:userID", "price", {"rule_id": "b"})
    await assignments.save("bob:userID", "button", {"rule_id": "c"})
    await assignments.save("ada:userID", "button", {"rule_id": "d"})

    assert await assignments.load("ada:userID") == {"button": {"rule_id": "d"}, "price": {"rule_id": "b"}}
    assert await assignments.load("bob:userID") == {"button": {"rule_id": "c"}}


async def test_an_assignment_can_be_deleted(assignments: ComparingStore) -> None:
    await assignments.save("ada:userID", "button", {"rule_id": "a"})
    await assignments.save("ada:userID", "price", {"rule_id": "b"})
    await assignments.save("ada:userID", "button", None)
    assert await assignments.load("ada:userID") == {"price": {"rule_id": "b"}}

    await assignments.save("ada:userID", "price", None)
    await assignments.save("ada:userID", "price", None)
    assert await assignments.load("ada:userID") == {}


async def test_loaded_assignments_are_not_changed_by_later_saves(assignments: ComparingStore) -> None:
    await assignments.save("ada:userID", "button", {"rule_id": "a"})
    loaded = await assignments.load("ada:userID")
    await assignments.save("ada:userID", "price", {"rule_id": "b"})

    assert loaded == {"button": {"rule_id": "a"}}


async def test_concurrent_saves_lose_no_assignment(assignments: ComparingStore) -> None:
    await asyncio.gather(*(assignments.save("ada:userID", f"test-{n}", {"rule_id": str(n)}) for n in range(20)))

    assert len(await assignments.load("ada:userID")) == 20


@pytest.mark.parametrize("text", ["", "ada|b:userID", "nul\0l", "\udc80", "über {a}" * 100])
async def test_units_and_names_may_be_any_text(assignments: ComparingStore, text: str) -> None:
    await assignments.save(text, "name", {"value": text if text.isprintable() else ""})
    await assignments.save("unit", text.encode("utf-8", "replace").decode(), {"value": True})

    assert len(await assignments.load(text)) == len(await assignments.load("unit")) == 1


# --- several processes --------------------------------------------------------------------------------------------

A, B = {"rule_id": "a", "json_value": {"z": 1, "a": [1.5, None]}}, {"rule_id": "b"}


async def test_the_first_of_two_assignments_wins(another: Stores) -> None:
    one, two = another(), another()

    assert await one.compare_and_set("unit", "button", None, A) == A
    assert await two.compare_and_set("unit", "button", None, B) == A
    assert await two.load("unit") == {"button": A}


async def test_an_expected_assignment_is_replaced_and_deleted(assignments: ComparingStore) -> None:
    await assignments.save("unit", "button", A)

    assert await assignments.compare_and_set("unit", "button", dict(reversed(A.items())), B) == B
    assert await assignments.compare_and_set("unit", "button", A, None) == B
    assert await assignments.compare_and_set("unit", "button", B, None) is None
    assert await assignments.compare_and_set("unit", "button", None, None) is None
    assert await assignments.compare_and_set("unit", "button", B, A) is None
    assert await assignments.load("unit") == {}


async def test_of_many_processes_exactly_one_is_first(another: Stores) -> None:
    racers = [another() for _ in range(5)]
    outcomes = await asyncio.gather(
        *(racers[n % 5].compare_and_set("unit", "button", None, {"n": n}) for n in range(20))
    )

    assert len({str(outcome) for outcome in outcomes}) == 1
    assert await racers[0].load("unit") == {"button": outcomes[0]}


async def test_two_clients_agree_on_the_group_that_was_saved_first(another: Stores) -> None:
    """Two processes with different rules assign a user at the same time."""
    clients = [client_of(rules(color, group=color), another()) for color in ("green", "red")]
    async with clients[0] as green, clients[1] as red:
        await asyncio.gather(*(client.load_assignments(ADA) for client in (green, red)))
        seen = [(await client.get_experiment(ADA, "button")).get("color") for client in (green, red)]
        await green.flush()
        await red.flush()

        assert seen == ["green", "red"]
        assert {(await client.get_experiment(ADA, "button")).get("color") for client in (green, red)} in (
            {"green"},
            {"red"},
        )


def client_of(body: bytes, store: ComparingStore) -> Client:
    source = Rules(bootstrap=body, specs_url="http://127.0.0.1:9/v2/none", assignments=store)
    return Client(statsig_with_rules(offline=True, rules=source))


# --- engines ------------------------------------------------------------------------------------------------------


async def test_a_units_assignments_expire_when_they_are_told_to(redis_server: Any, request: Any) -> None:
    engine = Redis(redis_server.url, prefix=request.node.name)
    try:
        store = engine.assignments(max_age=0.05)
        await store.save("unit", "button", A)
        await store.compare_and_set("unit", "price", None, B)
        while await store.load("unit"):
            await asyncio.sleep(0.01)
    finally:
        await engine.aclose()


@pytest.mark.parametrize("damage", [b"", b"{", b"[]"])
async def test_a_damaged_assignment_of_redis_counts_as_none(redis_server: Any, request: Any, damage: bytes) -> None:
    engine = Redis(redis_server.url, prefix=request.node.name)
    try:
        await engine._clients.commands.hset(f"{request.node.name}:assignments:unit", "button", damage)
        store = engine.assignments()
        assert await store.load("unit") == {}
        assert await store.compare_and_set("unit", "button", None, A) == A
    finally:
        await engine.aclose()


def test_rules_take_an_engine_as_the_store_of_assignments() -> None:
    for engine in (Redis("redis://127.0.0.1:9"), Postgres("postgresql://127.0.0.1:9/db")):
        assert isinstance(Rules(assignments=engine).assignments, ComparingStore)
