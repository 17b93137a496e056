"""The other SDKs, each behind three functions: put an event, wait for delivery, close.

Each is imported in its own function, so that a process loads only the one that it measures.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import attrs

ENDLESS = 10_000_000


@attrs.frozen
class Peer:
    """A running SDK.

    Attributes:
        put: Sends one event, as an application would: `put(user_id, name, properties)`.
        drain: Sends the queued events, and returns when they have been answered.
        close: Closes the SDK, as an application would on exit.
    """

    put: Callable[[str, str, dict[str, Any]], object]
    drain: Callable[[], object]
    close: Callable[[], object]


def rudder(url: str, *, gzip: bool = False, paused: bool = False) -> Peer:
    """Create rudder-sdk-python."""
    from rudderstack.analytics.client import Client  # noqa: PLC0415 -- see the module

    client = Client("key", host=url, gzip=gzip, max_queue_size=0, send=not paused)
    client.send = True  # accepts events, though it has no consumer if paused
    return Peer(client.track, client.flush, partial(_both, client.flush, client.join))


def segment(url: str, *, gzip: bool = False, paused: bool = False) -> Peer:
    """Create segment-analytics-python."""
    from segment.analytics.client import Client  # noqa: PLC0415 -- see the module

    client = Client("key", host=url, gzip=gzip, max_queue_size=0, send=not paused)
    client.send = True  # see above
    return Peer(client.track, client.flush, client.shutdown)


def amplitude(url: str, *, gzip: bool = False, paused: bool = False) -> Peer:
    """Create amplitude-analytics, with batches of 100 like the others; it cannot compress."""
    from amplitude import Amplitude, BaseEvent, Config, EventLogLevel, PluginType  # noqa: PLC0415 -- see the module

    assert not gzip
    config = Config(server_url=f"{url}/2/httpapi", flush_queue_size=100, event_log_level=EventLogLevel.NONE)
    client = Amplitude("key", config)
    if paused:
        [destination] = client._Amplitude__timeline.plugins[PluginType.DESTINATION]  # noqa: SLF001 -- no other way
        destination.workers.is_started = True

    def put(user_id: str, name: str, properties: dict[str, Any]) -> None:
        client.track(BaseEvent(name, user_id=user_id, event_properties=properties))

    # Its flush does not wait for requests in flight; its shutdown does.
    return Peer(put, client.shutdown, client.shutdown)


def posthog(url: str, *, gzip: bool = False, paused: bool = False) -> Peer:
    """Create posthog."""
    from posthog import Posthog  # noqa: PLC0415 -- see the module

    threads = 0 if paused else 1
    client = Posthog("key", host=url, gzip=gzip, max_queue_size=ENDLESS, thread=threads)

    def put(user_id: str, name: str, properties: dict[str, Any]) -> None:
        client.capture(name, distinct_id=user_id, properties=properties)

    return Peer(put, partial(client.flush, None), client.shutdown)


def core(url: str, *, gzip: bool = True, paused: bool = False) -> Peer:
    """Create statsig-python-core (Rust); it always compresses, and accepts text values only."""
    from statsig_python_core import Statsig, StatsigOptions, StatsigUser  # noqa: PLC0415 -- see the module

    assert gzip
    assert not paused
    options = StatsigOptions(
        specs_url=f"{url}/v2/download_config_specs",
        log_event_url=f"{url}/v1/log_event",
        disable_country_lookup=True,
        event_logging_max_pending_batch_queue_size=ENDLESS // 1000,
    )
    client = Statsig("secret-key", options)
    client.initialize().wait()

    def put(user_id: str, name: str, properties: dict[str, Any]) -> None:
        texts = {key: value for key, value in properties.items() if isinstance(value, str)}
        client.log_event(StatsigUser(user_id), name, metadata=texts)

    return Peer(put, lambda: client.flush_events().wait(), lambda: client.shutdown().wait())


def _both(*steps: Callable[[], object]) -> None:
    for step in steps:
        step()


PEERS: Mapping[str, Callable[..., Peer]] = {
    "rudder": rudder,
    "segment": segment,
    "amplitude": amplitude,
    "posthog": posthog,
    "core": core,
}
