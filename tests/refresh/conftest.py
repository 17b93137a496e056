"""A fake vendor on the loopback interface."""

from collections.abc import AsyncIterator

import pytest

from refresh.vendor import Vendor, serving


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    async with serving(Vendor()) as vendor:
        yield vendor
