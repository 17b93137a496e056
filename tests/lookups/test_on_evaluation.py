"""Who listens to evaluations hears of every answer, and changes none."""

import logging
import threading

import pytest
from helpers import ADA
from helpers import statsig_with_rules as statsig

from asyncsdk import Client, ConfigurationError, FeatureGate, Layer, LookupResult, User
from asyncsdk.dev import DevServer

Heard = list[tuple[User, LookupResult]]


def listening(client: Client) -> Heard:
    heard: Heard = []
    client.on_evaluation(lambda user, answer: heard.append((user, answer)))
    return heard


async def test_every_kind_of_lookup_is_heard_with_its_answer() -> None:
    async with Client(statsig(offline=True)) as client:
        heard = listening(client)
        assert await client.check_gate(ADA, "open") is True
        answers = [
            await client.get_gate(ADA, "dutch"),
            await client.get_config(ADA, "prices"),
            await client.get_experiment(ADA, "button"),
        ]
        await client.get_layer(ADA, "page")

    assert [(user, answer.name) for user, answer in heard] == [
        (ADA, "open"),
        (ADA, "dutch"),
        (ADA, "prices"),
        (ADA, "button"),
        (ADA, "page"),
    ]
    assert [answer for _, answer in heard[1:4]] == answers


async def test_lookups_before_the_start_are_heard_too() -> None:
    client = Client(statsig(offline=True))
    heard = listening(client)

    assert await client.check_gate("bob", "open") is False
    assert [(user.user_id, answer.name, answer.details.reason) for user, answer in heard] == [
        ("bob", "open", "Uninitialized")
    ]


async def test_those_who_listen_from_before_the_start_still_do_after_it() -> None:
    client = Client(statsig(offline=True))
    heard = listening(client)

    async with client:
        await client.check_gate(ADA, "open")

    assert len(heard) == 1


async def test_a_lookup_without_exposure_is_an_evaluation_all_the_same() -> None:
    async with Client(statsig(offline=True)) as client:
        heard = listening(client)
        await client.check_gate(ADA, "open", exposure=False)

    assert len(heard) == 1


async def test_what_is_bound_is_heard_once_per_name() -> None:
    async with Client(statsig(offline=True)) as client:
        heard = listening(client)
        flags = client.bind(ADA)
        for _ in range(3):
            flags.check_gate("open")
            flags.get_config("prices")

    assert [answer.name for _, answer in heard] == ["open", "prices"]


async def test_a_stores_parameter_is_heard_as_what_it_stands_for() -> None:
    async with Client(statsig(offline=True)) as client:
        heard = listening(client)
        store = await client.get_parameter_store(ADA, "store")
        store.get_bool("beta")
        store.get_string("color")
        store.get_string("fixed")

    assert [answer.name for _, answer in heard] == ["open", "page"]
    assert isinstance(heard[0][1], FeatureGate)


async def test_a_listener_that_reads_a_layer_exposes_nobody() -> None:
    async with DevServer() as server, Client(statsig(server)) as client:
        heard: list[object] = []
        client.on_evaluation(lambda _, answer: heard.append(isinstance(answer, Layer) and answer.get("color")))
        await client.get_layer(ADA, "page")
        report = await client.flush()

    assert heard == ["green"]
    assert report.destinations["Statsig"].exposures is None


async def test_exposures_are_those_of_a_client_that_nobody_watches() -> None:
    counts = []
    for is_watched in (False, True):
        async with DevServer() as server:
            async with Client(statsig(server)) as client:
                if is_watched:
                    listening(client)
                for name in ("open", "dutch", "open"):
                    await client.check_gate(ADA, name)
                (await client.get_layer(ADA, "page")).get("color")
                (await client.get_parameter_store(ADA, "store")).get("beta")
            counts.append([event.body["eventName"] for event in server.accepted("statsig")])

    assert counts[0] == counts[1]
    assert counts[0]


async def test_a_listener_that_fails_harms_no_lookup(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    async with Client(statsig(offline=True)) as client:
        client.on_evaluation(lambda _, answer: 1 / 0)
        heard = listening(client)

        assert [await client.check_gate(ADA, "open") for _ in range(3)] == [True, True, True]

    assert len(heard) == 3
    assert caplog.text.count("a function given to on_evaluation failed") == 1


async def test_a_lookup_in_another_thread_is_heard_there() -> None:
    async with Client(statsig(offline=True)) as client:
        heard: list[threading.Thread] = []
        client.on_evaluation(lambda _, __: heard.append(threading.current_thread()))
        thread = threading.Thread(target=lambda: client.bind(ADA).check_gate("open"))
        thread.start()
        thread.join()

    assert heard == [thread]


async def test_explaining_and_bootstrapping_are_no_evaluations() -> None:
    async with Client(statsig(offline=True)) as client:
        heard = listening(client)
        client.explain(ADA, "open")
        client.bootstrap(ADA)
        client.log_exposure(ADA, "open")

    assert not heard


def test_a_listener_that_would_have_to_be_awaited_is_refused() -> None:
    async def later(user: User, answer: LookupResult) -> None: ...

    with pytest.raises(ConfigurationError, match="on_evaluation takes a plain function"):
        Client().on_evaluation(later)
