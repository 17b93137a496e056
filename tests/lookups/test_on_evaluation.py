"""`on_evaluation`: watchers are called with every result, and do not change any."""

import logging
import threading

import pytest
from helpers import ADA
from helpers import statsig_with_rules as statsig

from asyncsdk import Client, ConfigurationError, FeatureGate, Layer, LookupResult, User
from asyncsdk.dev import DevServer

Results = list[tuple[User, LookupResult]]


def watch(client: Client) -> Results:
    results: Results = []
    client.on_evaluation(lambda user, result: results.append((user, result)))
    return results


async def test_watchers_get_the_result_of_every_kind_of_lookup() -> None:
    async with Client(statsig(offline=True)) as client:
        results = watch(client)
        assert await client.check_gate(ADA, "open") is True
        returned = [
            await client.get_gate(ADA, "dutch"),
            await client.get_config(ADA, "prices"),
            await client.get_experiment(ADA, "button"),
        ]
        await client.get_layer(ADA, "page")

    assert [(user, result.name) for user, result in results] == [
        (ADA, "open"),
        (ADA, "dutch"),
        (ADA, "prices"),
        (ADA, "button"),
        (ADA, "page"),
    ]
    assert [result for _, result in results[1:4]] == returned


async def test_lookups_before_the_start_are_watched() -> None:
    client = Client(statsig(offline=True))
    results = watch(client)

    assert await client.check_gate("bob", "open") is False
    assert [(user.user_id, result.name, result.details.reason) for user, result in results] == [
        ("bob", "open", "Uninitialized")
    ]


async def test_watchers_added_before_the_start_stay() -> None:
    client = Client(statsig(offline=True))
    results = watch(client)

    async with client:
        await client.check_gate(ADA, "open")

    assert len(results) == 1


async def test_a_lookup_without_exposure_is_watched() -> None:
    async with Client(statsig(offline=True)) as client:
        results = watch(client)
        await client.check_gate(ADA, "open", exposure=False)

    assert len(results) == 1


async def test_flags_are_watched_once_per_name() -> None:
    async with Client(statsig(offline=True)) as client:
        results = watch(client)
        flags = client.bind(ADA)
        for _ in range(3):
            flags.check_gate("open")
            flags.get_config("prices")

    assert [result.name for _, result in results] == ["open", "prices"]


async def test_reading_a_stores_parameter_is_watched_as_what_it_refers_to() -> None:
    async with Client(statsig(offline=True)) as client:
        results = watch(client)
        store = await client.get_parameter_store(ADA, "store")
        store.get_bool("beta")
        store.get_string("color")
        store.get_string("fixed")

    assert [result.name for _, result in results] == ["open", "page"]
    assert isinstance(results[0][1], FeatureGate)


async def test_a_watcher_that_reads_a_layer_reports_no_exposure() -> None:
    async with DevServer() as server, Client(statsig(server)) as client:
        results: list[object] = []
        client.on_evaluation(lambda _, result: results.append(isinstance(result, Layer) and result.get("color")))
        await client.get_layer(ADA, "page")
        report = await client.flush()

    assert results == ["green"]
    assert report.destinations["Statsig"].exposures is None


async def test_watching_does_not_change_exposures() -> None:
    counts = []
    for is_watched in (False, True):
        async with DevServer() as server:
            async with Client(statsig(server)) as client:
                if is_watched:
                    watch(client)
                for name in ("open", "dutch", "open"):
                    await client.check_gate(ADA, name)
                (await client.get_layer(ADA, "page")).get("color")
                (await client.get_parameter_store(ADA, "store")).get("beta")
            counts.append([event.body["eventName"] for event in server.accepted("statsig")])

    assert counts[0] == counts[1]
    assert counts[0]


async def test_a_watcher_that_raises_does_not_affect_lookups(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    async with Client(statsig(offline=True)) as client:
        client.on_evaluation(lambda _, result: 1 / 0)
        results = watch(client)

        assert [await client.check_gate(ADA, "open") for _ in range(3)] == [True, True, True]

    assert len(results) == 3
    assert caplog.text.count("a function given to on_evaluation failed") == 1


async def test_a_lookup_in_another_thread_is_watched_in_that_thread() -> None:
    async with Client(statsig(offline=True)) as client:
        results: list[threading.Thread] = []
        client.on_evaluation(lambda _, __: results.append(threading.current_thread()))
        thread = threading.Thread(target=lambda: client.bind(ADA).check_gate("open"))
        thread.start()
        thread.join()

    assert results == [thread]


async def test_explain_bootstrap_and_log_exposure_are_not_watched() -> None:
    async with Client(statsig(offline=True)) as client:
        results = watch(client)
        client.explain(ADA, "open")
        client.bootstrap(ADA)
        client.log_exposure(ADA, "open")

    assert not results


def test_an_async_watcher_is_rejected() -> None:
    async def later(user: User, result: LookupResult) -> None: ...

    with pytest.raises(ConfigurationError, match="on_evaluation takes a plain function"):
        Client().on_evaluation(later)
