"""`Client(enabled=False)`: nothing leaves, nothing starts, and all calls still work."""

import asyncio
import logging
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from helpers import ADA, amplitude, rudderstack, ruleset, spec, statsig

from asyncsdk import (
    Alias,
    Client,
    ConfigurationError,
    Group,
    IdentifyEvent,
    InvalidEventError,
    LogEvent,
    Page,
    RawEvent,
    RudderStack,
    Rules,
    Screen,
    Statsig,
    Track,
)
from asyncsdk.dev import DevServer
from asyncsdk.stores import MemoryAssignments, MemoryCache

EVERY_EVENT = [
    Track(ADA, "x"),
    Page(ADA, "x"),
    Screen(ADA, "x"),
    IdentifyEvent(ADA, {"plan": "pro"}),
    Group(ADA, "acme"),
    Alias("old", ADA),
    LogEvent(ADA, "x"),
    RawEvent({"event_type": "x", "user_id": "ada-lovelace"}),
]


def all_three(server: DevServer, **settings: Any) -> Client:
    source = statsig(server, rules=Rules(specs_url=f"{server.url}/v2/download_config_specs", id_lists=True))
    return Client(source, rudderstack(server), amplitude(server, exposures="all"), enabled=False, **settings)


def is_empty(folder: Path) -> bool:
    return not any(folder.iterdir())


async def test_nothing_leaves(server: DevServer) -> None:
    async with all_three(server) as client:
        for event in EVERY_EVENT:
            client.put_nowait(event)
        await client.check_gate(ADA, "open")
        client.log_exposure(ADA, "open")
        await client.refresh_rules()
        report = await client.flush()

    assert report.complete
    assert server.requests == []
    assert [count.skipped for count in report.destinations.values()] == [{"disabled": len(EVERY_EVENT)}] * 3
    assert not any(count.pending or count.exposures for count in report.destinations.values())


async def test_nothing_starts(server: DevServer, tmp_path: Path) -> None:
    tasks, threads = asyncio.all_tasks(), threading.active_count()
    client = all_three(server, spool=tmp_path / "spool", drain_on_sigterm=True)
    client.add_background_task("mine", lambda: asyncio.sleep(60))

    async with client:
        await client.track(ADA, "x")
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == tasks
        assert threading.active_count() == threads
        assert is_empty(tmp_path)
        assert client.health().spool is None


async def test_start_and_close_take_no_time(server: DevServer) -> None:
    began = time.monotonic()

    for _ in range(100):
        async with all_three(server) as client:
            assert (await client.start(require_ready=True)).ready

    assert time.monotonic() - began < 2.5  # a client that is on waits 3 s for rules that do not come


async def test_a_receipt_is_final_at_once(server: DevServer) -> None:
    async with all_three(server) as client:
        deliveries = await (await client.track(ADA, "x"))

    assert {(delivery.status, delivery.reason) for delivery in deliveries.values()} == {("skipped", "disabled")}


@pytest.mark.parametrize("mistake", [Track(ADA, ""), Track("", "x"), Track(ADA, "x", {"at": object()})])
async def test_mistakes_still_raise(server: DevServer, mistake: Track) -> None:
    async with all_three(server) as client:
        with pytest.raises(InvalidEventError):
            client.put_nowait(mistake)


async def test_middleware_still_runs(server: DevServer) -> None:
    seen: list[str] = []

    async with all_three(server).add_middleware(lambda payload, _: seen.append(payload.event.name)) as client:  # type: ignore[arg-type, return-value, union-attr]
        await client.track(ADA, "x")

    assert seen == ["x"]


async def test_events_of_other_threads_are_counted(server: DevServer) -> None:
    async with all_three(server) as client:
        await asyncio.to_thread(client.put_nowait, Track(ADA, "x"))
        report = await client.flush()

    assert report.destinations["RudderStack"].skipped == {"disabled": 1}


@pytest.mark.parametrize("as_file", [False, True])
async def test_lookups_answer_the_bootstrap(tmp_path: Path, as_file: bool) -> None:
    file = tmp_path / "rules.json"
    file.write_bytes(ruleset())
    rules = Rules(bootstrap=file if as_file else ruleset(), cache=MemoryCache())
    client = Client(Statsig("secret-key", rules=rules), enabled=False)
    threads = threading.active_count()

    async with client:
        assert await client.check_gate(ADA, "open")
        assert client.bind(ADA).get_config("prices").get("price") == 9.5
        assert client.health().rules.source == "Bootstrap"  # type: ignore[union-attr]
        assert threading.active_count() == threads


