"""OpenTelemetry's own SDK with in-memory exporters."""

from collections.abc import Mapping
from typing import Any

import attrs
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, Metric
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from asyncsdk import Client
from asyncsdk.integrations.opentelemetry import instrument


@attrs.define(eq=False)
class Telemetry:
    """Providers of OpenTelemetry's SDK, and everything that they have exported so far."""

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
        """The attributes of each log record."""
        return [dict(record.attributes) for record in self.records]

    @property
    def metrics(self) -> dict[str, list[Metric]]:
        """The current metrics by name: one `Metric` per client."""
        found: dict[str, list[Metric]] = {}
        data = self._reader.get_metrics_data()
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    found.setdefault(metric.name, []).append(metric)
        return found

    def points(self, name: str, *attributes: str) -> dict[Any, Any]:
        """Return an instrument's current values, keyed by the values of the given attributes."""
        [metric] = self.metrics[name]
        return {_key(point.attributes, attributes): getattr(point, "value", point) for point in metric.data.data_points}

    def all(self) -> str:
        """Return everything that was exported, as text."""
        logs = [found.to_json() for found in self._logs.get_finished_logs()]
        data = self._reader.get_metrics_data()
        return "\n".join([*(span.to_json() for span in self.spans), *logs, data.to_json() if data else ""])

    def close(self) -> None:
        for provider in (self.tracers, self.loggers, self.meters):
            provider.shutdown()


def _key(attributes: Mapping[str, Any] | None, names: tuple[str, ...]) -> Any:
    values = tuple((attributes or {}).get(f"asyncsdk.{name}") for name in names)
    return values[0] if len(values) == 1 else values
