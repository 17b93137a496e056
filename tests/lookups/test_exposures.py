"""The exposures that lookups report, field by field."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from helpers import ADA, rule, ruleset, spec
from helpers import statsig_with_rules as statsig

from asyncsdk import Client, Limits, RudderStack, Rules, User, redact, sample
from asyncsdk._client.jobs import windows
from asyncsdk._lookups.evaluator import NoRules
from asyncsdk._rules.exposure_window import ExposureWindow
from asyncsdk._rules.loading import load_now
from asyncsdk.dev import DevServer, Fault


@pytest.fixture
async def server() -> AsyncIterator[DevServer]:
    async with DevServer(keep=100_000) as server:
        yield server


def exposures(server: DevServer) -> list[dict[str, Any]]:
    return [event.body for event in server.accepted("statsig") if event.kind.endswith("_exposure")]


def metadata(server: DevServer) -> list[dict[str, Any]]:
    volatile = ("receivedAt", "lcut", "reason", "configVersion")
    return [{k: v for k, v in body["metadata"].items() if k not in volatile} for body in exposures(server)]


async def test_the_exposure_of_a_gate_has_all_of_statsigs_fields(server: DevServer) -> None:
    user = User("ada", email="a@b.c", country="NL", custom_ids={"companyID": "c-7"}, private_attributes={"ssn": "x"})
    async with Client(statsig(server, environment="production")) as client:
        await client.check_gate(user, "nested")
        await client.flush()

    (event,) = exposures(server)
    assert event["eventName"] == "statsig::gate_exposure"
    assert event["value"] is None
    assert event["metadata"] | {"receivedAt": "…"} == {
        "gate": "nested",
        "gateValue": "true",
        "ruleID": "through",
        "reason": "Bootstrap:Recognized",
        "lcut": "1000",
        "receivedAt": "…",
        "configVersion": "3",
    }
    assert event["secondaryExposures"] == [{"gate": "open", "gateValue": "true", "ruleID": "all"}]
    assert event["user"] == {
        "userID": "ada",
        "email": "a@b.c",
        "country": "NL",
        "customIDs": {"companyID": "c-7"},
        "statsigEnvironment": {"tier": "production"},
    }
    assert event["statsigMetadata"] == {}


async def test_configs_experiments_and_layer_parameters_are_reported(server: DevServer) -> None:
    async with Client(statsig(server)) as client:
        await client.get_config(ADA, "prices")
        await client.get_experiment(ADA, "button")
        layer = await client.get_layer(ADA, "page")
        layer.get_string("color")
        layer.get_string("title", "")
        layer.get_string("unknown", "")

    assert metadata(server) == [
        {"config": "prices", "ruleID": "nl", "rulePassed": "true"},
        {"config": "button", "ruleID": "green", "rulePassed": "true"},
        {"config": "page", "ruleID": "green", "allocatedExperiment": "button", "parameterName": "color", "isExplicitParameter": "true"},
    ]  # fmt: skip


async def test_an_exposure_is_reported_once_per_user_and_outcome(server: DevServer) -> None:
    async with Client(statsig(server)) as client:
        for _ in range(5):
            await client.check_gate(ADA, "open")
            await client.check_gate("bob", "open")
            client.bind(ADA).check_gate("open")
        report = await client.flush()

    assert len(exposures(server)) == 2
    counts = report.destinations["Statsig"].exposures
    assert counts is not None
    assert (counts.accepted, counts.delivered, report.destinations["Statsig"].accepted) == (2, 2, 0)


async def test_each_anonymous_visitor_is_reported(server: DevServer) -> None:
    visitors = User(anonymous_id="a-1"), User(anonymous_id="a-2"), User(device_id="d-1"), User("", device_id="d-2")
    async with Client(statsig(server)) as client:
        for visitor in visitors + visitors:
            await client.check_gate(visitor, "open")

    assert [body["user"]["customIDs"]["stableID"] for body in exposures(server)] == ["a-1", "a-2", "d-1", "d-2"]


async def test_an_exposure_is_reported_again_in_the_next_window(server: DevServer) -> None:
    async with Client(statsig(server)) as client:
        await client.check_gate(ADA, "open")
        client._exposures.window.reset()
        await client.check_gate(ADA, "open")

    assert len(exposures(server)) == 2


async def test_a_window_ends_after_its_time() -> None:
    recent = ExposureWindow()
    rules = load_now(ruleset(), NoRules().rules.shared_context)
    assert rules is not None
    found = rules.gate(ADA, "open")
    assert recent.is_new(ADA, found)
    job = asyncio.ensure_future(windows(recent, seconds=0.001)())
    while not recent.is_new(ADA, found):
        await asyncio.sleep(0)
    job.cancel()
    await asyncio.wait([job])


async def test_exposure_false_reports_nothing(server: DevServer) -> None:
    async with Client(statsig(server)) as client:
        await client.check_gate(ADA, "open", exposure=False)
        await client.get_gate(ADA, "open", exposure=False)
        await client.get_config(ADA, "prices", exposure=False)
        await client.get_experiment(ADA, "button", exposure=False)
        (await client.get_layer(ADA, "page", exposure=False)).get_string("color")
        (await client.get_parameter_store(ADA, "store", exposure=False)).get_string("color")
        client.explain(ADA, "open")
        client.bootstrap(ADA)

    assert exposures(server) == []


async def test_a_manual_exposure_is_reported_after_an_automatic_one(server: DevServer) -> None:
    async with Client(statsig(server)) as client:
        await client.check_gate(ADA, "open")
        client.log_exposure(ADA, "open")
        client.log_exposure(ADA, "prices")
        client.log_exposure(ADA, "button")
        client.log_exposure(ADA, "page", "color")

    assert [m.get("isManualExposure") for m in metadata(server)] == [None, "true", "true", "true", "true"]


async def test_a_parameter_store_reports_what_its_parameters_refer_to(server: DevServer) -> None:
    async with Client(statsig(server)) as client:
        store = await client.get_parameter_store(ADA, "store")
        store.get_string("color")
        store.get_bool("beta")
        store.get_string("fixed")
        store.get_string("beta")

    assert [body["eventName"] for body in exposures(server)] == ["statsig::layer_exposure", "statsig::gate_exposure"]


async def test_an_exposure_that_a_full_queue_drops_is_counted_and_due_again(server: DevServer) -> None:
    limits = Limits(linger=60, max_queued_events=1)
    async with Client(statsig(server, limits=limits)) as client:
        await client.check_gate(ADA, "open")
        await client.check_gate("bob", "open")
        counts = client.health().destinations["Statsig"].counts.exposures
        assert counts is not None
        assert counts.dropped == {"queue full": 1}
        await client.flush()
        await client.check_gate("bob", "open")

    assert [body["user"]["userID"] for body in exposures(server)] == ["ada-lovelace", "bob"]


@pytest.mark.parametrize("max_events", [7, 70])
async def test_a_request_has_at_most_max_events_exposures_and_states_their_number(
    server: DevServer, max_events: int
) -> None:
    async with Client(statsig(server, limits=Limits(linger=60, max_events=max_events))) as client:
        for number in range(110):
            await client.check_gate(f"user-{number}", "open")
        await client.track(ADA, "bought")
        report = await client.flush()

    events = [request for request in server.requests if "log_event" in request.path]
    sizes = [len(request.json["events"]) for request in events]
    assert max(sizes) <= max_events
    assert sum(sizes) == 111
    assert len(sizes) <= 111 // (max_events * 0.95) + 1
    assert [int(request.header("STATSIG-EVENT-COUNT") or 0) for request in events] == sizes
    counts = report.destinations["Statsig"]
    assert counts.exposures is not None
    assert (counts.delivered, counts.exposures.delivered) == (1, 110)


async def test_a_full_batch_of_exposures_does_not_linger(server: DevServer) -> None:
    async with Client(statsig(server, limits=Limits(linger=60, max_events=100))) as client:
        for number in range(40):
            await client.check_gate(f"user-{number}", "open")
        client.health()
        for _ in range(3):  # the lane takes the first ones
            await asyncio.sleep(0)
        for number in range(40, 100):
            await client.check_gate(f"user-{number}", "open")
        async with asyncio.timeout(5):
            while not exposures(server):
                await asyncio.sleep(0.001)


async def test_of_many_exposures_only_the_one_at_fault_is_rejected(server: DevServer) -> None:
    server.fault("statsig", Fault(400, when=lambda request: "user-13" in str(request.json)))
    async with Client(statsig(server, limits=Limits(linger=60))) as client:
        for number in range(40):
            await client.check_gate(f"user-{number}", "open")
        report = await client.flush()
        queued = client.health().destinations["Statsig"]

    counts = report.destinations["Statsig"].exposures
    assert counts is not None
    assert (counts.accepted, counts.delivered, counts.rejected) == (40, 39, {"status 400": 1})
    assert (queued.queued_events, queued.queued_bytes) == (0, 0)
    assert sorted(body["user"]["userID"] for body in exposures(server)) == sorted(
        f"user-{number}" for number in range(40) if number != 13
    )


async def test_exposures_fill_a_queue_completely(server: DevServer) -> None:
    async with Client(statsig(server, limits=Limits(linger=60, max_queued_events=30))) as client:
        for number in range(40):
            await client.check_gate(f"user-{number}", "open")
        counts = client.health().destinations["Statsig"].counts.exposures

    assert counts is not None
    assert (counts.pending, counts.dropped) == (30, {"queue full": 10})
    assert len(exposures(server)) == 30


async def test_a_request_has_at_most_max_bytes_of_exposures(server: DevServer) -> None:
    async with Client(statsig(server, limits=Limits(linger=60, max_bytes=2000))) as client:
        for number in range(40):
            await client.check_gate(f"user-{number}", "open")

    sizes = [len(json.dumps(request.json["events"])) for request in server.requests if "log_event" in request.path]
    assert len(exposures(server)) == 40
    assert max(sizes) < 2500


async def test_a_spool_stores_each_exposure_separately(server: DevServer, tmp_path: Path) -> None:
    server.fault("statsig", Fault(503))
    async with Client(statsig(server), spool=tmp_path / "spool", close_timeout=0.2) as client:
        for number in range(40):
            await client.check_gate(f"user-{number}", "open")
    left = (await client.aclose()).destinations["Statsig"].exposures
    server.clear_faults()
    async with Client(statsig(server), spool=tmp_path / "spool") as other:
        async with asyncio.timeout(5):
            while len(exposures(server)) < 40:
                await asyncio.sleep(0.001)
        taken = (await other.flush()).destinations["Statsig"].exposures

    assert left is not None
    assert taken is not None
    assert (left.spooled, taken.accepted, taken.delivered) == (40, 40, 40)
    assert [body["user"]["userID"] for body in exposures(server)] == [f"user-{number}" for number in range(40)]


async def test_a_window_is_not_shortened_by_another_vendor_that_takes_exposures(server: DevServer) -> None:
    async with Client(statsig(server), RudderStack("k", server.url, exposures="experiments")) as client:
        client._exposures.window.max_exposures = 4
        for user in ("ada", "bob", "cy", "ada"):  # RudderStack gets none of these
            await client.check_gate(user, "open")
            client.health()

    assert [body["user"]["userID"] for body in exposures(server)] == ["ada", "bob", "cy"]


async def test_lookups_that_cannot_be_reported_are_not_remembered(server: DevServer) -> None:
    client = Client(statsig(server))
    await client.check_gate(ADA, "open")
    async with client:
        await client.check_gate(ADA, "open")
    for number in range(100):
        await client.check_gate(f"user-{number}", "open")

    assert len(exposures(server)) == 1
    assert sum(map(len, client._exposures.window._exposed.values())) == 1


async def test_custom_ids_with_keys_of_other_types_are_evaluated_and_reported(server: DevServer) -> None:
    async with Client(statsig(server)) as client:
        for _ in range(2):
            assert await client.check_gate(User("ada", custom_ids={1: "a", "b": "c"}), "open")  # type: ignore[dict-item] # the mistake under test

    assert [body["user"]["customIDs"] for body in exposures(server)] == [{"1": "a", "b": "c"}]


async def test_a_full_window_starts_a_new_one(server: DevServer) -> None:
    async with Client(statsig(server)) as client:
        client._exposures.window.max_exposures = 3
        for user in ("ada", "bob", "ada", "cy", "dan"):
            await client.check_gate(user, "open")
        client.health()
        await client.check_gate("ada", "open")

    assert [body["user"]["userID"] for body in exposures(server)] == ["ada", "bob", "cy", "dan", "ada"]


async def test_an_exposure_larger_than_the_queue_is_rejected(server: DevServer) -> None:
    async with Client(statsig(server, limits=Limits(linger=60, max_queued_bytes=1000))) as client:
        await client.check_gate(User("ada", email="x" * 1000), "open")
        await client.check_gate("bob", "open")
        report = await client.flush()

    counts = report.destinations["Statsig"].exposures
    assert counts is not None
    assert (counts.delivered, counts.rejected, counts.dropped) == (1, {"too large": 1}, {})


async def test_a_reported_exposure_is_pending_until_it_is_encoded(server: DevServer) -> None:
    async with Client(statsig(server)) as client:
        await client.check_gate(ADA, "open")
        assert "1 events pending" in repr(client)


async def test_a_manual_exposure_that_a_full_queue_drops_is_due_again(server: DevServer) -> None:
    limits = Limits(linger=60, max_queued_events=1)
    async with Client(statsig(server, limits=limits)) as client:
        await client.check_gate(ADA, "open")
        client.log_exposure(ADA, "prices")
        await client.flush()
        client.log_exposure(ADA, "prices")

    assert [body["eventName"] for body in exposures(server)] == ["statsig::gate_exposure", "statsig::config_exposure"]


@pytest.mark.parametrize("name", ["seen", "details", "exposed", "layer", "djb2"])
async def test_a_parameter_may_have_any_name(server: DevServer, name: str) -> None:
    layers = {"page": spec("layer", {name: "Home"})}
    async with Client(statsig(server, rules=Rules(bootstrap=ruleset(layer_configs=layers)))) as client:
        for _ in range(2):
            layer = await client.get_layer(ADA, "page")
            assert layer.get_string(name, "") == "Home"
            assert layer.details.reason == "Bootstrap:Recognized"
        assert json.loads(client.bootstrap(ADA, hash="none"))["layer_configs"]["page"]["value"] == {name: "Home"}

    assert [body["metadata"]["parameterName"] for body in exposures(server)] == [name]


async def test_lookups_in_other_threads_report_exposures(server: DevServer) -> None:
    async with Client(statsig(server)) as client:
        await asyncio.to_thread(lambda: client.bind(ADA).check_gate("open"))

    assert len(exposures(server)) == 1


async def test_an_exposure_that_a_blocked_loop_has_no_room_for_is_due_again(server: DevServer) -> None:
    def look_up() -> None:
        for n in range(10_001):
            client.bind(f"user-{n}" if n < 10_000 else ADA).check_gate("open")

    async with Client(statsig(server, limits=Limits(max_queued_events=20_000, linger=60))) as client:
        thread = threading.Thread(target=look_up)
        thread.start()
        thread.join()  # this blocks the loop
        await client.flush()
        assert ADA.user_id not in {body["user"]["userID"] for body in exposures(server)}
        client.bind(ADA).check_gate("open")

    assert ADA.user_id in {body["user"]["userID"] for body in exposures(server)}


async def test_pending_exposures_are_bounded_while_the_loop_is_blocked(server: DevServer) -> None:
    async with Client(statsig(server, limits=Limits(linger=60))) as client:
        flags = [client.bind(f"user-{number}") for number in range(1_001)]
        for one in flags:
            one.check_gate("open")

        assert client._lanes[0].ledger.report().pending == 0
        assert client._lanes[0].ledger.exposures.accepted == 1_000


async def test_an_exposure_has_the_time_of_its_lookup(server: DevServer) -> None:
    async with Client(statsig(server, limits=Limits(linger=60))) as client:
        await client.check_gate(ADA, "open")
        after_ms = int(time.time() * 1000)
        while int(time.time() * 1000) == after_ms:
            pass
        await client.flush()

    assert exposures(server)[0]["time"] <= after_ms


async def test_exposures_that_are_encoded_together_have_their_own_times(server: DevServer) -> None:
    async with Client(statsig(server)) as client:
        await client.check_gate("ada", "open")
        began = int(time.time() * 1000)
        while int(time.time() * 1000) == began:
            pass
        await client.check_gate("bob", "open")

    first, second = exposures(server)
    assert first["time"] < second["time"]


async def test_exposures_of_a_cancelled_client_are_counted(server: DevServer) -> None:
    client = Client(statsig(server, limits=Limits(linger=60)))
    await client.start()
    (task,) = [task for task in asyncio.all_tasks() if task.get_name() == "asyncsdk"]
    await client.check_gate(ADA, "open")
    with pytest.warns(ResourceWarning):
        task.cancel()
        await asyncio.wait([task])
        await asyncio.sleep(0)
        report = await client.aclose()

    counts = report.destinations["Statsig"].exposures
    assert counts is not None
    assert (counts.accepted, counts.abandoned) == (1, 1)


async def test_an_exposure_of_a_thread_after_the_close_is_not_counted(server: DevServer) -> None:
    client = Client(statsig(server, rules=Rules(specs_url="http://127.0.0.1:9/v2/none")))
    entering = asyncio.create_task(client.__aenter__())
    await asyncio.sleep(0)
    entering.cancel()
    thread = threading.Thread(target=lambda: client.bind(ADA).check_gate("open"))
    thread.start()
    thread.join()
    await asyncio.wait([entering])

    assert (await client.aclose()).destinations["Statsig"].exposures is None


async def test_a_user_that_json_cannot_represent_costs_only_the_exposure(server: DevServer) -> None:
    async with Client(statsig(server)) as client:
        await client.check_gate(User("odd", custom={"x": object()}), "open")
        await client.check_gate(User(1.5), "open")  # type: ignore[arg-type] # the mistake under test
        await client.check_gate(ADA, "open")
        report = await client.flush()

    counts = report.destinations["Statsig"].exposures
    assert counts is not None
    assert (counts.delivered, counts.dropped) == (1, {"not serializable": 2})


async def test_a_user_that_cannot_be_redacted_costs_only_the_exposure(server: DevServer) -> None:
    cycle: dict[str, Any] = {}
    cycle["again"] = cycle
    async with Client(statsig(server)).add_middleware(redact("iban")) as client:
        for user in (User("before"), User("odd", custom=cycle), User("after")):
            await client.check_gate(user, "open")
            await client.check_gate(user, "nested")
        report = await client.flush()

    counts = report.destinations["Statsig"].exposures
    assert counts is not None
    assert (counts.delivered, counts.dropped) == (4, {"not serializable": 2})
    assert [body["user"]["userID"] for body in exposures(server)] == ["before", "before", "after", "after"]


@dataclass
class Plan:
    """JSON has the fields that are set; reading the other one raises."""

    name: str
    price: float = field(init=False)


async def test_a_user_whom_only_redaction_cannot_read_is_not_called_unusable(
    server: DevServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with Client(statsig(server)).add_middleware(redact("iban")) as client:
        assert await client.check_gate(User("odd", custom={"plan": Plan("pro")}), "open")
        report = await client.flush()

    counts = report.destinations["Statsig"].exposures
    assert counts is not None
    assert (counts.accepted, counts.dropped) == (1, {"not serializable": 1})
    assert "a lookup returned the fallback" not in caplog.text


async def test_an_unhashable_id_gets_the_fallback_and_its_exposure_is_counted(server: DevServer) -> None:
    async with Client(statsig(server)) as client:
        assert not await client.check_gate(User(["ada"]), "open")  # type: ignore[arg-type] # the mistake under test
        client.log_exposure(User(["ada"]), "open")  # type: ignore[arg-type] # as above
        report = await client.flush()

    counts = report.destinations["Statsig"].exposures
    assert counts is not None
    assert counts.dropped == {"not serializable": 2}


async def test_nothing_is_reported_before_start_after_close_or_offline(server: DevServer) -> None:
    for offline in (False, True):
        client = Client(statsig(server, offline=offline))
        await client.check_gate(ADA, "open")
        async with client:
            if offline:
                await client.check_gate(ADA, "open")
        await client.check_gate(User("late"), "open")

    assert exposures(server) == []


async def test_redact_applies_to_the_users_of_exposures(server: DevServer) -> None:
    user = User("ada", email="a@b.c", custom={"iban": "NL91", "plan": "pro"})
    client = Client(statsig(server)).add_middleware(sample(1.0)).add_middleware(redact("iban", "email"))
    async with client:
        await client.check_gate(user, "open")

    (event,) = exposures(server)
    assert event["user"] == {"userID": "ada", "email": "[redacted]", "custom": {"iban": "[redacted]", "plan": "pro"}}


async def test_sampling_of_the_ruleset_is_applied(server: DevServer) -> None:
    gate = spec("feature_gate", False, rule("all", True, "everybody", samplingRate=1_000_000))
    body = ruleset(sdk_configs={"sampling_mode": "on"}, feature_gates={"open": gate})
    rules = Rules(bootstrap=body, specs_url="http://127.0.0.1:9/v2/none")
    async with Client(statsig(server, rules=rules)) as client:
        for n in range(20):
            await client.check_gate(f"user-{n}", "open")

    assert len(exposures(server)) == 1


async def test_an_experiment_that_conditions_look_at_is_exposed_once(server: DevServer) -> None:
    condition = {"type": "experiment_group", "operator": "any", "targetValue": ["Test"], "field": "button"}
    body = ruleset()
    fields = json.loads(body)
    fields["condition_map"]["in Test"] = condition
    fields["feature_gates"] |= {
        name: spec("feature_gate", False, rule("in Test", True, "in Test")) for name in ("grouped", "also")
    }
    rules = Rules(bootstrap=json.dumps(fields).encode(), specs_url="http://127.0.0.1:9/v2/none")
    async with Client(statsig(server, rules=rules)) as client:
        assert await client.check_gate(ADA, "grouped")
        assert await client.check_gate(ADA, "also")

    assert sorted(body["eventName"] for body in exposures(server)) == [
        "statsig::config_exposure",
        "statsig::gate_exposure",
        "statsig::gate_exposure",
    ]


async def test_a_vendor_that_is_down_loses_no_exposure(server: DevServer) -> None:
    server.script("statsig", 503, Fault(end="reset"))
    async with Client(statsig(server)) as client:
        await client.check_gate(ADA, "open")
        report = await client.flush()

    counts = report.destinations["Statsig"].exposures
    assert counts is not None
    assert counts.delivered == 1
    assert "of exposures accepted 1, delivered 1" in str(report)


async def test_on_delivery_gets_events_only_and_on_settled_exposures_too(server: DevServer) -> None:
    events: list[str] = []
    counts: list[int] = []
    client = Client(statsig(server), on_delivery=lambda event_id, _: events.append(event_id))
    client.on_settled(lambda _, count: counts.append(count))
    async with client:
        await client.check_gate(ADA, "open")
        await client.track(ADA, "a", message_id="mine")

    assert events == ["mine"]
    assert sum(counts) == 2


async def test_an_exposure_has_the_custom_values_that_the_rules_read(server: DevServer) -> None:
    countries = ["NL"]
    async with Client(statsig(server)) as client:
        await client.check_gate(User("ada", custom={"country": countries, "plan": "pro"}), "dutch")
        countries.append("DE")
        await client.flush()

    (event,) = exposures(server)
    assert event["user"]["custom"] == {"country": ["NL"], "plan": "pro"}
