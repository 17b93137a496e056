"""OpenTelemetry: lookups as events, health as metrics, requests as spans: `client = instrument(Client(...))`.

It needs OpenTelemetry's API only; what becomes of the telemetry is up to the SDK that the application sets up.

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
from opentelemetry import metrics, trace

# These two are private only in name: logs are experimental in Python, and the key is what all instrumentations share.
from opentelemetry._logs import Logger, LoggerProvider, SeverityNumber, get_logger
from opentelemetry.context import _SUPPRESS_HTTP_INSTRUMENTATION_KEY, attach, detach, set_value
from opentelemetry.metrics import CallbackOptions, Histogram, Meter, MeterProvider, Observation
from opentelemetry.trace import SpanKind, StatusCode, Tracer, TracerProvider

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

__all__ = ["Evaluations", "instrument", "user_id"]

Attributes = Mapping[str, str]
Points = Iterable[tuple[float, Attributes]]

# OpenTelemetry measures what has one name once: clients of one process are told apart by a number.
_NUMBERS = itertools.count(1)
_PORTS = {"http": 80, "https": 443}
_LAG_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900)
_STALL_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)


def user_id(user: User) -> str | None:
    """Give what identifies a user in events by default: the id, as text."""
    return None if user.user_id is None else str(user.user_id)


@attrs.frozen
class Evaluations:
    """What `feature_flag.evaluation` events say.

    Attributes:
        context_id: Gives `feature_flag.context.id` of a user; None leaves it out. If your ids are addresses or other
            things that do not belong into telemetry, give a function that hashes them.
        values: Add the values of configs, experiments and layers, as JSON-like objects; a gate's is always there.
        set_id: `feature_flag.set.id`, such as the name of the project and its environment.
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
    """Let OpenTelemetry see what a client does; gives the client back. Call it once, before the client starts.

    No key, header, body or query leaves by it, and of users the `context_id` only.

    Args:
        client: Not started yet.
        name: Tells it from other clients of the process, as the attribute `asyncsdk.client`; by default a number.
        evaluations: What the events of lookups say; None sends none. Each costs some 15 us.
        stall_interval: Seconds between two looks at how late the event loop is; None does not look.
        tracer_provider: Takes the spans; by default the global one.
        meter_provider: Takes the metrics; by default the global one.
        logger_provider: Takes the events; by default the global one.

    Raises:
        ConfigurationError: The client was started already.
    """
    if client.health().state != "new":
        msg = "instrument the client before it starts: client = instrument(Client(...))"
        raise ConfigurationError(msg)
    own = {"asyncsdk.client": name or str(next(_NUMBERS))}
    meter = metrics.get_meter("asyncsdk", __version__, meter_provider, attributes=own)
    if stall_interval is not None:
        client.add_background_task("loop stall", lambda: _watch_loop(meter, own, stall_interval))
    _observe(client, meter, own)
    client.on_settled(_settled(meter, own))
    client.on_request(_traced(trace.get_tracer("asyncsdk", __version__, tracer_provider), own))
    if evaluations is not None:
        client.on_evaluation(_evaluated(get_logger("asyncsdk", __version__, logger_provider), evaluations))
    return client


# --- events: what lookups answered --------------------------------------------------------------------------------


def _evaluated(logger: Logger, settings: Evaluations) -> Callable[[User, LookupResult], None]:
    """Make the function that sends an event for each answer."""

    def tell(user: User, answer: LookupResult) -> None:
        attributes = _described(answer, values=settings.values)
        attributes["feature_flag.context.id"] = None if settings.context_id is None else settings.context_id(user)
        attributes["feature_flag.set.id"] = settings.set_id
        logger.emit(
            event_name="feature_flag.evaluation",
            timestamp=time.time_ns(),
            severity_number=SeverityNumber.INFO,
            attributes={key: value for key, value in attributes.items() if value is not None},
        )

    return tell


