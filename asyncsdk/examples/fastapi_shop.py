"""A small shop on FastAPI that uses Statsig's flags, and sends its customers' events to three vendors.

    export STATSIG_SECRET_KEY=secret-... AMPLITUDE_API_KEY=...
    export RUDDERSTACK_WRITE_KEY=... RUDDERSTACK_URL=https://plane.example.com
    uvicorn --factory asyncsdk.examples.fastapi_shop:init

Or, without any account: `python -m asyncsdk.examples fastapi_shop`.

What to look at: the client lives as long as the application (`lifespan`). Handlers declare their dependencies
(`RequestFlags`, `AppClient`, `RequestUser`); plain functions, which run in a thread, do so as well (`product`). A
background task belongs to its request, and uses its flags by `current_flags` (`ship`). The ruleset of the shop is in
`shop_ruleset.json` beside this file.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Cookie, Depends, FastAPI, HTTPException
from fastapi.requests import HTTPConnection
from pydantic import BaseModel

from asyncsdk import Amplitude, Client, Flags, RudderStack, Statsig, User, redact
from asyncsdk.integrations import current_flags
from asyncsdk.integrations.fastapi import FlagsMiddleware, get_client, get_flags, get_user, lifespan

PRICES = {"apple": 0.50, "kettle": 24.95, "lamp": 39.00, "teapot": 19.95}
"""The products, and their prices unless the config `prices` has others."""
SHIPPING = 4.95

RULESET = Path(__file__).with_name("shop_ruleset.json")
"""The ruleset of the shop's project at Statsig."""

RequestFlags = Annotated[Flags, Depends(get_flags)]
RequestUser = Annotated[User, Depends(get_user)]
AppClient = Annotated[Client, Depends(get_client)]
shop = APIRouter()


# --- the application ------------------------------------------------------------------------------------------


def init(environ: Mapping[str, str] = os.environ) -> FastAPI:
    """Build the shop from the environment; a missing variable raises `KeyError` with its name."""
    sdk = Client(
        RudderStack(environ["RUDDERSTACK_WRITE_KEY"], environ["RUDDERSTACK_URL"]),
        Amplitude(environ["AMPLITUDE_API_KEY"]),
        Statsig(environ["STATSIG_SECRET_KEY"]),
        on_invalid="report",
    )
    return create_app(sdk.add_middleware(redact("card", "email")))


def create_app(sdk: Client) -> FastAPI:
    """Build the shop, which starts and closes the client."""
    app = FastAPI(title="The shop", lifespan=lifespan(sdk))
    app.add_middleware(FlagsMiddleware, user=user_of, anonymous_cookie="visitor")
    app.include_router(shop)
    return app


def user_of(request: HTTPConnection) -> User:
    """Return the user whom the sign-in, here headers, names. Address, language and so on are filled in."""
    header = request.headers.get
    return User(header("X-User"), country=header("X-Country"), app_version=header("X-App-Version"))


class Item(BaseModel):
    """A product in a request."""

    sku: str
    card: str | None = None


def price_of(flags: Flags, sku: str) -> float:
    """Return the price of a product for this customer, from a dynamic config; 404 for an unknown sku."""
    if sku not in PRICES:
        raise HTTPException(404, f"the shop has no {sku}")
    return flags.get_config("prices").get_number(sku, PRICES[sku])


# --- browsing -------------------------------------------------------------------------------------------------


@shop.get("/")
async def home(flags: RequestFlags, client: AppClient) -> dict[str, object]:
    """Show the products. The layer `homepage` has the layout; experiments may own parts of it."""
    layout = flags.get_layer("homepage")
    title, shown = layout.get_string("title", "The shop"), layout.get("products", len(PRICES))
    await client.page(flags.user, "Home", {"products": shown}, category="Shop")
    return {"title": title, "products": list(PRICES)[:shown]}


@shop.get("/products/{sku}")
def product(sku: str, flags: RequestFlags) -> dict[str, object]:
    """Show one product, with a button that is an experiment. FastAPI runs plain functions like this one in a thread."""
    price, button = price_of(flags, sku), flags.get_experiment("button")
    flags.track("Product Viewed", {"sku": sku, "price": price})
    return {"sku": sku, "price": price, "button": button.get_string("label", "Buy"), "group": button.group}


# --- buying ---------------------------------------------------------------------------------------------------


@shop.post("/signup", status_code=201)
async def signup(
    traits: dict[str, str], client: AppClient, user: RequestUser, visitor: Annotated[str | None, Cookie()] = None
) -> dict[str, object]:
    """Sign a visitor up, and attribute their earlier events to the new customer."""
    if visitor is not None:
        await client.alias(visitor, user)
    await client.identify(user, traits)
    return {"welcome": user.user_id}


@shop.post("/cart", status_code=201)
async def cart(item: Item, client: AppClient, flags: RequestFlags) -> dict[str, object]:
    """Put a product into the cart, with an event in Statsig's format. Half of the customers get an express checkout."""
    await client.log_event(flags.user, "add_to_cart", price_of(flags, item.sku), {"sku": item.sku})
    return {"sku": item.sku, "express": flags.check_gate("express_checkout")}


@shop.post("/orders", status_code=201)
async def order(item: Item, client: AppClient, flags: RequestFlags, tasks: BackgroundTasks) -> dict[str, object]:
    """Sell a product. The parcel is shipped after the response."""
    price = price_of(flags, item.sku)
    shipping = 0.0 if flags.check_gate("free_shipping") else SHIPPING
    properties = {"sku": item.sku, "revenue": price, "currency": "EUR", "shipping": shipping, "card": item.card}
    await client.track(flags.user, "Order Completed", properties)
    tasks.add_task(ship, item.sku)
    return {"sku": item.sku, "total": round(price + shipping, 2)}


def ship(sku: str) -> None:
    """Ship a parcel: code without a request object that runs for a request."""
    current_flags().track("Order Shipped", {"sku": sku})


@shop.get("/health")
async def health(client: AppClient) -> dict[str, object]:
    """Report the client's health, for load balancers and operators."""
    return client.health().to_dict()
