"""Exposures as events of vendors other than Statsig."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from helpers import ADA, rule, ruleset, spec
from helpers import statsig_with_rules as statsig

from asyncsdk import Amplitude, Client, ConfigurationError, Limits, RudderStack, Rules, Track, User, redact
from asyncsdk._model.exposures import ExposedVariant
from asyncsdk.dev import DevServer
from asyncsdk.vendors._base import ExposureScope

QUICK = Limits(linger=0.01, retry_initial=0.01, retry_max=0.02)
IN_TEST = {
    "experiment_id": "button",
    "experiment_name": "button",
    "variation_id": "green",
    "variation_name": "Test",
}


@pytest.fixture
async def server() -> AsyncIterator[DevServer]:
    async with DevServer() as server:
        yield server


def rudderstack(server: DevServer, exposures: ExposureScope, limits: Limits = QUICK) -> RudderStack:
    return RudderStack("write-key", server.url, limits=limits, exposures=exposures)


def amplitude(server: DevServer, exposures: ExposureScope) -> Amplitude:
    return Amplitude("api-key", url=server.url, limits=QUICK, exposures=exposures)


def viewed(server: DevServer) -> list[Any]:
    return [event.body["properties"] for event in server.accepted("rudderstack")]


def exposed(server: DevServer) -> list[Any]:
    return [event.body["event_properties"] for event in server.accepted("amplitude")]


async def test_an_exposure_has_the_form_of_each_vendor(server: DevServer) -> None:
    user = User("ada-lovelace", email="a@b.c", ip="192.0.2.1", custom={"plan": "pro"}, private_attributes={"x": 1})
    others = rudderstack(server, "experiments"), amplitude(server, "experiments")
    async with Client(statsig(server), *others) as client:
        await client.get_experiment(user, "button")

    (track,), (exposure,) = server.accepted("rudderstack"), server.accepted("amplitude")
    assert (track.body["type"], track.body["event"], track.body["userId"]) == (
        "track",
        "Experiment Viewed",
        "ada-lovelace",
    )
    assert track.body["properties"] == IN_TEST
    assert (exposure.body["event_type"], exposure.body["user_id"]) == ("$exposure", "ada-lovelace")
    assert exposure.body["event_properties"] == {"flag_key": "button", "variant": "Test"}
    assert track.body["messageId"] != exposure.body["insert_id"]
    for body in (track.body, exposure.body):
        assert "192.0.2.1" in str(body)
        assert not {"a@b.c", "pro"} & set(str(body).replace("'", " ").split())


async def test_exposures_are_not_forwarded_unless_asked_for(server: DevServer) -> None:
    async with Client(statsig(server), rudderstack(server, "none"), amplitude(server, "none")) as client:
        await client.get_experiment(ADA, "button")
        report = await client.flush()

    assert (viewed(server), exposed(server)) == ([], [])
    assert report.destinations["RudderStack"].exposures is None


async def test_experiments_forwards_groups_of_experiments_only(server: DevServer) -> None:
    async with Client(statsig(server), rudderstack(server, "experiments")) as client:
        await client.check_gate(ADA, "open")
        await client.get_config(ADA, "prices")
        await client.get_experiment(ADA, "nowhere")
        layer = await client.get_layer(ADA, "page")
        layer.get_string("title")
        assert viewed(server) == []
        layer.get_string("color")

    assert viewed(server) == [IN_TEST]


async def test_all_forwards_gates_and_configs_too(server: DevServer) -> None:
    page = spec("layer", {"color": "grey"}, rule("plain", {"color": "red", "title": "Hi"}, "everybody"))
    rules = Rules(bootstrap=ruleset(layer_configs={"page": page}), specs_url="http://127.0.0.1:9/v2/none")
    async with Client(statsig(server, rules=rules), amplitude(server, "all")) as client:
        await client.check_gate(ADA, "open")
        await client.check_gate(User("bob-the-builder"), "dutch")
        await client.check_gate(ADA, "nowhere")
        await client.get_config(ADA, "prices")
        await client.get_config(User("bob-the-builder"), "prices")
        (await client.get_layer(ADA, "page")).get_string("title")

    assert exposed(server) == [
        {"flag_key": "open", "variant": "on"},
        {"flag_key": "dutch", "variant": "off"},
        {"flag_key": "prices", "variant": "nl"},
        {"flag_key": "prices", "variant": "default"},
        {"flag_key": "page", "variant": "plain"},
    ]


async def test_a_layer_that_merges_its_rules_forwards_its_experiment(server: DevServer) -> None:
    fields = json.loads(ruleset())
    fields["layer_configs"]["page"]["useNewLayerEval"] = True
    rules = Rules(bootstrap=json.dumps(fields), specs_url="http://127.0.0.1:9/v2/none")
    async with Client(statsig(server, rules=rules), amplitude(server, "experiments")) as client:
        layer = await client.get_layer(ADA, "page")
        layer.get_string("title")
        layer.get_string("color")

    assert exposed(server) == [{"flag_key": "button", "variant": "Test"}]


async def test_each_is_forwarded_once_per_window_and_again_manually(server: DevServer) -> None:
    button = rule("green", {"color": "green", "size": 2}, "everybody", groupName="Test", isExperimentGroup=True)
    both = spec("experiment", {}, button, isActive=True, explicitParameters=["color", "size"])
    body = ruleset(dynamic_configs={"button": both})
    source = statsig(server, rules=Rules(bootstrap=body, specs_url="http://127.0.0.1:9/v2/none"))
    async with Client(source, rudderstack(server, "experiments")) as client:
        for _ in range(3):
            layer = await client.get_layer(ADA, "page")
            layer.get_string("color")
            layer.get_number("size")
        assert len(await server.received("rudderstack", 1)) == 1
        client.log_exposure(ADA, "page", "color")
        client._exposures.window.reset()
        layer.get_string("color")
        await client.flush()

    assert viewed(server) == [IN_TEST] * 3


async def test_they_are_counted_separately(server: DevServer) -> None:
    others = rudderstack(server, "all", Limits(linger=60, max_queued_events=1)), amplitude(server, "all")
    async with Client(statsig(server), *others) as client:
        await client.check_gate(ADA, "open")
        await client.check_gate(User("ada"), "open")  # an id too short for Amplitude
        await client.check_gate(User(custom_ids={"companyID": "c7"}), "open")  # a user they cannot identify
        report = await client.flush()

    counts = {name: one.exposures for name, one in report.destinations.items()}
    assert [(one.accepted, one.delivered) for one in counts.values() if one] == [(3, 3), (2, 1), (2, 1)]
    assert counts["RudderStack"].dropped == {"queue full": 1}  # type: ignore[union-attr] # it is not None
    assert counts["Amplitude"].rejected == {"id too short (min_id_length)": 1}  # type: ignore[union-attr] # it is not None


async def test_a_loss_of_exposures_is_logged_once(server: DevServer, caplog: pytest.LogCaptureFixture) -> None:
    async with Client(statsig(server, limits=Limits(linger=60, max_queued_events=1))) as client:
        for number in range(5):
            await client.check_gate(f"user-{number}", "open")
        report = await client.flush()

    counts = report.destinations["Statsig"].exposures
    assert counts is not None
    assert counts.dropped == {"queue full": 4}
    assert caplog.text.count("events are dropped: queue full") == 1


async def test_exposures_of_bootstrapped_rules_are_forwarded(server: DevServer) -> None:
    async with Client(statsig(offline=True), rudderstack(server, "experiments")) as client:
        await asyncio.to_thread(lambda: client.bind(ADA).get_experiment("button"))
        assert len(await server.received("rudderstack", 1)) == 1


async def test_a_spool_stores_them_too(server: DevServer, tmp_path: Path) -> None:
    others = rudderstack(server, "experiments"), amplitude(server, "experiments")
    async with Client(statsig(server), *others, spool=tmp_path) as client:
        await client.get_experiment(User("ada"), "button")
        report = await client.flush()

    assert viewed(server) == [IN_TEST]
    assert report.destinations["Amplitude"].exposures.rejected == {"id too short (min_id_length)": 1}  # type: ignore[union-attr] # it is not None


async def test_a_visitor_with_a_blank_user_id_is_forwarded_and_a_user_without_id_is_not(server: DevServer) -> None:
    async with Client(statsig(server), rudderstack(server, "experiments")) as client:
        for user_id, visitor in (("", "a-1"), (" ", "a-2"), ("\u200b", "a-3")):
            await client.get_experiment(User(user_id, anonymous_id=visitor), "button")
        await client.get_experiment(User("\n"), "button")
        report = await client.flush()

    visitors = [event.body["anonymousId"] for event in server.accepted("rudderstack")]
    counts = report.destinations["RudderStack"].exposures
    assert counts is not None
    assert (visitors, counts.rejected) == (["a-1", "a-2", "a-3"], {})


async def test_custom_values_that_json_cannot_represent_cost_only_statsigs_exposure(server: DevServer) -> None:
    async with Client(statsig(server), rudderstack(server, "experiments")) as client:
        await client.get_experiment(User("odd", custom={"x": object()}), "button")
        await client.get_experiment(ADA, "button")
        report = await client.flush()

    counts = report.destinations["RudderStack"].exposures
    assert counts is not None
    assert (counts.delivered, counts.dropped) == (2, {})


async def test_a_user_that_cannot_be_redacted_is_not_forwarded(server: DevServer) -> None:
    cycle: dict[str, Any] = {}
    cycle["again"] = cycle
    client = Client(statsig(offline=True), rudderstack(server, "experiments")).add_middleware(redact("iban"))
    async with client:
        await client.get_experiment(User("odd", custom=cycle), "button")
        await client.get_experiment(ADA, "button")

    assert [event.user for event in server.accepted("rudderstack")] == ["ada-lovelace"]


async def test_redact_applies_to_forwarded_exposures(server: DevServer) -> None:
    user = User("ada-lovelace", ip="192.0.2.1", locale="en-GB")
    client = Client(statsig(server), amplitude(server, "experiments")).add_middleware(redact("ip"))
    async with client:
        await client.get_experiment(user, "button")

    (event,) = server.accepted("amplitude")
    assert (event.body["ip"], event.body["language"]) == ("[redacted]", "en-GB")


@pytest.mark.parametrize("wrong", [True, "gates", None])
def test_the_value_of_exposures_is_checked(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="'none', 'experiments' or 'all'"):
        RudderStack("key", "https://plane.example.com", exposures=wrong)
    with pytest.raises(ConfigurationError, match="'none', 'experiments' or 'all'"):
        Amplitude("api-key", exposures=wrong)


class Picky(RudderStack):
    """A destination of an application, whose event cannot be built for every user."""

    def exposure_event(self, user: User, exposed: ExposedVariant) -> Track:
        if user.email is None:
            raise LookupError
        return super().exposure_event(user, exposed)


async def test_an_event_that_a_destination_cannot_build_costs_only_its_own_exposure(server: DevServer) -> None:
    picky = Picky("write-key", server.url, limits=QUICK, exposures="experiments")
    async with Client(statsig(server), picky) as client:
        await client.get_experiment(User("bob-the-builder"), "button")
        await client.get_experiment(ADA, "button")
        report = await client.flush()

    counts = [report.destinations[name].exposures for name in ("Statsig", picky.name)]
    assert [(one.delivered, one.dropped) for one in counts if one] == [(2, {}), (1, {"not serializable": 1})]


async def test_the_repr_names_where_exposures_go(server: DevServer) -> None:
    async with Client(statsig(server), rudderstack(server, "all"), amplitude(server, "none")) as client:
        await client.check_gate(ADA, "open")

        assert repr(client._exposures) == "<Exposures to [Statsig, RudderStack]: 1 pending>"
    async with Client(rudderstack(server, "all")) as client:
        assert repr(client._exposures) == "<Exposures to [RudderStack]: 0 pending>"
    async with Client(statsig(server)) as client:
        assert repr(client._exposures) == "<Exposures to [Statsig]: 0 pending>"
