"""The OpenFeature provider as its users write it: never run, only type-checked (`tests/test_typing.py`)."""

# pyright: reportMissingTypeStubs=false
# pyright does not find OpenFeature's `py.typed`, because `openfeature` is a namespace package.

from typing import assert_type

from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagEvaluationDetails, FlagResolutionDetails
from openfeature.track import TrackingEventDetails

from asyncsdk import Client, Statsig, User
from asyncsdk.integrations.openfeature import AsyncSDKProvider, user_of

client = Client(Statsig("secret-key"))
provider = AsyncSDKProvider(client, stale_after=300)
api.set_provider(provider)
api.set_provider_and_wait(provider, "shop")
AsyncSDKProvider()  # type: ignore[call-arg]
AsyncSDKProvider(client, 300)  # type: ignore[call-arg]

context = EvaluationContext("ada", {"email": "ada@example.com", "customIDs": {"companyID": "c7"}})
assert_type(user_of(context), User)
assert_type(provider.resolve_boolean_details("new_checkout", False, context), FlagResolutionDetails[bool])
assert_type(provider.resolve_string_details("prices.name", ""), FlagResolutionDetails[str])
assert_type(provider.resolve_integer_details("prices.count", 0), FlagResolutionDetails[int])
assert_type(provider.resolve_float_details("prices.price", 10.0), FlagResolutionDetails[float])


async def handler() -> None:
    flags = api.get_client("shop")
    assert_type(await flags.get_boolean_details_async("new_checkout", False, context), FlagEvaluationDetails[bool])
    assert_type(flags.get_string_value("layer:page.title", "Home", context), str)
    flags.track("Item Viewed", context, TrackingEventDetails(19.95, {"sku": "A"}))