def _described(answer: LookupResult, *, values: bool) -> dict[str, Any]:
    """Say of an answer what the convention has words for; None where there is nothing to say."""
    details, is_gate = answer.details, isinstance(answer, FeatureGate)
    group = getattr(answer, "group_name" if is_gate else "group", None)
    error, message = _error(details.reason) if not details.cause else (None, None)
    return {
        "feature_flag.key": answer.name,
        "feature_flag.provider.name": "Statsig",
        "feature_flag.result.variant": group or answer.rule_id or None,
        "feature_flag.result.value": answer.value if is_gate or values else None,
        "feature_flag.result.reason": details.cause or "error",
        "feature_flag.version": str(details.time_ms) if details.time_ms else None,
        "error.type": error,
        "feature_flag.error.message": message,
    }


def _error(reason: str) -> tuple[str, str | None]:
    """Name the error of an answer that nothing could decide, and tell more where the name does not say it."""
    if reason.endswith(":Unrecognized"):
        return "flag_not_found", None
    if reason in ("Uninitialized", "NoValues"):
        return "provider_not_ready", None
    return "general", reason


# --- metrics: what `health()` tells -------------------------------------------------------------------------------


def _each(read: Callable[[DestinationHealth], float]) -> Callable[[Health], Points]:
    """Read one figure of every destination."""
    return lambda health: [(read(found), {"asyncsdk.destination": name}) for name, found in health.destinations.items()]


def _rules(field: Literal["age", "last_sync", "failures"]) -> Callable[[Health], Points]:
    """Read one figure of the rules, if there is one."""
    return lambda health: [] if (value := getattr(health.rules, field, None)) is None else [(value, {})]


def _accepted(health: Health) -> Points:
    return [(counts.accepted, own) for counts, own in _accounts(health)]


def _settled_counts(health: Health) -> Points:
    for counts, own in _accounts(health):
        for status in ("delivered", "spooled", "abandoned"):
            yield getattr(counts, status), {**own, "asyncsdk.status": status}
        for status in ("rejected", "dropped", "skipped"):
            for reason, count in getattr(counts, status).items():
                yield count, {**own, "asyncsdk.status": status, "asyncsdk.reason": reason}


def _accounts(health: Health) -> Iterator[tuple[DestinationReport, Attributes]]:
    """Give the counts of each destination: its events' and, if it has any, its exposures'."""
    for name, found in health.destinations.items():
        yield found.counts, {"asyncsdk.destination": name, "asyncsdk.kind": "event"}
        if found.counts.exposures is not None:
            yield found.counts.exposures, {"asyncsdk.destination": name, "asyncsdk.kind": "exposure"}


def _states(health: Health) -> Points:
    for name, found in health.destinations.items():
        for state in ("ok", "retrying", "halted"):
            yield int(found.state == state), {"asyncsdk.destination": name, "asyncsdk.state": state}


# Kind, name, unit, what it is, and where it is read.
_INSTRUMENTS: tuple[tuple[str, str, str, str, Callable[[Health], Points]], ...] = (
    ("up_down_counter", "queue.events", "{event}", "Events held", _each(lambda found: found.queued_events)),
    ("up_down_counter", "queue.size", "By", "Bytes of the events held", _each(lambda found: found.queued_bytes)),
    ("gauge", "queue.age", "s", "Age of the oldest event held", _each(lambda found: found.oldest)),
    ("up_down_counter", "requests.active", "{request}", "Posts under way", _each(lambda f: f.requests_in_flight)),
    ("counter", "events.accepted", "{event}", "Events that were given to a destination", _accepted),
    ("counter", "events.settled", "{event}", "Events with a final outcome", _settled_counts),
    ("counter", "retries", "{request}", "Posts that had to be repeated", _each(lambda found: found.retries)),
    ("up_down_counter", "destination.status", "{destination}", "1 for the state that it is in", _states),
    ("gauge", "rules.age", "s", "Seconds since the rules in use were received", _rules("age")),
    ("gauge", "rules.sync_age", "s", "Seconds since the source of rules answered", _rules("last_sync")),
    ("gauge", "rules.failures", "{failure}", "Failed attempts in a row to get rules", _rules("failures")),
    ("counter", "crashes", "{crash}", "Background tasks that failed", lambda health: [(health.crashes, {})]),
)  # fmt: skip


