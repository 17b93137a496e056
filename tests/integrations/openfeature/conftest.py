"""A dev server, a client and its provider, and fixtures that clean up OpenFeature's globals."""

from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from openfeature import _event_support, api
from openfeature.client import OpenFeatureClient

from asyncsdk import Client
from asyncsdk.dev import DevServer
from asyncsdk.integrations.openfeature import AsyncSDKProvider
from integrations.openfeature.providers import fast_polling_client, ruleset, statsig


@pytest.fixture
async def server() -> AsyncIterator[DevServer]:
    async with DevServer(ruleset=ruleset(), keep=100_000) as server:
        yield server


@pytest.fixture
async def client(server: DevServer) -> AsyncIterator[Client]:
    async with fast_polling_client(statsig(server)) as client:
        yield client


@pytest.fixture(scope="package", autouse=True)
def _handler_threads() -> Iterator[None]:
    """End OpenFeature's handler threads, which it never ends itself; other tests count threads."""
    yield
    used, _event_support._event_executor = _event_support._event_executor, ThreadPoolExecutor()
    used.shutdown()


@pytest.fixture(autouse=True)
def _registry() -> Iterator[None]:
    """Reset OpenFeature's global providers, handlers and contexts."""
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
    """An OpenFeature client whose provider is ready."""
    return provide(AsyncSDKProvider(client))
