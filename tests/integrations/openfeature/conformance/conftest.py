"""The service that scenarios share, and one scene per scenario."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from integrations.openfeature.conformance.scenes import Pair, Scene, Service

# Tags of optional scenarios, and why they are skipped here.
NOT_HERE = {
    "caching": "nothing is cached: evaluating a flag costs less than a cache would",
    "own-metadata": "Statsig's rules have no metadata of their own",
}


def pytest_bdd_apply_tag(tag: str, function: Callable[..., Any]) -> bool:
    pytest.mark.skip(reason=NOT_HERE[tag])(function)
    return True


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield Service(loop)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="module")
def shared(service: Service) -> Iterator[Pair]:
    """A vendor and a client for scenarios that change nothing."""
    with service.open() as pair:
        yield pair


@pytest.fixture
def scene(service: Service) -> Iterator[Scene]:
    with ExitStack() as stack:
        yield Scene(service, stack)
