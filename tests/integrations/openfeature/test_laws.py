"""Any key and any context give a value of the requested type, and the default if there is an error."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import Reason

from asyncsdk import Client, Rules, Statsig
from asyncsdk.integrations.openfeature import AsyncSDKProvider
from integrations.openfeature.providers import ruleset

DEFAULTS: dict[str, Any] = {"boolean": True, "string": "default", "integer": 7, "float": 0.5, "object": {"default": 1}}

parts = st.sampled_from(["open", "dutch", "odd", "off", "half", "prices", "name", "button", "page", "layer", "gate", "a", "b", "c", "value", "", "é"])  # fmt: skip
keys = st.lists(st.tuples(parts, st.sampled_from(["", ".", ":"])), max_size=4).map(
    lambda found: "".join(part + mark for part, mark in found)
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.datetimes(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
attributes = st.dictionaries(st.sampled_from(["email", "country", "customIDs", "userID", "plan"]), values, max_size=4)


@pytest.fixture(scope="module")
def provider() -> AsyncSDKProvider:
    """A provider whose client is closed, and still has its rules."""

    async def run() -> Client:
        async with Client(Statsig("secret-key", rules=Rules(bootstrap=ruleset()), offline=True)) as client:
            return client

    return AsyncSDKProvider(asyncio.run(run()))


@given(keys, st.sampled_from(sorted(DEFAULTS)), st.none() | st.text(max_size=3), attributes)
def test_any_key_resolves_to_the_requested_type(
    provider: AsyncSDKProvider, key: str, kind: str, targeting_key: str | None, given: dict[str, Any]
) -> None:
    default = DEFAULTS[kind]
    resolve = getattr(provider, f"resolve_{kind}_details")

    found = resolve(key, default, EvaluationContext(targeting_key, given))

    assert type(found.value) is type(default)
    assert (found.error_code is not None) is (found.reason is Reason.ERROR)
    assert found.error_code is None or (found.value is default and found.error_message)
