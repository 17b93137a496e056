"""A program of mistakes: type checkers refuse each line of `wrong`; see `test_codegen_typing.py`."""

from dataclasses import dataclass

import attrs
from app_flags import AppClient, AppFlags
from pydantic import BaseModel

from asyncsdk import Flags


@dataclass
class OfDataclass:
    sku: str


@attrs.frozen
class OfAttrs:
    sku: str


class OfPydantic(BaseModel):
    sku: str


def takes(flags: AppFlags) -> None: ...


async def wrong(client: AppClient, flags: AppFlags, plain: Flags) -> None:
    flags.check_gate("opne")
    flags.get_gate("opne")
    await client.check_gate("u", "opne")
    flags.get_config("price")
    flags.get_config("prices").get_number("pirce", 1.0)
    flags.get_config("prices").get_string("price", "")
    flags.get_config("prices").get("pirce")
    flags.get_experiment("button").get_bool("color")
    flags.get_experiment("buton")
    flags.get_layer("pages")
    flags.get_parameter_store("stores")
    flags.get_parameter_store("store").get_string("colour")
    client.bind("u").check_gate("opne")
    client.override_gate("opne", True)
    client.explain("u", "opne")
    flags.track("Order Complete", {"sku": "A"})
    flags.track("Order Completed")
    flags.track("Order Completed", {"suk": "A"})
    flags.track("Order Completed", {"sku": 1})
    flags.track("Order Completed", {"sku": "A", "address": {"street name": "c"}})
    await client.track("u", "Order Complete", {"sku": "A"})
    await client.track("u", "Order Completed", {"sku": "A", "colour": 1})
    flags.get_config("prices").value["pirce"]
    flags.track(5)
    await client.get_experiment_groups("buton")
    takes(plain)
    client.log_exposure("u", "sotre")
    client.remove_override("opne")
    await client.track("u", OfDataclass(skew="A"))
    await client.track("u", OfAttrs(skew="A"))
    await client.track("u", OfPydantic(skew="A"))
    await client.track("u", "Order Completed", OfAttrs("A", 5))
