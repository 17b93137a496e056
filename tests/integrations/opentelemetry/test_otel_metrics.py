"""A client's health as metrics."""

import asyncio
import gc
import time
import weakref

import pytest
from helpers import ADA, amplitude, quick, rudderstack, ruleset
from helpers import statsig as events_only
from helpers import statsig_with_rules as statsig
from opentelemetry.sdk.metrics.export import Gauge, Histogram, Sum

from asyncsdk import Client, ConfigurationError, Rules
from asyncsdk.dev import DevServer, Fault
from integrations.opentelemetry.telemetry import Telemetry


async def retrying(client: Client) -> None:
    while client.health().destinations["RudderStack"].state == "ok":
        await asyncio.sleep(0)


async def test_what_is_queued_is_measured_in_events_bytes_and_age(telemetry: Telemetry, server: DevServer) -> None:
    client = telemetry.of(Client(rudderstack(server, quick(linger=60)), amplitude(server, quick(linger=60))))
    async with client:
        await client.track(ADA, "a", integrations={"Amplitude": False})
        await client.track(ADA, "b")
        await asyncio.sleep(0.01)
        events, size, age = (
            telemetry.points(f"asyncsdk.queue.{name}", "destination") for name in ("events", "size", "age")
        )
        health = client.health().destinations

    assert events == {"RudderStack": 2, "Amplitude": 1}
    assert size == {name: found.queued_bytes for name, found in health.items()}
    assert 0.01 <= min(age.values()) <= max(age.values()) < 60
    assert telemetry.points("asyncsdk.queue.events", "destination") == {"RudderStack": 0, "Amplitude": 0}


async def test_requests_in_flight_are_counted(telemetry: Telemetry, server: DevServer) -> None:
    server.fault("rudderstack", Fault(delay=5))
    client = telemetry.of(Client(rudderstack(server)))
    await client.start()
    await client.track(ADA, "a")
    await server.requested("rudderstack")

    assert telemetry.points("asyncsdk.requests.active", "destination") == {"RudderStack": 1}
    await client.aclose(timeout=0)
    assert telemetry.points("asyncsdk.requests.active", "destination") == {"RudderStack": 0}


async def test_every_event_is_counted_with_its_status_and_reason(telemetry: Telemetry, server: DevServer) -> None:
    server.script("rudderstack", 400)
    client = telemetry.of(Client(rudderstack(server, quick(max_queued_events=2)), amplitude(server)))
    async with client:
        await client.track(ADA, "refused")
        await client.flush()
        await client.track(ADA, "delivered")
        await client.alias("old", ADA)
        await client.track(ADA, "no room")

    accepted = telemetry.points("asyncsdk.events.accepted", "destination", "kind")
    settled = telemetry.points("asyncsdk.events.settled", "destination", "status", "reason")
    [reason] = client.health().destinations["RudderStack"].counts.rejected
    assert accepted == {("RudderStack", "event"): 4, ("Amplitude", "event"): 4}
    assert {key: value for key, value in settled.items() if value} == {
        ("RudderStack", "rejected", reason): 1,
        ("RudderStack", "delivered", None): 2,
        ("RudderStack", "dropped", "queue full"): 1,
        ("Amplitude", "delivered", None): 3,
        ("Amplitude", "skipped", "no such call"): 1,
    }


async def test_abandoned_events_are_counted_too(telemetry: Telemetry, server: DevServer) -> None:
    server.fault("rudderstack", Fault(503))
    client = telemetry.of(Client(rudderstack(server)))
    await client.start()
    await client.track(ADA, "a")
    await client.aclose(timeout=0)

    assert telemetry.points("asyncsdk.events.settled", "status")["abandoned"] == 1


async def test_exposures_are_counted_separately(telemetry: Telemetry, server: DevServer) -> None:
    async with telemetry.of(Client(statsig(server))) as client:
        await client.track(ADA, "a")
        await client.check_gate(ADA, "open")
        await client.check_gate(ADA, "dutch")

    assert telemetry.points("asyncsdk.events.accepted", "kind") == {"event": 1, "exposure": 2}
    settled = telemetry.points("asyncsdk.events.settled", "kind", "status")
    assert (settled["event", "delivered"], settled["exposure", "delivered"]) == (1, 2)


async def test_retries_are_counted(telemetry: Telemetry, server: DevServer) -> None:
    server.script("rudderstack", 503, 429, Fault(end="reset"))
    async with telemetry.of(Client(rudderstack(server))) as client:
        await client.track(ADA, "a")
        await client.flush()

    assert telemetry.points("asyncsdk.retries", "destination") == {"RudderStack": 3}


async def test_the_state_of_a_destination_is_a_metric(telemetry: Telemetry, server: DevServer) -> None:
    server.fault("rudderstack", Fault(503))
    async with telemetry.of(Client(rudderstack(server), amplitude(server))) as client:
        await client.track(ADA, "a")
        await retrying(client)
        states = telemetry.points("asyncsdk.destination.status", "destination", "state")
        server.clear_faults()

    assert {key for key, value in states.items() if value == 1} == {("RudderStack", "retrying"), ("Amplitude", "ok")}
    assert sum(states.values()) == 2


async def test_the_lag_of_deliveries_is_a_histogram_of_requests(telemetry: Telemetry, server: DevServer) -> None:
    server.script("rudderstack", Fault(delay=0.06), 400)
    async with telemetry.of(Client(rudderstack(server))) as client:
        await client.track(ADA, "a")
        await client.track(ADA, "b")
        await client.flush()
        await client.track(ADA, "refused")
        await client.flush()

    lag = telemetry.points("asyncsdk.delivery.lag", "destination")["RudderStack"]
    assert lag.count == 1
    assert 0.06 <= lag.sum < 5
    assert (lag.bucket_counts[0], lag.explicit_bounds[0]) == (0, 0.05)


