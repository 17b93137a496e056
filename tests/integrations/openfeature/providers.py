"""A project's rules, a client that polls fast, and a recorder of OpenFeature's provider events."""

import asyncio
import json
from functools import partial
from queue import SimpleQueue
from typing import Any

from helpers import rule, spec
from openfeature import api
from openfeature.event import EventDetails, ProviderEvent

from asyncsdk import Client, Limits, Rules, Statsig
from asyncsdk.dev import DevServer

CONDITIONS = {
    "everybody": {"type": "public"},
    "in NL": {"type": "user_field", "operator": "any", "targetValue": ["NL"], "field": "country"},
    "half": {
        "type": "user_bucket", "operator": "lt", "targetValue": 1000, "additionalValues": {"salt": "s"},
        "idType": "companyID",
    },
    "odd": {"type": "unknown type"},
}  # fmt: skip


def gate(*rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    return spec("feature_gate", False, *rules, **more)


def config(default: Any, *rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    return spec("dynamic_config", default, *rules, **more)


def ruleset(time: int = 1000, **changes: Any) -> bytes:
    """Gates, configs, an experiment and a layer; `shared` and `a.b` each name a gate and a config."""
    body = {
        "has_updates": True,
        "time": time,
        "condition_map": CONDITIONS,
        "feature_gates": {
            "open": gate(rule("all", True, "everybody")),
            "dutch": gate(rule("nl", True, "in NL", groupName="Dutch")),
            "shared": gate(rule("gates", True, "everybody")),
            "a.b": gate(rule("gates", True, "everybody")),
            "off": gate(rule("nl", True, "in NL"), enabled=False),
            "half": gate(rule("half", True, "everybody", passPercentage=99.99)),
            "odd": gate(rule("odd", True, "odd")),
        },
        "dynamic_configs": {
            "prices": config({"name": "Nothing"}, rule("nl", {"name": "Kaas", "price": 9.5, "count": 10, "on": True, "box": {"w": [1]}, "none": None}, "in NL")),
            "single": config({"value": "hi"}),
            "shared": config({"value": "config", "x": True}),
            "a": config({"b": "of a", "b.c": "dotted"}),
            "a.b": config({"c": "of a.b"}),
            "off": config({}, enabled=False),
            "button": spec("experiment", {"color": "grey"}, rule("green", {"color": "green", "value": 3}, "half", groupName="Test", isExperimentGroup=True), idType="companyID"),
        },
        "layer_configs": {"page": spec("layer", {"title": "Home"}, rule("all", {"title": "Home", "n": 1}, "everybody"))},
    }  # fmt: skip
    return json.dumps({**body, **changes}).encode()


def statsig(server: DevServer, **settings: Any) -> Statsig:
    rules = Rules(**{"specs_url": f"{server.url}/v2/download_config_specs"} | settings)
    return Statsig("secret-key", log_event_url=server.url, rules=rules, limits=Limits(linger=0.01))


def fast_polling_client(*destinations: Any, **settings: Any) -> Client:
    """Build a client that polls its rules every 20 ms, which `Rules` does not allow."""
    client = Client(*destinations, **settings)
    assert client._refresher is not None
    client._refresher.polling.interval = 0.02
    return client


class EventRecorder:
    """Records provider events from now on; OpenFeature calls handlers in threads of its own.

    OpenFeature calls a handler at once if the provider is already in the state that it is for.
    """

    def __init__(self, *kinds: ProviderEvent) -> None:
        self._events: SimpleQueue[tuple[ProviderEvent, EventDetails]] = SimpleQueue()
        for kind in kinds or ProviderEvent:
            api.add_handler(kind, partial(self._record, kind))

    def _record(self, kind: ProviderEvent, details: EventDetails) -> None:
        self._events.put((kind, details))

    def wait(self) -> tuple[ProviderEvent, EventDetails]:
        """Return the next event, blocking the calling thread for at most 5 seconds."""
        return self._events.get(timeout=5)

    def wait_for(self, kind: ProviderEvent) -> EventDetails:
        """Return the details of the next event of a kind, skipping others."""
        return next(details for found, details in iter(self.wait, None) if found is kind)

    async def next(self) -> tuple[ProviderEvent, EventDetails]:
        """Return the next event without blocking the event loop."""
        return await asyncio.to_thread(self.wait)

    async def until(self, kind: ProviderEvent) -> EventDetails:
        """Return the details of the next event of a kind without blocking the event loop."""
        return await asyncio.to_thread(self.wait_for, kind)
