"""OpenTelemetry: `client = instrument(Client(...))`. Lookups become events, health metrics, and requests spans.

Only OpenTelemetry's API is needed; where the telemetry goes is decided by the SDK that the application sets up.

| signal | source | cost |
|---|---|---|
| events | `Client.on_evaluation`, for each lookup | about 15 us |
| metrics | `Client.health()`, when the SDK collects | none between collections |
| histograms | `Client.on_settled`, for each request; a background task for the event loop | |
| spans | `Client.on_request`, for each request | |

Source: OpenTelemetry's semantic conventions for feature flag events (release candidate) and HTTP client spans, as in
opentelemetry-semantic-conventions 0.66b1.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal
from urllib.parse import urlsplit
from weakref import ref

import attrs

from asyncsdk import (
    Client,
    ConfigurationError,
    Delivery,
    DestinationHealth,
    DestinationReport,
    FeatureGate,
    Health,
    LookupResult,
    RequestInfo,
    User,
    __version__,
)
from asyncsdk.integrations._extras import needs_extra

with needs_extra("otel"):
    from opentelemetry import metrics, trace

    # Both are private in name only: logs are experimental in Python, and all instrumentations share the key.
    from opentelemetry._logs import Logger, LoggerProvider, SeverityNumber, get_logger
    from opentelemetry.context import _SUPPRESS_HTTP_INSTRUMENTATION_KEY, attach, detach, set_value
    from opentelemetry.metrics import CallbackOptions, Histogram, Meter, MeterProvider, Observation
    from opentelemetry.trace import SpanKind, StatusCode, Tracer, TracerProvider

__all__ = ["Evaluations", "instrument", "user_id"]

Attributes = Mapping[str, str]
Points = Iterable[tuple[float, Attributes]]

# An instrument is created once per name, so the clients of a process are distinguished by an attribute.
_NUMBERS = itertools.count(1)
_PORTS = {"http": 80, "https": 443}
# Bucket boundaries of the histograms, in seconds.
_LAG_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900)
_STALL_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)


def user_id(user: User) -> str | None:
    """Return the user's id as text: the default of `Evaluations.context_id`.

    Args:
        user: The user of a lookup.

    Returns:
        The id; None if the user has none.
    """
    return None if user.user_id is None else str(user.user_id)


@attrs.frozen
class Evaluations:
    """Settings of `feature_flag.evaluation` events.

    Attributes:
        context_id: Function that returns `feature_flag.context.id` for a user, or None to leave it out; None leaves it
            out of all events. If your ids are e-mail addresses or otherwise sensitive, pass one that hashes them.
        values: Whether events have the values of configs, experiments and layers; a gate's value is always included.
        set_id: Value of `feature_flag.set.id`, such as the name of the project and its environment; None leaves it out.
    """

    context_id: Callable[[User], str | None] | None = user_id
    values: bool = False
    set_id: str | None = None


def instrument(
    client: Client,
    *,
    name: str | None = None,
    evaluations: Evaluations | None = Evaluations(),
    stall_interval: float | None = 0.1,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    logger_provider: LoggerProvider | None = None,
) -> Client:
    """Report what a client does to OpenTelemetry. Call it once, before the client starts.

    Keys, headers, bodies, queries, and fields of users other than the `context_id` are never reported.

    Args:
        client: A client that is not started yet.
        name: Value of the attribute `asyncsdk.client`, which distinguishes the clients of a process; None is a number.
        evaluations: Settings of the events of lookups, which cost about 15 us each; None sends no events.
        stall_interval: Seconds between measurements of the event loop's delay; None does not measure it.
        tracer_provider: Receives the spans; None uses the global provider.
        meter_provider: Receives the metrics; None uses the global provider.
        logger_provider: Receives the events; None uses the global provider.

    Returns:
        The same client.

    Raises:
        ConfigurationError: The client has been started already.
    """
    if client.health().state != "new":
        msg = "instrument the client before it starts: client = instrument(Client(...))"
        raise ConfigurationError(msg)
    attributes = {"asyncsdk.client": name or str(next(_NUMBERS))}
    meter = metrics.get_meter("asyncsdk", __version__, meter_provider, attributes=attributes)
    if stall_interval is not None:
        client.add_background_task("loop stall", lambda: _watch_loop(meter, attributes, stall_interval))
    _observe(client, meter, attributes)
    client.on_settled(_lag_recorder(meter, attributes))
    client.on_request(_request_tracer(trace.get_tracer("asyncsdk", __version__, tracer_provider), attributes))
    if evaluations is not None:
        client.on_evaluation(_evaluation_logger(get_logger("asyncsdk", __version__, logger_provider), evaluations))
    return client


# --- events: the results of lookups -------------------------------------------------------------------------------


def _evaluation_logger(logger: Logger, settings: Evaluations) -> Callable[[User, LookupResult], None]:
    """Return the `on_evaluation` hook, which sends an event for each lookup."""

    def log(user: User, result: LookupResult) -> None:
        attributes = _result_attributes(result, values=settings.values)
        attributes["feature_flag.context.id"] = None if settings.context_id is None else settings.context_id(user)
        attributes["feature_flag.set.id"] = settings.set_id
        logger.emit(
            event_name="feature_flag.evaluation",
            timestamp=time.time_ns(),
            severity_number=SeverityNumber.INFO,
            attributes={key: value for key, value in attributes.items() if value is not None},
        )

    return log


def _result_attributes(result: LookupResult, *, values: bool) -> dict[str, Any]:
    """Return the convention's attributes of a result; the value None is for attributes to leave out."""
    details, is_gate = result.details, isinstance(result, FeatureGate)
    group = getattr(result, "group_name" if is_gate else "group", None)
    error, message = _error(details.reason) if not details.cause else (None, None)
    return {
        "feature_flag.key": result.name,
        "feature_flag.provider.name": "Statsig",
        "feature_flag.result.variant": group or result.rule_id or None,
        "feature_flag.result.value": result.value if is_gate or values else None,
        "feature_flag.result.reason": details.cause or "error",
        "feature_flag.version": str(details.time_ms) if details.time_ms else None,
        "error.type": error,
        "feature_flag.error.message": message,
    }