def _observe(client: Client, meter: Meter, own: Attributes) -> None:
    """Make the instruments that read a client's health when the application's SDK asks; they do not keep it alive."""
    alive = ref(client)

    def observe(read: Callable[[Health], Points], _: CallbackOptions) -> list[Observation]:
        found = alive()
        return [] if found is None else [Observation(n, {**own, **more}) for n, more in read(found.health())]

    for kind, name, unit, description, read in _INSTRUMENTS:
        create = getattr(meter, f"create_observable_{kind}")
        create(f"asyncsdk.{name}", [partial(observe, read)], unit, description)


def _histogram(meter: Meter, name: str, description: str, buckets: Sequence[float]) -> Histogram:
    return meter.create_histogram(name, "s", description, explicit_bucket_boundaries_advisory=buckets)


def _settled(meter: Meter, own: Attributes) -> Callable[[Delivery, int], None]:
    """Make the function that measures how long deliveries take: once per request, by its first event."""
    lag = _histogram(meter, "asyncsdk.delivery.lag", "From an event's admission until the vendor took it", _LAG_BUCKETS)

    def settled(delivery: Delivery, _: int) -> None:
        if delivery.status == "delivered":
            lag.record(delivery.seconds, {**own, "asyncsdk.destination": delivery.destination})

    return settled


async def _watch_loop(meter: Meter, own: Attributes, interval: float) -> None:
    """Measure for ever how much later than it should the event loop comes round."""
    stall = _histogram(meter, "asyncsdk.loop.stall", "How late the client's event loop is", _STALL_BUCKETS)
    now = asyncio.get_running_loop().time
    while True:
        due = now() + interval
        await asyncio.sleep(interval)
        stall.record(max(0.0, now() - due), own)


# --- spans: requests to vendors -----------------------------------------------------------------------------------


def _traced(tracer: Tracer, own: Attributes) -> Callable[[RequestInfo], Callable[[], None]]:
    """Make the function that puts a span around each request.

    Meanwhile OpenTelemetry's own instrumentation of aiohttp is kept quiet: its span would be a second one, and name
    the whole URL, in which Statsig wants its secret key.
    """

    def begin(exchange: RequestInfo) -> Callable[[], None]:
        attributes, target = _address(exchange)
        name = f"{exchange.method} {target}".strip()
        span = tracer.start_span(name, kind=SpanKind.CLIENT, attributes={**own, **attributes})
        context = trace.set_span_in_context(span)
        token = attach(set_value(_SUPPRESS_HTTP_INSTRUMENTATION_KEY, True, context))  # noqa: FBT003 -- its value

        def end() -> None:
            detach(token)
            if exchange.status:
                span.set_attribute("http.response.status_code", exchange.status)
            error = str(exchange.status) if exchange.status >= 400 else exchange.error.replace(" ", "_")
            if error:
                span.set_attribute("error.type", error)
                span.set_status(StatusCode.ERROR)
            span.end()

        return end

    return begin


def _address(exchange: RequestInfo) -> tuple[dict[str, str | int], str]:
    """Say where a request goes, and the path if there are but few like it: those of ID lists are many."""
    url = urlsplit(exchange.url)
    attributes: dict[str, str | int] = {
        "http.request.method": exchange.method,
        "http.request.body.size": exchange.bytes,
        "url.full": exchange.url,
        "server.address": url.hostname or "",
        "server.port": url.port or _PORTS.get(url.scheme, 0),
        "asyncsdk.destination": exchange.destination,
        "asyncsdk.purpose": exchange.purpose,
    }
    if exchange.purpose == "events":
        attributes["asyncsdk.events"] = exchange.events
    if exchange.purpose == "id_lists":
        return attributes, ""
    return {**attributes, "url.template": url.path}, url.path
