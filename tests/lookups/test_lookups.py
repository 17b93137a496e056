"""The lookup verbs: what they return, and that they never raise."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from helpers import ADA, rule, ruleset, spec
from helpers import statsig_with_rules as statsig

from asyncsdk import (
    Client,
    ClientClosedError,
    ConfigurationError,
    RudderStack,
    Rules,
    RulesHealth,
    StartError,
    Statsig,
    User,
)
from asyncsdk.dev import DevServer


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    client = Client(statsig(offline=True))
    async with client:
        yield client


async def test_a_gate_is_open_or_closed(client: Client) -> None:
    assert await client.check_gate(ADA, "dutch") is True
    assert await client.check_gate(User("bob"), "dutch") is False


async def test_get_gate_returns_the_reason(client: Client) -> None:
    gate = await client.get_gate(ADA, "dutch")

    assert gate
    assert (gate.value, gate.rule_id, gate.details.reason) == (True, "nl", "Bootstrap:Recognized")
    assert (gate.details.version, gate.details.time_ms) == (3, 1000)


async def test_a_config_has_typed_getters_with_fallbacks(client: Client) -> None:
    config = await client.get_config(ADA, "prices")

    assert config.get_string("name", "Awesome Product!") == "Kaas"
    assert config.get_number("price", 10.0) == 9.5
    assert config.get_bool("discount", False) is True
    assert config.get_array("tags", []) == ["a"]
    assert config.get_object("box", {}) == {"w": 1}
    assert config.get_string("price", "wrong type") == "wrong type"
    assert config.get("none", "null counts as missing") == "null counts as missing"
    assert config.get("unknown") is None


async def test_an_experiment_has_its_group(client: Client) -> None:
    experiment = await client.get_experiment(ADA, "button")

    assert (experiment.group, experiment.get_string("color")) == ("Test", "green")


async def test_a_layer_has_the_parameters_of_its_experiment(client: Client) -> None:
    layer = await client.get_layer(ADA, "page")

    assert (layer.get_string("color"), layer.allocated_experiment) == ("green", "button")


async def test_a_parameter_store_refers_to_gates_and_layers(client: Client) -> None:
    store = await client.get_parameter_store(ADA, "store")

    assert store.get_string("color") == "green"
    assert store.get_string("fixed") == "always"
    assert store.get_bool("beta") is True
    assert store.get_string("beta", "wrong type") == "wrong type"


async def test_unknown_names_get_the_fallback_and_a_reason(client: Client) -> None:
    assert await client.check_gate(ADA, "unknown") is False
    assert (await client.get_gate(ADA, "unknown")).details.reason == "Bootstrap:Unrecognized"
    assert (await client.get_config(ADA, "unknown")).value == {}
    assert (await client.get_experiment(ADA, "unknown")).group is None
    assert (await client.get_layer(ADA, "unknown")).get("x", 5) == 5
    assert (await client.get_parameter_store(ADA, "unknown")).get("x", 5) == 5


@pytest.mark.parametrize("user", [{}, "ada", 5, "", User()])
async def test_a_lookup_takes_an_id_an_object_or_a_user(client: Client, user: Any) -> None:
    assert await client.check_gate(user, "open") is True
    assert (await client.get_config(user, "prices")).get_string("name") == "Nothing"
    assert client.bind(user).check_gate("open")


async def test_lookups_answer_before_start_and_after_close() -> None:
    client = Client(statsig(offline=True))
    before = await client.get_gate(ADA, "open")
    async with client:
        pass

    assert (before.value, before.details.reason) == (False, "Uninitialized")
    assert await client.check_gate(ADA, "open") is True


async def test_without_statsig_lookups_give_fallbacks() -> None:
    async with Client(RudderStack("key", "http://127.0.0.1:9")) as client:
        assert (await client.get_gate(ADA, "open")).details.reason == "NoValues"
        assert client.health().rules is None
        assert await client.override_gate("open", True).check_gate(ADA, "open")
        assert client.on_ruleset_change(print) is client
        assert client.on_rules_health(print) is client


async def test_lookups_wait_for_the_first_rules_while_the_client_starts(server: DevServer) -> None:
    client = Client(network(server))
    starting = asyncio.create_task(client.start())
    await asyncio.sleep(0)

    assert await client.check_gate(ADA, "open") is True
    assert (await starting).source == "Network"
    await client.aclose()


async def test_a_client_starts_while_the_vendor_is_down() -> None:
    rules = Rules(specs_url="http://127.0.0.1:9/v2/download_config_specs")
    client = Client(statsig(rules=rules), start_timeout=0.05, close_timeout=0.1)

    report = await client.start()

    assert (report.ready, report.source) == (False, "")
    assert await client.check_gate(ADA, "open") is False
    assert not await client.wait_ready(timeout=0.01)
    await client.aclose()


async def test_start_can_require_rules() -> None:
    rules = Rules(specs_url="http://127.0.0.1:9/v2/download_config_specs")
    client = Client(statsig(rules=rules), start_timeout=0.05)

    with pytest.raises(StartError, match="no rules within"):
        await client.start(require_ready=True)

    assert client.health().state == "closed"


async def test_entering_a_client_that_is_cancelled_leaves_nothing_running() -> None:
    rules = Rules(specs_url="http://127.0.0.1:9/v2/download_config_specs")
    client = Client(statsig(rules=rules), start_timeout=60)

    async def enter() -> None:
        async with client:
            pass

    task = asyncio.create_task(enter())
    while client.health().state == "new":
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    while [t for t in asyncio.all_tasks() if t.get_name() == "asyncsdk"]:
        await asyncio.sleep(0)

    assert client.health().state == "closed"


async def test_a_closed_client_cannot_be_entered_again() -> None:
    client = Client(statsig(offline=True))
    async with client:
        pass

    with pytest.raises(ClientClosedError, match="make another"):
        async with client:
            pass


async def test_another_loop_does_not_wait_for_the_first_rules() -> None:
    rules = Rules(specs_url="http://127.0.0.1:9/v2/download_config_specs")
    client = Client(statsig(rules=rules), start_timeout=1, close_timeout=0.1)
    starting = asyncio.create_task(client.start())
    await asyncio.sleep(0)

    assert await asyncio.to_thread(lambda: asyncio.run(client.check_gate(ADA, "open"))) is False

    await starting
    await client.aclose()


async def test_a_broken_spec_affects_only_itself() -> None:
    broken = Rules(bootstrap=ruleset().replace(b'{"w": 1}', b'{"w": oops}'))
    async with Client(statsig(offline=True, rules=broken)) as client:
        assert await client.check_gate(ADA, "open") is True
        assert (await client.get_config(ADA, "prices")).get_string("name", "fallback") == "fallback"
        assert "prices: " in client.explain(ADA, "prices").render()


async def test_a_refresh_takes_effect_and_its_changes_are_reported(server: DevServer) -> None:
    changes: list[Any] = []
    client = Client(network(server)).on_ruleset_change(changes.append)
    async with client:
        assert await client.check_gate(ADA, "open")
        closed = {
            "open": spec("feature_gate", False, rule("all", False, "everybody")),
            "new": spec("feature_gate", True),
        }
        server.set_ruleset(ruleset(time=2000, feature_gates=closed))
        while await client.check_gate(ADA, "open"):
            await asyncio.sleep(0.001)

    assert changes[-1].changed["gate"] == ("open",)
    assert changes[-1].added["gate"] == ("new",)
    assert sorted(changes[-1].removed["gate"]) == ["dutch", "nested"]


async def test_on_rules_health_is_called_after_each_poll(server: DevServer, caplog: Any) -> None:
    reports: list[RulesHealth] = []

    def fail(_: RulesHealth) -> None:
        raise ValueError

    server.script("statsig-rules", None, 401)
    client = Client(network(server)).on_rules_health(fail).on_rules_health(reports.append)
    assert client._refresher is not None
    client._refresher.polling.interval = 0.01
    async with client:
        while len(reports) < 3:
            await asyncio.sleep(0.001)

    assert [(health.failures, health.refused, health.last_error) for health in reports[:3]] == [
        (0, False, ""),
        (1, True, "status 401"),
        (0, False, ""),
    ]
    assert [health.source for health in reports[:2]] == ["Network", "Network"]
    assert "Statsig rules: a function given to on_ruleset_change" in caplog.text


async def test_overrides_win_until_they_are_removed(client: Client) -> None:
    client.override_gate("open", False).override_gate("open", True, user_id="bob")
    client.override_config("prices", {"name": "Free"}).override_layer("page", {"color": "pink"})
    client.override_experiment("button", "Test", user_id="bob").override_experiment("button", {"color": "blue"})

    assert await client.check_gate(ADA, "open") is False
    assert await client.check_gate("bob", "open") is True
    assert (await client.get_config(ADA, "prices")).get_string("name") == "Free"
    assert (await client.get_layer(ADA, "page")).get_string("color") == "pink"
    assert (await client.get_experiment(ADA, "button")).get_string("color") == "blue"
    assert (await client.get_experiment("bob", "button")).group == "Test"

    client.remove_override("open", user_id="bob")
    assert await client.check_gate("bob", "open") is False
    client.remove_override("open")
    assert await client.check_gate(ADA, "open") is True
    client.remove_all_overrides()
    assert (await client.get_config(ADA, "prices")).get_string("name") == "Kaas"


async def test_an_override_is_copied_and_must_be_json(client: Client) -> None:
    value = {"name": "Free"}
    client.override_config("prices", value)
    value["name"] = "Changed"

    assert (await client.get_config(ADA, "prices")).get_string("name") == "Free"
    with pytest.raises(ConfigurationError, match="JSON"):
        client.override_config("prices", {"x": object()})


@pytest.mark.parametrize("name", ["dutch", "prices", "button", "page", "unknown"])
async def test_a_decision_can_be_explained(client: Client, name: str) -> None:
    text = client.explain(ADA, name).render()

    assert text.startswith(f"{name}: ")
    assert ("has no such name" in text) is (name == "unknown")


async def test_bootstrap_builds_the_response_for_a_browser(client: Client) -> None:
    response = json.loads(client.bootstrap(ADA, hash="none"))

    assert response["feature_gates"]["dutch"]["value"] is True
    assert response["layer_configs"]["page"]["value"]["color"] == "green"
    assert response["sdkInfo"]["sdkType"] == "asyncsdk"


async def test_health_describes_the_rules(client: Client) -> None:
    rules = client.health().rules

    assert rules is not None
    assert (rules.source, rules.names, rules.time_ms) == ("Bootstrap", 6, 1000)
    assert rules.age is not None


async def test_lookups_work_from_other_threads(client: Client) -> None:
    answers = await asyncio.gather(*(asyncio.to_thread(lambda: client.bind(ADA).check_gate("dutch")) for _ in range(8)))

    assert answers == [True] * 8


@pytest.fixture
async def server() -> AsyncIterator[DevServer]:
    async with DevServer(ruleset=ruleset()) as server:
        yield server


def network(server: DevServer) -> Statsig:
    return statsig(server, rules=Rules(specs_url=f"{server.url}/v2/download_config_specs", poll_interval=1.0))
