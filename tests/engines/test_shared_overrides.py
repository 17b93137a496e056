"""Overrides that a fleet shares: the contract of engines, and clients of several processes."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing

import pytest
from helpers import ruleset, statsig_with_rules
from hypothesis import given
from hypothesis import strategies as st

from asyncsdk import Client, ConfigurationError, Rules
from asyncsdk._model.fleet import Copy, SharedOverrides
from asyncsdk._rules.language.override_document import decode_overrides, encode_overrides
from asyncsdk._rules.language.overrides import KINDS, GroupOverride, Overrides
from asyncsdk.dev import DevServer
from asyncsdk.engines import Engine, EngineError, Memory

Engines = Callable[[], Engine]
Clients = Callable[[], Client]


@pytest.fixture
def shared(engines: Engines) -> SharedOverrides:
    return engines().overrides()  # type: ignore[attr-defined,no-any-return]


@pytest.fixture
def clients(engines: Engines, server: DevServer) -> Clients:
    """A function that returns another client each time, as another process would have."""

    def another() -> Client:
        rules = Rules(bootstrap=ruleset(), specs_url=f"{server.url}/v2/none", overrides=engines())  # type: ignore[arg-type]
        return Client(statsig_with_rules(server, rules=rules))

    return another


async def seen(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5.0):
        while not condition():
            await asyncio.sleep(0.01)


# --- the contract of engines ----------------------------------------------------------------------------------


async def test_there_is_nothing_at_first(shared: SharedOverrides) -> None:
    assert await shared.read("p") == Copy()


async def test_what_was_written_is_read_and_not_returned_twice(shared: SharedOverrides) -> None:
    version = await shared.write("p", b"1", replaces="")
    assert version
    assert await shared.read("p") == Copy(version, b"1")
    assert await shared.read("p", version) == Copy(version, None)


async def test_projects_are_apart(shared: SharedOverrides) -> None:
    await shared.write("p", b"1", replaces="")
    assert await shared.read("q") == Copy()


async def test_a_write_replaces_only_the_version_that_it_names(shared: SharedOverrides) -> None:
    first = await shared.write("p", b"1", replaces="")
    assert await shared.write("p", b"2", replaces="") is None
    second = await shared.write("p", b"2", replaces=first or "")
    assert await shared.write("p", b"3", replaces=first or "") is None

    assert await shared.read("p") == Copy(second or "", b"2")


async def test_of_concurrent_writes_one_wins(shared: SharedOverrides) -> None:
    results = await asyncio.gather(*(shared.write("p", b"%d" % number, replaces="") for number in range(10)))
    assert sum(result is not None for result in results) == 1


async def test_a_write_is_noticed(engines: Engines) -> None:
    writer, reader = engines().overrides(), engines().overrides()  # type: ignore[attr-defined]
    async with aclosing(reader.notices("p")) as notices, asyncio.timeout(5.0):
        await anext(notices)
        await writer.write("p", b"1", replaces="")
        await anext(notices)


# --- clients --------------------------------------------------------------------------------------------------


async def test_an_override_applies_at_once_here_and_soon_elsewhere(clients: Clients) -> None:
    async with clients() as one, clients() as other:
        one.override_gate("sale", True).override_config("theme", {"dark": True}, user_id="ada")
        assert await one.check_gate("ada", "sale")
        await seen(lambda: other.bind("ada").check_gate("sale"))

        assert other.bind("ada").get_config("theme").value == {"dark": True}


async def test_a_removed_override_is_removed_everywhere(clients: Clients) -> None:
    async with clients() as one, clients() as other:
        one.override_gate("sale", True)
        await seen(lambda: other.bind("ada").check_gate("sale"))
        other.remove_override("sale")
        await seen(lambda: not one.bind("ada").check_gate("sale"))


async def test_overrides_survive_the_fleet(clients: Clients) -> None:
    async with clients() as one:
        one.override_gate("sale", True, user_id="ada")
    async with clients() as later:
        assert await later.check_gate("ada", "sale")
        assert not await later.check_gate("bob", "sale")


async def test_overrides_set_at_the_same_time_all_stay(clients: Clients) -> None:
    fleet = [clients() for _ in range(5)]
    names = [f"gate-{number}" for number in range(5)]
    for client, name in zip(fleet, names, strict=True):
        client.override_gate(name, True)
    async with AsyncExitStack() as stack:
        await asyncio.gather(*map(stack.enter_async_context, fleet))
        await seen(lambda: all(client.bind("ada").check_gate(name) for client in fleet for name in names))


async def test_flush_waits_until_the_fleet_has_them(clients: Clients) -> None:
    async with clients() as one:
        one.override_gate("sale", True)
        await one.flush()
        health = one.health().overrides
        assert health is not None
        assert health.unwritten == 0


async def test_an_override_that_the_fleet_has_already_is_not_written_again(clients: Clients) -> None:
    async with clients() as one:
        one.override_gate("sale", True)
        await one.flush()
        before = repr(one._override_sync)
        one.override_gate("sale", True)
        await one.flush()

        assert repr(one._override_sync) == before


async def test_an_override_of_another_thread_is_shared(clients: Clients) -> None:
    async with clients() as one, clients() as other:
        thread = threading.Thread(target=one.override_gate, args=("sale", True))
        thread.start()
        thread.join()
        await seen(lambda: other.bind("ada").check_gate("sale"))


# --- failures -------------------------------------------------------------------------------------------------


class Breakable(Memory):
    """An engine whose overrides cannot be read or written for a while."""

    is_down = False

    def overrides(self) -> "FailingOverrides":  # type: ignore[override]
        return FailingOverrides(self)


class FailingOverrides:
    def __init__(self, engine: Breakable) -> None:
        self._engine, self._real = engine, Memory.overrides(engine)

    async def read(self, project: str, known: str = "") -> Copy:
        self._check()
        return await self._real.read(project, known)

    async def write(self, project: str, body: bytes, *, replaces: str) -> str | None:
        self._check()
        return await self._real.write(project, body, replaces=replaces)

    async def notices(self, project: str) -> AsyncIterator[None]:
        async for _ in self._real.notices(project):
            self._check()
            yield

    async def aclose(self) -> None:
        pass

    def _check(self) -> None:
        if self._engine.is_down:
            raise EngineError("connection refused")


def client_of(engine: Memory, server: DevServer) -> Client:
    rules = Rules(bootstrap=ruleset(), specs_url=f"{server.url}/v2/none", overrides=engine)  # type: ignore[arg-type]
    return Client(statsig_with_rules(server, rules=rules), close_timeout=0.3)


async def test_while_the_engine_is_down_the_last_ones_stay_and_new_ones_wait(
    server: DevServer, caplog: pytest.LogCaptureFixture
) -> None:
    engine = Breakable()
    async with client_of(engine, server) as one, client_of(engine, server) as other:
        one.override_gate("old", True)
        await seen(lambda: other.bind("ada").check_gate("old"))
        engine.is_down = True
        one.override_gate("new", True)
        await seen(lambda: bool((health := one.health().overrides) and health.last_error == "connection refused"))
        assert (one.bind("ada").check_gate("new"), one.bind("ada").check_gate("old")) == (True, True)
        engine.is_down = False
        await seen(lambda: other.bind("ada").check_gate("new"))

    assert sum("shared overrides: connection refused" in line for line in caplog.messages) <= 2


async def test_a_damaged_document_is_said_and_replaced_by_the_next_change(
    server: DevServer, caplog: pytest.LogCaptureFixture
) -> None:
    engine = Memory()
    async with client_of(engine, server) as one:
        one.override_gate("old", True)
        await one.flush()
        project = next(iter(engine._overrides))
        version = engine._overrides[project].copy.version
        await engine.overrides().write(project, b"{", replaces=version)
        await seen(lambda: "is damaged" in caplog.text)
        assert one.bind("ada").check_gate("old")
        one.override_gate("new", True)
        await one.flush()

    assert len(encode_overrides(decode_overrides(engine._overrides[project].copy.body or b""))) > 50


async def test_changes_beyond_the_maximum_stay_in_the_process(server: DevServer) -> None:
    engine = Breakable()
    engine.is_down = True
    async with client_of(engine, server) as one:
        for number in range(1_001):
            one.override_gate(f"gate-{number}", True)
        health = one.health().overrides
        assert health is not None
        assert (health.unwritten, one.bind("ada").check_gate("gate-1000")) == (1_000, True)


async def test_changes_that_are_not_written_in_time_are_in_the_log(
    server: DevServer, caplog: pytest.LogCaptureFixture
) -> None:
    engine = Breakable()
    engine.is_down = True
    async with client_of(engine, server) as one:
        one.override_gate("sale", True)

    assert "1 changes not written within the close timeout" in caplog.text


async def test_overrides_of_a_dev_server_stay_in_their_process(
    server: DevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASYNCSDK_DEV_SERVER", server.url)
    engine = Memory()
    one = client_of(engine, server).override_gate("early", True)
    async with one:
        one.override_gate("sale", True)
        await one.flush()
        assert one.bind("ada").check_gate("sale")

    assert engine._overrides == {}


async def test_an_override_of_a_closed_client_stays_in_it(server: DevServer) -> None:
    engine = Memory()
    async with client_of(engine, server) as one:
        pass
    one.override_gate("sale", True)

    assert one.bind("ada").check_gate("sale")
    assert all(not kept.copy.version for kept in engine._overrides.values())


async def test_lost_notices_are_listened_for_again(server: DevServer) -> None:
    engine = Breakable()
    async with client_of(engine, server) as one, client_of(engine, server) as other:
        engine.is_down = True
        one.override_gate("sale", True)
        await Memory.overrides(engine).write(next(iter(engine._overrides)), b"[]", replaces="")
        await seen(lambda: bool((health := one.health().overrides) and health.last_error))
        engine.is_down = False
        await one.flush()
        await seen(lambda: other.bind("ada").check_gate("sale"))


async def test_the_fleets_overrides_have_a_repr(server: DevServer) -> None:
    async with client_of(Memory(), server) as one:
        one.override_gate("sale", True)
        assert repr(one._override_sync) == "<OverrideSync version '', 1 changes unwritten>"


@pytest.mark.parametrize("wrong", [Memory, "redis://a", 1])
def test_what_is_no_engine_is_refused(wrong: object) -> None:
    with pytest.raises(ConfigurationError, match="`overrides` of Rules must be an engine"):
        Rules(overrides=wrong)  # type: ignore[arg-type]


# --- the document ---------------------------------------------------------------------------------------------

json_values = st.recursive(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(), st.lists, max_leaves=5)


@st.composite
def overrides(draw: st.DrawFn) -> Overrides:
    made = Overrides()
    for _ in range(draw(st.integers(0, 6))):
        kind = draw(st.sampled_from(KINDS))
        value = draw(st.booleans() if kind == "gate" else st.dictionaries(st.text(), json_values, max_size=3))
        if kind == "experiment" and draw(st.booleans()):
            value = GroupOverride(draw(st.text()))
        any_text = st.text(st.characters(codec=None))
        made = made.set(kind, draw(any_text), value, draw(st.none() | any_text))
    return made


@given(overrides())
def test_a_document_has_all_that_was_put_into_it(given_overrides: Overrides) -> None:
    assert decode_overrides(encode_overrides(given_overrides)) == given_overrides


@pytest.mark.parametrize(
    "row",
    [
        "1",
        '{"kind":"song","name":"a","value":true}',
        '{"kind":"gate","name":1,"value":true}',
        '{"kind":"gate","name":"a","value":1}',
        '{"kind":"gate","name":"a","unit":1,"value":true}',
        '{"kind":"gate","name":"a","group":"b"}',
        '{"kind":"config","name":"a","value":[]}',
        '{"kind":"gate","name":"a"}',
    ],
)
def test_rows_that_this_version_does_not_know_are_left_out(row: str) -> None:
    known = '{"kind":"gate","name":"sale","unit":null,"value":true}'
    assert decode_overrides(f"[{row},{known}]".encode()) == Overrides().set("gate", "sale", True)


@pytest.mark.parametrize("document", [b"{", b"{}", b"\xff", b""])
def test_what_is_no_document_is_an_error(document: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        decode_overrides(document)
