"""`client.off`: a function that was added is not called any more."""

from collections.abc import Callable
from typing import Any

import pytest
from helpers import ADA, quick, rudderstack, ruleset
from helpers import statsig_with_rules as statsig

from asyncsdk import Client, ConfigurationError, Rules, map_events, redact
from asyncsdk.dev import DevServer

HOOKS = ["on_evaluation", "on_request", "on_settled", "on_ruleset_change", "on_rules_health"]


class Counter:
    """An object whose method is a hook: each access to it makes a new bound method, which compares equal."""

    def __init__(self) -> None:
        self.calls = 0

    def count(self, *_: Any) -> None:
        self.calls += 1


async def happen(client: Client) -> None:
    """Make each hook be called."""
    assert await client.check_gate(ADA, "open")
    await (await client.track(ADA, "x"))
    await client.flush()
    body = ruleset(time=client.health().rules.time_ms + 1)  # type: ignore[union-attr]
    await client._refresher._install(body, "Bootstrap")  # type: ignore[union-attr]
    await client.refresh_rules(2)


@pytest.fixture
async def client(server: DevServer) -> Client:
    server.set_ruleset(ruleset())

    rules = Rules(specs_url=f"{server.url}/v2/download_config_specs", poll_interval=60)
    return Client(statsig(server, rules=rules), rudderstack(server, quick()))


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("given", [lambda one: one.count, lambda one: one.__class__.count.__get__(one)])
async def test_a_function_is_called_until_it_is_taken_off(
    client: Client, hook: str, given: Callable[[Counter], Any]
) -> None:
    counter, other = Counter(), Counter()
    getattr(getattr(client, hook)(counter.count), hook)(other.count)
    async with client:
        await happen(client)
        before = counter.calls
        assert client.off(given(counter)) is client
        await happen(client)

    assert 0 < before == counter.calls < other.calls


async def test_lookups_take_the_direct_path_again(client: Client) -> None:
    counter = Counter()
    async with client.on_evaluation(counter.count).on_evaluation(counter.count):
        assert not client._is_direct
        client.off(counter.count)

        assert client._is_direct
        assert await client.check_gate(ADA, "open")
        assert not counter.calls


async def test_middleware_is_taken_off_and_redaction_with_it(server: DevServer) -> None:
    cleaner, renamed = redact("email"), map_events(lambda event, _: None)
    async with Client(rudderstack(server)).add_middleware(cleaner).add_middleware(renamed) as client:
        await client.track(ADA, "dropped")
        client.off(renamed).off(cleaner)
        await client.track(ADA, "sent", {"email": "a@b.c"})

    assert [event.body["properties"] for event in server.accepted("rudderstack")] == [{"email": "a@b.c"}]
    assert client._exposures._redact(ADA) is ADA


@pytest.mark.parametrize("hook", HOOKS)
async def test_a_function_that_takes_itself_off_skips_no_other(client: Client, hook: str) -> None:
    calls: list[str] = []

    def once(*_: Any) -> None:
        calls.append("once")
        client.off(once)

    def note(word: str) -> Callable[..., None]:
        return lambda *_: calls.append(word)

    for function in (note("first"), once, note("last")):
        getattr(client, hook)(function)
    async with client:
        await happen(client)

    assert calls[:3] == ["first", "once", "last"]
    assert calls.count("once") == 1


async def test_a_function_that_was_not_added_is_a_mistake(client: Client) -> None:
    counter = Counter()
    client.on_settled(counter.count).off(counter.count)

    for function in (counter.count, len, None):
        with pytest.raises(ConfigurationError, match="not added"):
            client.off(function)  # type: ignore[arg-type] # None is a mistake under test


async def test_without_rules_a_hook_of_the_rules_comes_off_too() -> None:
    counter = Counter()
    client = Client().on_ruleset_change(counter.count).on_rules_health(counter.count)

    assert client.off(counter.count) is client


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_that_would_have_to_be_awaited_is_refused(hook: str) -> None:
    async def late(*_: Any) -> None: ...

    with pytest.raises(ConfigurationError, match=f"{hook} takes a plain function"):
        getattr(Client(), hook)(late)
