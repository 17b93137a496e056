"""A program that all type checkers accept, with the module that codegen makes; see `test_codegen_typing.py`."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, assert_type

import attrs
from app_flags import AppClient, AppFlags, ButtonExperiment, OrderCompletedProperties, PricesConfig
from fastapi import Depends
from pydantic import BaseModel

from asyncsdk import Flags, Receipt, Revenue, Statsig, Track
from asyncsdk.integrations.fastapi import get_client, get_flags


@dataclass
class OrderCompleted:
    sku: str


@attrs.frozen
class OrderOfAttrs:
    sku: str


class OrderOfPydantic(BaseModel):
    sku: str


app_client: AppClient = AppClient(Statsig("secret-..."))


async def handler(
    flags: Annotated[AppFlags, Depends(get_flags)], client: Annotated[AppClient, Depends(get_client)]
) -> None:
    await right(client, flags)


def takes(flags: Flags) -> None: ...


async def right(client: AppClient, flags: AppFlags) -> None:
    takes(flags)
    assert_type(flags.check_gate("open"), bool)
    assert_type(flags.get_config("prices"), PricesConfig)
    assert_type(flags.get_config("prices").get_number("price", 1.0), float)
    assert_type(flags.get_config("prices").get_number("price"), float | None)
    assert_type(flags.get_config("prices").get("price"), Any)
    flags.get_config("prices").value.get("price", 1.0)
    assert_type((await client.get_experiment("u", "button")).get("size", 1.0), float)
    button = await client.get_experiment("u", "button", exposure=False)
    assert_type(button, ButtonExperiment)
    if button.group == "Test":
        pass
    assert_type(flags.track("Order Completed", {"sku": "A"}), Receipt)
    assert_type(
        await client.track(
            "u",
            "Order Completed",
            {"sku": "A", "at": datetime.now(UTC), "tags": ["a"], "address": {"class": None, "street name": "a"}},
            timestamp=datetime.now(UTC),
        ),
        Receipt,
    )
    await client.track("u", "Order Completed", OrderCompleted("A"))
    await client.track("u", OrderCompleted("A"))
    await client.track("u", OrderOfAttrs("A"))
    await client.track("u", OrderOfPydantic(sku="A"))
    flags.track("Order Completed", OrderOfAttrs("A"))
    flags.track("Signed Out")
    flags.track("Signed Out", {"reason": "timeout"})
    await client.track("u", OrderCompleted("A"), {"more": 1})
    await client.track("u", Revenue(4.99))
    await client.track("u", "Opened")
    await client.track("u", "Opened", {"anything": 1})
    properties: OrderCompletedProperties = {"sku": "A"}
    flags.track("Order Completed", properties)
    client.put_nowait(Track("u", "Order Completed", properties))
    client.bind("u").check_gate("open")
    client.override_gate("open", True).override_experiment("button", "Test")
    client.explain("u", "page")
    client.log_exposure("u", "store", "color")
    assert_type(flags.get_parameter_store("store").get_bool("beta", False), bool)
    assert_type(flags.get_layer("page").get_string("title", "Hi"), str)