async def test_a_bootstrap_file_that_changed_is_read_by_refresh(tmp_path: Path) -> None:
    file = tmp_path / "rules.json"
    file.write_bytes(ruleset(feature_gates={}))

    async with Client(Statsig("secret-key", rules=Rules(bootstrap=file)), enabled=False) as client:
        before = await client.check_gate(ADA, "open")
        file.write_bytes(ruleset(time=2000))
        assert await client.refresh_rules()
        assert [before, await client.check_gate(ADA, "open")] == [False, True]


async def test_a_bootstrap_that_cannot_be_read_delays_nothing(tmp_path: Path) -> None:
    began = time.monotonic()

    async with Client(Statsig("secret-key", rules=Rules(bootstrap=tmp_path / "none")), enabled=False) as client:
        assert not (await client.start()).ready
        assert not await client.refresh_rules()

    assert time.monotonic() - began < 2.5


async def test_lookups_answer_overrides_and_fallbacks(server: DevServer) -> None:
    async with all_three(server) as client:
        client.override_gate("mine", value=True)

        assert await client.check_gate(ADA, "mine")
        assert not await client.check_gate(ADA, "other")


async def test_a_store_of_assignments_is_not_asked() -> None:
    rules = Rules(bootstrap=ruleset(), assignments=MemoryAssignments())

    async with Client(Statsig("secret-key", rules=rules), enabled=False) as client:
        assert not await client.load_assignments(ADA)
        assert client.health().assignments is None


@pytest.mark.parametrize("word", ["0", "false", "No", " OFF "])
def test_the_environment_switches_off(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setenv("ASYNCSDK_ENABLED", word)

    assert not Client().health().enabled
    assert Client(enabled=True).health().enabled


@pytest.mark.parametrize("word", ["", "1", "true", "yes", "on"])
def test_the_environment_leaves_it_on(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setenv("ASYNCSDK_ENABLED", word)

    assert Client().health().enabled


def test_another_word_in_the_environment_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYNCSDK_ENABLED", "maybe")

    with pytest.raises(ConfigurationError, match="ASYNCSDK_ENABLED must be one of 1, true, yes, on, 0,"):
        Client()


@pytest.mark.parametrize("settings", [{"enabled": "no"}, {"enabled": 0}, {"spool": ""}, {"http": "http://proxy"}])
def test_settings_are_checked(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Client(RudderStack("key", "http://127.0.0.1:9"), **{"enabled": False, **settings})


async def test_a_dev_server_gets_nothing(server: DevServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYNCSDK_DEV_SERVER", server.url)

    async with all_three(server) as client:
        await client.track(ADA, "x")
        await client.flush()

    assert server.requests == []


@pytest.mark.parametrize(("setting", "level"), [(False, "INFO"), (None, "WARNING")])
async def test_the_log_says_that_it_is_off(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, setting: bool | None, level: str
) -> None:
    monkeypatch.setenv("ASYNCSDK_ENABLED", "0")
    caplog.set_level(logging.INFO)

    async with Client(enabled=setting) as client:
        assert repr(client) == "<Client off, running []: 0 events pending>"

    [line] = [record for record in caplog.records if "is off" in record.message]
    assert line.levelname == level


async def test_it_can_be_closed_twice_and_not_restarted(server: DevServer) -> None:
    client = all_three(server)
    await client.start()

    assert await client.aclose() is await client.aclose()
    assert client.health().state == "closed"


async def test_cancelling_while_it_is_entered_closes_it(server: DevServer) -> None:
    many = {str(number): spec("feature_gate", False) for number in range(30_000)}  # loaded in several turns of the loop
    client = Client(statsig(server, rules=Rules(bootstrap=ruleset(feature_gates=many))), enabled=False)
    entering = asyncio.create_task(client.__aenter__())
    await asyncio.sleep(0)
    entering.cancel()
    await asyncio.wait([entering])

    assert entering.cancelled()
    assert client.health().state == "closed"


def test_a_script_does_not_even_load_aiohttp() -> None:
    code = (
        "import asyncio, sys; from asyncsdk import Client, Amplitude, Track\n"
        "async def main():\n"
        "    async with Client(Amplitude('key')) as client: await client.track('ada-lovelace', 'x')\n"
        "asyncio.run(main()); assert 'aiohttp' not in sys.modules"
    )
    environ = {"ASYNCSDK_ENABLED": "0", "PYTHONPATH": ":".join(sys.path)}
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=30, env=environ)


async def test_destinations_behind_one_are_selected_as_ever(server: DevServer) -> None:
    async with Client(rudderstack(server), enabled=False) as client:
        await client.track(ADA, "x", integrations={"All": False, "Webhook": True})
        await client.track(ADA, "x", integrations={"All": False})

    assert (await client.aclose()).destinations["RudderStack"].skipped == {"disabled": 1, "integrations": 1}
