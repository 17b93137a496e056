"""A relay over HTTP: `/metrics` for Prometheus, `/healthz` and `/readyz` for systemd, Kubernetes and people.

    path       200 when                                  503 when
    /healthz   the process works, even if others do not  it has ended
    /readyz    it takes events                           it is closing, or the engine is unavailable
    /metrics   always; without the engine's counts while that is unavailable

A relay must not be restarted because an engine or a vendor is down: that is why `/healthz` does not depend on them.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import orjson
from aiohttp import web
from prometheus_client import CollectorRegistry, exposition
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from asyncsdk._model.engines import EngineError, EngineStats
from asyncsdk._model.reports import DestinationReport, Health
from asyncsdk.relay.relay import Relay

_STATES = ("ok", "retrying", "refused", "halted")


class Monitoring:
    """The HTTP server of a relay."""

    def __init__(self, relay: Relay, host: str, port: int) -> None:
        """Prepare; nothing listens before `start`.

        Args:
            relay: The relay.
            host: Address to listen on.
            port: Port; 0 takes a free one.
        """
        self._relay = relay
        self._host, self._port = host, port
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        self._runner = web.AppRunner(app, access_log=None)

    async def start(self) -> str:
        """Listen, and return the address.

        Raises:
            OSError: The port is taken.
        """
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    async def aclose(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        health = self._relay.health()
        return _as_json(health, works=health.state != "closed")

    async def _readyz(self, _: web.Request) -> web.Response:
        health = self._relay.health()
        available = health.engine is not None and health.engine.state == "ok"
        return _as_json(health, works=health.state == "running" and available)

    async def _metrics(self, _: web.Request) -> web.Response:
        stats: Mapping[str, EngineStats] = {}
        with suppress(EngineError):  # `asyncsdk_relay_engine_up` says so
            stats = await self._relay.stats()
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_RelayCollector(self._relay, stats))
        return web.Response(
            body=exposition.generate_latest(registry), headers={"Content-Type": exposition.CONTENT_TYPE_LATEST}
        )


def _as_json(health: Health, *, works: bool) -> web.Response:
    engine = health.engine
    body = {
        "state": health.state,
        "engine": None
        if engine is None
        else {"state": engine.state, "error": engine.last_error, "warnings": engine.warnings},
        "destinations": {
            name: {"state": one.state, "queued_events": one.queued_events, "error": one.last_error}
            for name, one in health.destinations.items()
        },
    }
    return web.Response(body=orjson.dumps(body), status=200 if works else 503, content_type="application/json")


class _RelayCollector(Collector):
    """The figures of a relay at one moment."""

    def __init__(self, relay: Relay, stats: Mapping[str, EngineStats]) -> None:
        self._relay = relay
        self._stats = stats

    def collect(self) -> Iterable[Metric]:
        """Return all figures."""
        health = self._relay.health()
        yield from _counts(health)
        yield from _gauges(health)
        up = health.engine is not None and health.engine.state == "ok"
        yield _metric(GaugeMetricFamily, "relay_engine_up", "Whether the engine answers.", (), {(): float(up)})
        yield _metric(CounterMetricFamily, "relay_crashes", "Background tasks restarted.", (), {(): health.crashes})
        by_name = {(name,): value for name, value in self._relay.held_entries().items()}
        yield _metric(
            GaugeMetricFamily, "relay_leased_entries", "Entries held by this relay.", ("destination",), by_name
        )
        by_name = {(name,): value for name, value in self._relay.dead_letters().items()}
        yield _metric(CounterMetricFamily, "relay_dead_letters", "Events given up.", ("destination",), by_name)
        entries = {
            (name, state): getattr(stats, state)
            for name, stats in self._stats.items()
            for state in ("waiting", "taken")
        }
        yield _metric(GaugeMetricFamily, "engine_entries", "Entries in the engine.", ("destination", "state"), entries)
        oldest = {(name,): stats.oldest for name, stats in self._stats.items()}
        yield _metric(
            GaugeMetricFamily, "engine_oldest_entry_seconds", "Age of the oldest entry.", ("destination",), oldest
        )


def _counts(health: Health) -> Iterator[Metric]:
    labels = ("destination", "kind", "status", "reason")
    counts = {
        (name, kind, status, reason): count
        for name, one in health.destinations.items()
        for kind, report in (("event", one.counts), ("exposure", one.counts.exposures))
        if report is not None
        for status, reason, count in _outcomes(report)
    }
    yield _metric(CounterMetricFamily, "relay_events", "Events by outcome; enqueued: handed back.", labels, counts)
    retries = {(name,): one.retries for name, one in health.destinations.items()}
    yield _metric(CounterMetricFamily, "relay_retries", "Requests with events to repeat.", ("destination",), retries)


def _outcomes(report: DestinationReport) -> Iterator[tuple[str, str, int]]:
    yield "accepted", "", report.accepted
    yield "delivered", "", report.delivered
    yield "enqueued", "", report.enqueued
    for status in ("rejected", "dropped"):
        for reason, count in getattr(report, status).items():
            yield status, reason, count


def _gauges(health: Health) -> Iterator[Metric]:
    for name, field, text in (
        ("relay_queued_events", "queued_events", "Events in memory."),
        ("relay_queued_bytes", "queued_bytes", "Size of these events."),
        ("relay_requests_in_flight", "requests_in_flight", "Requests in flight."),
        ("relay_oldest_event_seconds", "oldest", "Age of the oldest event in memory."),
        ("relay_retry_in_seconds", "retry_in", "Time until the next request may be sent."),
    ):
        values = {(destination,): getattr(one, field) for destination, one in health.destinations.items()}
        yield _metric(GaugeMetricFamily, name, text, ("destination",), values)
    states = {
        (name, state): float(one.state == state) for name, one in health.destinations.items() for state in _STATES
    }
    text = "1 for the state of the destination."
    yield _metric(GaugeMetricFamily, "relay_destination_state", text, ("destination", "state"), states)


def _metric(family: Any, name: str, text: str, labels: tuple[str, ...], values: Mapping[Any, float]) -> Metric:
    metric: Metric = family(f"asyncsdk_{name}", text, labels=labels)
    for names, value in values.items():
        metric.add_metric(names, value)  # type: ignore[attr-defined] # every family has it
    return metric
