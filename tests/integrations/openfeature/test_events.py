"""The events and statuses of the provider; no call waits."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.event import ProviderEvent
from openfeature.exception import ErrorCode, ProviderFatalError, ProviderNotReadyError
from openfeature.flag_evaluation import Reason
from openfeature.provider import ProviderStatus

from asyncsdk import Client
from asyncsdk.dev import DevServer, Fault
from asyncsdk.integrations.openfeature import AsyncSDKProvider
from integrations.openfeature.providers import EventRecorder, fast_polling_client, gate, ruleset, statsig

READY, CHANGED, ERROR, STALE = (
    ProviderEvent.PROVIDER_READY,
    ProviderEvent.PROVIDER_CONFIGURATION_CHANGED,
    ProviderEvent.PROVIDER_ERROR,
    ProviderEvent.PROVIDER_STALE,
)
Provide = Callable[[AsyncSDKProvider], OpenFeatureClient]


@pytest.fixture
async def stopped(server: DevServer) -> AsyncIterator[Client]:
    """A client whose source of rules fails until `server.clear_faults()`."""
    server.fault("statsig-rules", Fault(503))
    async with fast_polling_client(statsig(server), start_timeout=0.05) as client:
        while not (rules := client.health().rules) or not rules.last_error:
            await asyncio.sleep(0.01)
        yield client


def status() -> ProviderStatus:
    return api.get_client().get_provider_status()


async def test_a_provider_with_rules_is_ready_at_once(client: Client) -> None:
    recorder = EventRecorder(READY)
    await recorder.next()  # OpenFeature's own provider was ready before
    api.set_provider_and_wait(AsyncSDKProvider(client))

    assert status() is ProviderStatus.READY
    assert (await recorder.until(READY)).provider_name == "asyncsdk"
    assert api.get_provider_metadata().name == "asyncsdk"


async def test_without_rules_it_is_in_error_and_ready_when_they_arrive(stopped: Client, server: DevServer) -> None:
    with pytest.raises(ProviderNotReadyError) as caught:
        api.set_provider_and_wait(AsyncSDKProvider(stopped))
    found = api.get_client().get_boolean_details("open", False)

    assert status() is ProviderStatus.ERROR
    assert caught.value.error_message == "there are no rules yet (status 503)"
    assert (found.value, found.reason, found.error_code) == (False, Reason.ERROR, ErrorCode.PROVIDER_NOT_READY)

    recorder = EventRecorder(READY)
    server.clear_faults()
    details = await recorder.until(READY)

    assert (details.provider_name, details.metadata) == ("asyncsdk", {"source": "Network", "rulesetTime": 1000})
    assert status() is ProviderStatus.READY
    assert api.get_client().get_boolean_value("open", False)


async def test_rules_that_arrive_late_can_change(stopped: Client, server: DevServer) -> None:
    with pytest.raises(ProviderNotReadyError):
        api.set_provider_and_wait(AsyncSDKProvider(stopped))
    recorder = EventRecorder(READY, CHANGED)
    server.clear_faults()
    assert (await recorder.next())[0] is READY

    server.set_ruleset(ruleset(2000, feature_gates={}))

    assert (await recorder.next())[0] is CHANGED


async def test_a_status_that_lasts_is_emitted_once(flags: OpenFeatureClient, server: DevServer) -> None:
    recorder = EventRecorder(READY, CHANGED)
    assert (await recorder.next())[0] is READY
    await server.requested("statsig-rules", len(server.requests) + 3)
    server.set_ruleset(ruleset(2000, feature_gates={}))

    assert (await recorder.next())[0] is CHANGED


async def test_a_provider_may_be_registered_before_the_client_starts(server: DevServer) -> None:
    client = fast_polling_client(statsig(server))
    recorder = EventRecorder()
    api.set_provider(AsyncSDKProvider(client))

    assert (await recorder.until(ERROR)).message == (
        "Provider initialization failed: there are no rules yet (is the client started?)"
    )
    async with client:
        await recorder.until(READY)
        assert api.get_client().get_boolean_value("open", False)


async def test_registering_does_not_block_the_loop(stopped: Client) -> None:
    began = time.perf_counter()
    with pytest.raises(ProviderNotReadyError):
        api.set_provider_and_wait(AsyncSDKProvider(stopped))
    api.get_client().get_boolean_value("open", False)

    assert time.perf_counter() - began < 1


async def test_a_change_names_what_is_new_different_and_gone(flags: OpenFeatureClient, server: DevServer) -> None:
    recorder = EventRecorder(CHANGED)
    server.set_ruleset(ruleset(2000, feature_gates={"open": gate(), "new": gate()}, layer_configs={}))

    details = await recorder.until(CHANGED)

    assert details.flags_changed is not None
    assert sorted(details.flags_changed) == ["a.b", "dutch", "half", "layer:page", "new", "odd", "off", "open", "shared"]  # fmt: skip
    assert details.metadata == {"source": "Network", "rulesetTime": 2000}
    assert flags.get_boolean_value("open", True) is False


async def test_a_change_that_affects_no_name_lists_none(flags: OpenFeatureClient, server: DevServer) -> None:
    recorder = EventRecorder(CHANGED)
    server.set_ruleset(ruleset(2000, param_stores={"new": {"parameters": {}}}))

    assert (await recorder.until(CHANGED)).flags_changed is None


async def test_stale_rules_are_still_used(client: Client, server: DevServer, provide: Provide) -> None:
    flags = provide(AsyncSDKProvider(client, stale_after=0.1))
    recorder = EventRecorder(STALE, READY)
    server.fault("statsig-rules", Fault(503))

    stale = await recorder.until(STALE)
    found = flags.get_boolean_details("open", False)

    assert stale.message == "the source of rules has not replied for 0 s: status 503"
    assert status() is ProviderStatus.STALE
    assert (found.value, found.reason, found.flag_metadata["cause"]) == (True, Reason.STALE, "static")

    server.clear_faults()
    await recorder.until(READY)

    assert status() is ProviderStatus.READY
    assert flags.get_boolean_details("open", False).reason is Reason.STATIC


async def test_a_short_outage_emits_nothing(client: Client, server: DevServer, provide: Provide) -> None:
    provide(AsyncSDKProvider(client))
    recorder = EventRecorder(STALE, ERROR, CHANGED)
    server.script("statsig-rules", 503, 503)
    await server.requested("statsig-rules", len(server.requests) + 3)
    server.set_ruleset(ruleset(2000, feature_gates={}))

    assert (await recorder.next())[0] is CHANGED


@pytest.mark.parametrize("code", [401, 403])
async def test_a_rejected_key_without_rules_is_fatal_until_it_is_accepted(server: DevServer, code: int) -> None:
    server.fault("statsig-rules", Fault(code))
    async with fast_polling_client(statsig(server)) as client:
        with pytest.raises(ProviderFatalError) as caught:
            api.set_provider_and_wait(AsyncSDKProvider(client))
        found = api.get_client().get_boolean_details("open", False)

        assert caught.value.error_message == f"the key is rejected (status {code}), and there are no rules"
        assert status() is ProviderStatus.FATAL
        assert (found.value, found.error_code) == (False, ErrorCode.PROVIDER_FATAL)

        recorder = EventRecorder(READY)
        server.clear_faults()
        await recorder.until(READY)
        assert status() is ProviderStatus.READY


async def test_a_key_that_is_rejected_after_an_outage_is_fatal(stopped: Client, server: DevServer) -> None:
    with pytest.raises(ProviderNotReadyError):
        api.set_provider_and_wait(AsyncSDKProvider(stopped))
    recorder = EventRecorder(ERROR)
    await recorder.next()  # for the status that it has already
    server.clear_faults()
    server.fault("statsig-rules", Fault(401))

    details = await recorder.until(ERROR)

    assert (details.error_code, status()) == (ErrorCode.PROVIDER_FATAL, ProviderStatus.FATAL)


async def test_a_key_that_is_rejected_later_leaves_the_rules_in_use(
    flags: OpenFeatureClient, server: DevServer
) -> None:
    recorder = EventRecorder(ERROR, READY)
    server.fault("statsig-rules", Fault(401))

    details = await recorder.until(ERROR)
    found = flags.get_boolean_details("open", False)

    assert details.message == "the key is rejected (status 401); the previous rules are still in use"
    assert (details.error_code, status()) == (ErrorCode.GENERAL, ProviderStatus.ERROR)
    assert (found.value, found.reason) == (True, Reason.STALE)

    server.clear_faults()
    await recorder.until(READY)
    assert flags.get_boolean_details("open", False).reason is Reason.STATIC


async def test_a_replaced_provider_emits_no_more_and_leaves_the_client_running(
    client: Client, server: DevServer, provide: Provide
) -> None:
    provide(AsyncSDKProvider(client))
    provide(AsyncSDKProvider(client))
    recorder = EventRecorder(CHANGED)

    server.set_ruleset(ruleset(2000, feature_gates={"new": gate()}))
    first = await recorder.until(CHANGED)
    server.set_ruleset(ruleset(3000, feature_gates={}))
    second = await recorder.until(CHANGED)

    assert [details.metadata["rulesetTime"] for details in (first, second)] == [2000, 3000]
    assert client.health().state == "running"


async def test_a_provider_may_be_registered_again(client: Client, provide: Provide) -> None:
    provider = AsyncSDKProvider(client)
    provide(provider)
    api.shutdown()

    assert provide(provider).get_boolean_value("open", False)


async def test_a_closed_client_still_uses_its_last_rules(server: DevServer, provide: Provide) -> None:
    async with fast_polling_client(statsig(server)) as client:
        flags = provide(AsyncSDKProvider(client))

    assert flags.get_boolean_value("open", False)


async def test_an_unregistered_provider_logs_nothing(client: Client, server: DevServer, caplog: Any) -> None:
    caplog.set_level(logging.WARNING, "asyncsdk")
    changes: list[Any] = []
    AsyncSDKProvider(client)
    client.on_ruleset_change(changes.append)
    server.set_ruleset(ruleset(2000, feature_gates={}))
    while not changes:
        await asyncio.sleep(0.001)

    assert not caplog.records