def _error(reason: str) -> tuple[str, str | None]:
    """Return the convention's error type for a result without a cause, and a message if the type is a general one."""
    if reason.endswith(":Unrecognized"):
        return "flag_not_found", None
    if reason in ("Uninitialized", "NoValues"):
        return "provider_not_ready", None
    return "general", reason


# --- metrics: the client's health ---------------------------------------------------------------------------------


def _each(read: Callable[[DestinationHealth], float]) -> Callable[[Health], Points]:
    """Return a function that reads one figure of every destination."""
    return lambda health: [
        (read(destination), {"asyncsdk.destination": name}) for name, destination in health.destinations.items()
    ]


def _rules(field: Literal["age", "last_sync", "failures"]) -> Callable[[Health], Points]:
    """Return a function that reads one figure of the rules; no point if the client has no rules, or not yet."""
    return lambda health: [] if (value := getattr(health.rules, field, None)) is None else [(value, {})]


def _accepted(health: Health) -> Points:
    return [(counts.accepted, attributes) for counts, attributes in _reports(health)]


def _settled_counts(health: Health) -> Points:
    for counts, attributes in _reports(health):
        for status in ("delivered", "enqueued", "spooled", "abandoned"):
            yield getattr(counts, status), {**attributes, "asyncsdk.status": status}
        for status in ("rejected", "dropped", "skipped"):
            for reason, count in getattr(counts, status).items():
                yield count, {**attributes, "asyncsdk.status": status, "asyncsdk.reason": reason}


def _reports(health: Health) -> Iterator[tuple[DestinationReport, Attributes]]:
    """Return the counts of each destination: of its events and, if it takes them, of its exposures."""
    for name, destination in health.destinations.items():
        yield destination.counts, {"asyncsdk.destination": name, "asyncsdk.kind": "event"}
        if destination.counts.exposures is not None:
            yield destination.counts.exposures, {"asyncsdk.destination": name, "asyncsdk.kind": "exposure"}


def _states(health: Health) -> Points:
    for name, destination in health.destinations.items():
        for state in ("ok", "retrying", "refused", "halted"):
            yield int(destination.state == state), {"asyncsdk.destination": name, "asyncsdk.state": state}


# Kind, name, unit, description, and the function that reads the points.
_INSTRUMENTS: tuple[tuple[str, str, str, str, Callable[[Health], Points]], ...] = (
    ("up_down_counter", "queue.events", "{event}", "Events held", _each(lambda held: held.queued_events)),
    ("up_down_counter", "queue.size", "By", "Bytes of the events held", _each(lambda held: held.queued_bytes)),
    ("gauge", "queue.age", "s", "Age of the oldest event held", _each(lambda held: held.oldest)),
    ("up_down_counter", "requests.active", "{request}", "Posts in flight", _each(lambda held: held.requests_in_flight)),
    ("counter", "events.accepted", "{event}", "Events accepted for a destination", _accepted),
    ("counter", "events.settled", "{event}", "Events with a final outcome", _settled_counts),
    ("counter", "retries", "{request}", "Posts that were sent again", _each(lambda held: held.retries)),
    ("up_down_counter", "destination.status", "{destination}", "1 for the destination's current state", _states),
    ("gauge", "rules.age", "s", "Seconds since the rules in use were received", _rules("age")),
    ("gauge", "rules.sync_age", "s", "Seconds since the source of rules last replied", _rules("last_sync")),
    ("gauge", "rules.failures", "{failure}", "Consecutive failures to get rules", _rules("failures")),
    ("counter", "crashes", "{crash}", "Background tasks that failed", lambda health: [(health.crashes, {})]),
)  # fmt: skip


