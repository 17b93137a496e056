"""A project's rules, a client that polls quickly, and what OpenFeature's handlers hear."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue
from typing import Any

import pytest
from helpers import rule, spec
from openfeature import _event_support, api
from openfeature.client import OpenFeatureClient
from openfeature.event import EventDetails, ProviderEvent

from asyncsdk import Client, Limits, Rules, Statsig
from asyncsdk.dev import DevServer
from asyncsdk.integrations.openfeature import AsyncSDKProvider

CONDITIONS = {
    "everybody": {"type": "public"},
    "in NL": {"type": "user_field", "operator": "any", "targetValue": ["NL"], "field": "country"},
    "half": {
        "type": "user_bucket", "operator": "lt", "targetValue": 1000, "additionalValues": {"salt": "s"},
        "idType": "companyID",
    },
    "odd": {"type": "nobody knows"},
}  # fmt: skip


def gate(*rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    return spec("feature_gate", False, *rules, **more)


def config(default: Any, *rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    return spec("dynamic_config", default, *rules, **more)


def ruleset(time: int = 1000, **changes: Any) -> bytes:
    """Gates, configs, an experiment and a layer; `shared` and `a.b` are names of more than one thing."""
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


def hurried(*destinations: Any, **settings: Any) -> Client:
    """A client that asks for rules fifty times a second."""
    client = Client(*destinations, **settings)
    assert client._refresher is not None
    client._refresher.polling.interval = 0.02
    return client


@pytest.fixture
async def server() -> AsyncIterator[DevServer]:
    async with DevServer(ruleset=ruleset(), keep=100_000) as server:
        yield server


@pytest.fixture
async def client(server: DevServer) -> AsyncIterator[Client]:
    async with hurried(statsig(server)) as client:
        yield client


@pytest.fixture(scope="package", autouse=True)
def _handler_threads() -> Iterator[None]:
    """OpenFeature keeps the threads of its handlers for as long as the process lives; other tests count threads."""
    yield
    used, _event_support._event_executor = _event_support._event_executor, ThreadPoolExecutor()
    used.shutdown()


@pytest.fixture(autouse=True)
def _registry() -> Iterator[None]:
    """OpenFeature keeps providers, handlers and contexts in globals."""
    yield
    api.shutdown()


@pytest.fixture
def provide() -> Callable[[AsyncSDKProvider], OpenFeatureClient]:
    def register(provider: AsyncSDKProvider) -> OpenFeatureClient:
        api.set_provider_and_wait(provider)
        return api.get_client()

    return register


@pytest.fixture
def flags(client: Client, provide: Callable[[AsyncSDKProvider], OpenFeatureClient]) -> OpenFeatureClient:
    """OpenFeature's client, on a provider that is ready."""
    return provide(AsyncSDKProvider(client))


class Heard:
    """What handlers are told from now on; OpenFeature calls them in threads of its own.

    A handler for a state that there is already is called at once.
    """

    def __init__(self, *events: ProviderEvent) -> None:
        self._news: SimpleQueue[tuple[ProviderEvent, EventDetails]] = SimpleQueue()
        for event in events or ProviderEvent:
            api.add_handler(event, partial(self._note, event))

    def _note(self, event: ProviderEvent, details: EventDetails) -> None:
        self._news.put((event, details))

    def wait(self) -> tuple[ProviderEvent, EventDetails]:
        return self._news.get(timeout=5)

    def wait_for(self, event: ProviderEvent) -> EventDetails:
        return next(details for found, details in iter(self.wait, None) if found is event)

    async def next(self) -> tuple[ProviderEvent, EventDetails]:
        return await asyncio.to_thread(self.wait)

    async def until(self, event: ProviderEvent) -> EventDetails:
        return await asyncio.to_thread(self.wait_for, event)