async def test_the_age_of_the_rules_is_measured(telemetry: Telemetry) -> None:
    async with DevServer(ruleset=ruleset()) as server:
        rules = Rules(specs_url=f"{server.url}/v2/download_config_specs")
        async with telemetry.of(Client(statsig(server, rules=rules))):
            await asyncio.sleep(0.01)
            ages = [telemetry.points(f"asyncsdk.rules.{name}")[()] for name in ("age", "sync_age", "failures")]

    assert 0 <= ages[0] < 60
    assert 0 <= ages[1] < 60
    assert ages[2] == 0


async def test_failures_to_get_rules_are_measured(telemetry: Telemetry, server: DevServer) -> None:
    server.fault("statsig-rules", Fault(503))
    rules = Rules(specs_url=f"{server.url}/v2/download_config_specs")
    async with telemetry.of(Client(statsig(server, rules=rules), start_timeout=0.01)) as client:
        while not client.health().rules.failures:  # type: ignore[union-attr] # there is a source
            await asyncio.sleep(0)

        assert telemetry.points("asyncsdk.rules.failures")[()] >= 1
        assert "asyncsdk.rules.age" not in telemetry.metrics


async def test_a_client_without_rules_has_no_metrics_of_rules(telemetry: Telemetry, server: DevServer) -> None:
    async with telemetry.of(Client(events_only(server))):
        assert not [name for name in telemetry.metrics if name.startswith("asyncsdk.rules")]


async def test_a_blocked_loop_is_measured(telemetry: Telemetry) -> None:
    async with telemetry.of(Client(), stall_interval=0.001):
        await asyncio.sleep(0.01)
        time.sleep(0.05)
        await asyncio.sleep(0.01)
        stall = telemetry.points("asyncsdk.loop.stall")[()]

    assert stall.max >= 0.04
    assert stall.min < 0.04
    assert stall.count > 1


async def test_the_loop_is_not_measured_if_disabled(telemetry: Telemetry) -> None:
    client = telemetry.of(Client(), stall_interval=None)
    assert client._hooks.tasks == []
    async with client:
        assert "asyncsdk.loop.stall" not in telemetry.metrics


@pytest.mark.parametrize("interval", [None, 0.1])
async def test_a_client_is_instrumented_before_it_starts(telemetry: Telemetry, interval: float | None) -> None:
    async with Client() as client:
        with pytest.raises(ConfigurationError, match="instrument the client before it starts"):
            telemetry.of(client, stall_interval=interval)

    assert not telemetry.metrics


async def test_crashes_are_counted(telemetry: Telemetry) -> None:
    async def job() -> None:
        raise OSError

    client = telemetry.of(Client()).add_background_task("mine", job)
    async with client:
        while not client.health().crashes:
            await asyncio.sleep(0)

        assert telemetry.points("asyncsdk.crashes") == {(): 1}


async def test_the_kinds_and_units_are_those_that_dashboards_expect(telemetry: Telemetry, server: DevServer) -> None:
    async with telemetry.of(Client(statsig(server), rudderstack(server)), stall_interval=0.001) as client:
        await client.track(ADA, "a")
        await client.flush()
        await asyncio.sleep(0.01)
        metrics = {name: metric for name, [metric] in telemetry.metrics.items()}

    def named(kind: type, *, monotonic: bool | None = None) -> set[str]:
        return {
            f"{name.removeprefix('asyncsdk.')} {metric.unit}"
            for name, metric in metrics.items()
            if isinstance(metric.data, kind) and getattr(metric.data, "is_monotonic", None) is monotonic
        }

    assert named(Sum, monotonic=True) == {
        "crashes {crash}", "events.accepted {event}", "events.settled {event}", "retries {request}",
    }  # fmt: skip
    assert named(Sum, monotonic=False) == {
        "destination.status {destination}", "queue.events {event}", "queue.size By", "requests.active {request}",
    }  # fmt: skip
    assert named(Gauge) == {"queue.age s", "rules.age s", "rules.failures {failure}"}
    assert named(Histogram) == {"delivery.lag s", "loop.stall s"}
    assert all(metric.description for metric in metrics.values())


async def test_clients_of_one_process_are_distinguished(telemetry: Telemetry, server: DevServer) -> None:
    async with (
        telemetry.of(Client(rudderstack(server)), name="shop") as shop,
        telemetry.of(Client(rudderstack(server))) as _other,  # kept alive: metrics forget a collected client
    ):
        await shop.track(ADA, "a")

    counts = {
        point.attributes["asyncsdk.client"]: point.value
        for metric in telemetry.metrics["asyncsdk.events.accepted"]
        for point in metric.data.data_points
    }
    assert counts.pop("shop") == 1
    [(number, count)] = counts.items()
    assert number.isdigit()
    assert count == 0


async def test_metrics_do_not_keep_a_client_alive(telemetry: Telemetry, server: DevServer) -> None:
    client = telemetry.of(Client(rudderstack(server)))
    async with client:
        await client.track(ADA, "a")
    gone = weakref.ref(client)
    assert "asyncsdk.retries" in telemetry.metrics

    del client
    gc.collect()

    assert gone() is None
    assert "asyncsdk.retries" not in telemetry.metrics