def _observe(client: Client, meter: Meter, attributes: Attributes) -> None:
    """Create the instruments that read the client's health when the SDK collects metrics.

    They outlive the client, since OpenTelemetry cannot remove an instrument, so they refer to it weakly.
    """
    client_ref = ref(client)

    def observe(read: Callable[[Health], Points], _: CallbackOptions) -> list[Observation]:
        alive = client_ref()
        if alive is None:
            return []
        return [Observation(value, {**attributes, **more}) for value, more in read(alive.health())]

    for kind, name, unit, description, read in _INSTRUMENTS:
        create = getattr(meter, f"create_observable_{kind}")
        create(f"asyncsdk.{name}", [partial(observe, read)], unit, description)


def _histogram(meter: Meter, name: str, description: str, buckets: Sequence[float]) -> Histogram:
    return meter.create_histogram(name, "s", description, explicit_bucket_boundaries_advisory=buckets)


def _lag_recorder(meter: Meter, attributes: Attributes) -> Callable[[Delivery, int], None]:
    """Return the `on_settled` hook, which records how long a delivery took: once per request, for its first event."""
    lag = _histogram(meter, "asyncsdk.delivery.lag", "From admission until the vendor accepted it", _LAG_BUCKETS)

    def record(delivery: Delivery, _: int) -> None:
        if delivery.status == "delivered":
            lag.record(delivery.seconds, {**attributes, "asyncsdk.destination": delivery.destination})

    return record


async def _watch_loop(meter: Meter, attributes: Attributes, interval: float) -> None:
    """Record the event loop's delay every `interval` seconds, until cancelled: how late a sleep returns."""
    stall = _histogram(meter, "asyncsdk.loop.stall", "How late the client's event loop is", _STALL_BUCKETS)
    now = asyncio.get_running_loop().time
    while True:
        due = now() + interval
        await asyncio.sleep(interval)
        stall.record(max(0.0, now() - due), attributes)


# --- spans: requests to vendors -----------------------------------------------------------------------------------


def _request_tracer(tracer: Tracer, attributes: Attributes) -> Callable[[RequestInfo], Callable[[], None]]:
    """Return the `on_request` hook, which wraps each request in a span.

    OpenTelemetry's own instrumentation of aiohttp is suppressed during the request: it would add a second span, whose
    URL would contain the secret key that Statsig requires in its path.
    """

    def begin(request: RequestInfo) -> Callable[[], None]:
        request_attributes, target = _request_attributes(request)
        name = f"{request.method} {target}".strip()
        span = tracer.start_span(name, kind=SpanKind.CLIENT, attributes={**attributes, **request_attributes})
        context = trace.set_span_in_context(span)
        token = attach(set_value(_SUPPRESS_HTTP_INSTRUMENTATION_KEY, True, context))  # noqa: FBT003 -- its value

        def end() -> None:
            detach(token)
            if request.status:
                span.set_attribute("http.response.status_code", request.status)
            error = str(request.status) if request.status >= 400 else request.error.replace(" ", "_")
            if error:
                span.set_attribute("error.type", error)
                span.set_status(StatusCode.ERROR)
            span.end()

        return end

    return begin


def _request_attributes(request: RequestInfo) -> tuple[dict[str, str | int], str]:
    """Return a request's attributes and its path. ID lists have no path: their files would be too many span names."""
    url = urlsplit(request.url)
    attributes: dict[str, str | int] = {
        "http.request.method": request.method,
        "http.request.body.size": request.bytes,
        "url.full": request.url,
        "server.address": url.hostname or "",
        "server.port": url.port or _PORTS.get(url.scheme, 0),
        "asyncsdk.destination": request.destination,
        "asyncsdk.purpose": request.purpose,
    }
    if request.purpose == "events":
        attributes["asyncsdk.events"] = request.events
    if request.purpose == "id_lists":
        return attributes, ""
    return {**attributes, "url.template": url.path}, url.path
