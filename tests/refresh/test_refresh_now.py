"""`client.refresh_rules`: the rules are requested now, and in use when it returns."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from helpers import ADA, ruleset, spec

from asyncsdk import Client, ClientClosedError, ConfigurationError, Rules, Statsig, WrongEventLoopError
from asyncsdk._refresh.poll_loop import PollLoop
from asyncsdk.dev import DevServer, Fault

PATH = "/v2/download_config_specs"
CLOSED = {"feature_gates": {"open": spec("feature_gate", False)}}


def client_for(server: DevServer, **settings: Any) -> Client:
    urls = {"specs_url": server.url + PATH, "id_lists_url": f"{server.url}/v1/get_id_lists"}
    rules = Rules(**{**urls, "poll_interval": 3600, "id_lists_interval": 3600, **settings})
    return Client(Statsig("secret-key", log_event_url=f"{server.url}/v1/log_event", rules=rules))


def rules_requests(server: DevServer) -> int:
    return sum("download_config_specs" in request.path for request in server.requests)


@pytest.fixture
async def client(server: DevServer) -> AsyncIterator[Client]:
    server.set_ruleset(ruleset())
    async with client_for(server) as client:
        yield client


async def test_new_rules_are_in_use_when_it_returns(server: DevServer, client: Client) -> None:
    assert await client.check_gate(ADA, "open")
    server.set_ruleset(ruleset(2000, **CLOSED))

    assert await client.refresh_rules() is True
    assert not await client.check_gate(ADA, "open")


async def test_it_succeeds_without_a_change(client: Client) -> None:
    assert [await client.refresh_rules(), await client.refresh_rules()] == [True, True]


async def test_a_failure_is_false_and_the_rules_stay(server: DevServer, client: Client) -> None:
    server.script("statsig-rules", Fault(status=503))

    assert await client.refresh_rules() is False
    assert "503" in client.health().rules.last_error  # type: ignore[union-attr]
    assert await client.check_gate(ADA, "open")
    assert await client.refresh_rules() is True


async def test_callers_share_one_request_that_began_after_they_asked(server: DevServer, client: Client) -> None:
    server.script("statsig-rules", Fault(delay=0.2))
    before = rules_requests(server)
    early = asyncio.create_task(client.refresh_rules())
    while rules_requests(server) == before:
        await asyncio.sleep(0.01)
    server.set_ruleset(ruleset(2000, **CLOSED))

    assert all(await asyncio.gather(early, *(client.refresh_rules() for _ in range(5))))
    assert rules_requests(server) - before == 2
    assert not await client.check_gate(ADA, "open")


async def test_id_lists_are_requested_too(server: DevServer) -> None:
    server.set_ruleset(ruleset())
    server.set_id_list("vips", ["a"])
    async with client_for(server, id_lists=True) as client:
        server.append_id_list("vips", ["b"])

        assert await client.refresh_rules()
        assert client.health().rules.id_lists == {"vips": 2}  # type: ignore[union-attr]


async def test_a_request_that_takes_too_long_is_false(server: DevServer, client: Client) -> None:
    server.script("statsig-rules", Fault(delay=5))

    assert await client.refresh_rules(timeout=0.05) is False


async def test_a_close_ends_the_wait(server: DevServer, client: Client) -> None:
    server.script("statsig-rules", Fault(delay=5))
    waiting = asyncio.create_task(client.refresh_rules())
    await asyncio.sleep(0.05)
    await client.aclose(0.2)

    assert await waiting is False


async def test_a_loop_that_is_cancelled_before_it_polls_answers_its_callers() -> None:
    polls = PollLoop()

    async def poll() -> tuple[bool, float]:
        return True, 3600.0

    running = asyncio.create_task(polls.run(poll))
    assert await polls.poll_now() is True
    waiting = asyncio.create_task(polls.poll_now())
    running.cancel()

    assert await waiting is False


async def test_offline_the_bootstrap_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "rules.json"
    file.write_bytes(ruleset())
    async with Client(Statsig("secret-key", offline=True, rules=Rules(bootstrap=file))) as client:
        file.write_bytes(ruleset(2000, **CLOSED))
        assert await client.refresh_rules()
        assert not await client.check_gate(ADA, "open")

        file.write_bytes(b"{")
        assert await client.refresh_rules() is False


@pytest.mark.parametrize("timeout", [float("nan"), "5", None, True])
async def test_a_timeout_is_a_number_of_seconds(client: Client, timeout: Any) -> None:
    with pytest.raises(ConfigurationError, match="seconds"):
        await client.refresh_rules(timeout)


async def test_it_needs_a_running_client_on_its_loop(server: DevServer, client: Client) -> None:
    with pytest.raises(ClientClosedError, match="not started"):
        await client_for(server).refresh_rules()
    with pytest.raises(WrongEventLoopError):
        await asyncio.to_thread(lambda: asyncio.run(client.refresh_rules()))
    await client.aclose()
    with pytest.raises(ClientClosedError, match="closed"):
        await client.refresh_rules()


async def test_without_a_source_of_rules_there_is_nothing_to_do() -> None:
    async with Client() as client:
        assert await client.refresh_rules() is True
