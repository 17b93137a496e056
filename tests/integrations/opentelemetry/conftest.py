"""OpenTelemetry's own SDK, which keeps in memory what it is given."""

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import attrs
import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, Metric
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from asyncsdk import Client
from asyncsdk.dev import DevServer
from asyncsdk.integrations.opentelemetry import instrument


@attrs.define(eq=False)
class Telemetry:
    """What was exported so far."""

    tracers: TracerProvider = attrs.field(factory=lambda: TracerProvider(shutdown_on_exit=False))
    loggers: LoggerProvider = attrs.field(factory=lambda: LoggerProvider(shutdown_on_exit=False))
    _spans: InMemorySpanExporter = attrs.field(factory=InMemorySpanExporter)
    _logs: InMemoryLogRecordExporter = attrs.field(factory=InMemoryLogRecordExporter)
    _reader: InMemoryMetricReader = attrs.field(factory=InMemoryMetricReader)
    meters: MeterProvider = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.meters = MeterProvider([self._reader], shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.loggers.add_log_record_processor(SimpleLogRecordProcessor(self._logs))

    def of(self, client: Client, **settings: Any) -> Client:
        """Instrument a client."""
        providers: Any = {
            "tracer_provider": self.tracers,
            "meter_provider": self.meters,
            "logger_provider": self.loggers,
        }
        return instrument(client, **providers, **settings)

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self._spans.get_finished_spans())

    @property
    def records(self) -> list[Any]:
        return [found.log_record for found in self._logs.get_finished_logs()]

    @property
    def events(self) -> list[dict[str, Any]]:
        """The attributes of each event."""
        return [dict(record.attributes) for record in self.records]

    @property
    def metrics(self) -> dict[str, list[Metric]]:
        """What the instruments say now; of each client a `Metric`."""
        found: dict[str, list[Metric]] = {}
        data = self._reader.get_metrics_data()
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    found.setdefault(metric.name, []).append(metric)
        return found

    def points(self, name: str, *told: str) -> dict[Any, Any]:
        """Give an instrument's values now, by the values of the attributes that are `told`."""
        [metric] = self.metrics[name]
        return {_key(point.attributes, told): getattr(point, "value", point) for point in metric.data.data_points}

    def all(self) -> str:
        """Give everything that was exported, as text."""
        logs = [found.to_json() for found in self._logs.get_finished_logs()]
        data = self._reader.get_metrics_data()
        return "\n".join([*(span.to_json() for span in self.spans), *logs, data.to_json() if data else ""])

    def close(self) -> None:
        for provider in (self.tracers, self.loggers, self.meters):
            provider.shutdown()


def _key(attributes: Mapping[str, Any] | None, told: tuple[str, ...]) -> Any:
    values = tuple((attributes or {}).get(f"asyncsdk.{name}") for name in told)
    return values[0] if len(values) == 1 else values


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    telemetry = Telemetry()
    yield telemetry
    telemetry.close()


@pytest.fixture
async def server() -> AsyncIterator[DevServer]:
    async with DevServer(keep=100_000) as server:
        yield server
