"""Calls as other SDKs have them: several groups, the category before the name, a tier in an object."""

from enum import Enum
from typing import Any

import pytest
from helpers import ADA, amplitude, rudderstack

from asyncsdk import Client, ConfigurationError, Group, Identify, InvalidEventError, Page, Statsig
from asyncsdk.dev import DevServer


async def test_a_user_joins_several_groups_at_once(server: DevServer) -> None:
    async with Client(amplitude(server), rudderstack(server)) as client:
        receipt = await client.group(ADA, ["c7", 8], group_type="company")

    [event] = server.accepted("amplitude")
    groups = {"company": ["c7", "8"]}
    assert (event.name, event.body["groups"], event.body["user_properties"]) == ("$identify", groups, {"$set": groups})
    deliveries = await receipt
    assert (deliveries["RudderStack"].status, deliveries["RudderStack"].reason) == ("skipped", "no such call")


@pytest.mark.parametrize(
    ("group_id", "traits", "message"),
    [
        ([], None, "`group_id` must be an id, or a list with at least one id"),
        (["a", " "], None, r"`group_id\[1\]` must be an id that is not blank"),
        (["a", None], None, r"`group_id\[1\]` must be an id"),
        ((["a"],), None, r"`group_id\[0\]` must be"),
        ({"a"}, None, "`group_id` must be"),
        (["a", "b"], {"seats": 5}, "`traits` are those of one group"),
        (["a", "b"], Identify().set("seats", 5), "`traits` are those of one group"),
    ],
)
async def test_groups_that_no_vendor_could_take_raise(
    server: DevServer, group_id: Any, traits: Any, message: str
) -> None:
    async with Client(amplitude(server)) as client:
        with pytest.raises(InvalidEventError, match=message):
            await client.group(ADA, group_id, traits)
        with pytest.raises(InvalidEventError, match=message):
            client.put_nowait(Group(ADA, group_id, traits))


@pytest.mark.parametrize("verb", ["page", "screen"])
async def test_a_category_before_the_name_is_said_to_be_a_keyword(server: DevServer, verb: str) -> None:
    async with Client(rudderstack(server)) as client:
        call: Any = getattr(client, verb)
        with pytest.raises(InvalidEventError, match=r"the order is \(user, name, properties\), and the category"):
            await call(ADA, "Food", "Pizza")
        with pytest.raises(TypeError, match=rf"{verb} takes \(user, name, properties\), and the category as a keyword"):
            await call(ADA, "Food", "Pizza", {"url": "https://example.com"})
        with pytest.raises(InvalidEventError, match="the category is a keyword"):
            client.put_nowait(Page(ADA, "Food", "Pizza"))  # type: ignore[arg-type]

    assert server.events == []


class Tier(Enum):
    STAGING = "staging"


@pytest.mark.parametrize(
    "environment", ["staging", {"tier": "staging"}, {"tier": Tier.STAGING}, Tier.STAGING, " staging\n"]
)
def test_an_environment_may_have_the_form_of_other_sdks(environment: Any) -> None:
    assert Statsig("secret-key", environment=environment).environment == "staging"


@pytest.mark.parametrize("environment", [{}, {"tier": "a", "region": "b"}, {"Tier": "a"}, {"tier": 5}, {"tier": ""}])
def test_an_environment_without_a_tier_is_refused(environment: Any) -> None:
    with pytest.raises(ConfigurationError, match="`environment`"):
        Statsig("secret-key", environment=environment)


def test_no_tier_is_no_environment() -> None:
    assert Statsig("secret-key", environment={"tier": None}).environment is None  # type: ignore[dict-item]
