"""A small shop on FastAPI that asks Statsig what to show, and tells three vendors what its customers do.

    export STATSIG_SECRET_KEY=secret-... AMPLITUDE_API_KEY=...
    export RUDDERSTACK_WRITE_KEY=... RUDDERSTACK_URL=https://plane.example.com
    uvicorn --factory asyncsdk.examples.fastapi_shop:init

Or, without an account anywhere: `python -m asyncsdk.examples fastapi_shop`.

What to look at: the client lives as long as the application (`lifespan`). Handlers declare what they need (`ItsFlags`,
`TheClient`, `ItsUser`), plain functions too, which run in a thread (`product`). A background task belongs to its
request, whose flags it finds without being given any (`ship`). What the shop asks Statsig for is in `shop_ruleset.json`
beside this file.
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
"""What there is, and what it costs unless the config `prices` says otherwise."""
SHIPPING = 4.95

RULESET = Path(__file__).with_name("shop_ruleset.json")
"""What the project at Statsig has for this shop."""

ItsFlags = Annotated[Flags, Depends(get_flags)]
ItsUser = Annotated[User, Depends(get_user)]
TheClient = Annotated[Client, Depends(get_client)]
shop = APIRouter()


# --- the application ------------------------------------------------------------------------------------------


def init(environ: Mapping[str, str] = os.environ) -> FastAPI:
    """Make the shop from the environment; a variable that is missing is a `KeyError` with its name."""
    sdk = Client(
        RudderStack(environ["RUDDERSTACK_WRITE_KEY"], environ["RUDDERSTACK_URL"]),
        Amplitude(environ["AMPLITUDE_API_KEY"]),
        Statsig(environ["STATSIG_SECRET_KEY"]),
    )
    return create_app(sdk.add_middleware(redact("card", "email")))


def create_app(sdk: Client) -> FastAPI:
    """Make the shop; it starts and closes the client."""
    app = FastAPI(title="The shop", lifespan=lifespan(sdk))
    app.add_middleware(FlagsMiddleware, user=user_of, anonymous_cookie="visitor")
    app.include_router(shop)
    return app


def user_of(request: HTTPConnection) -> User:
    """Say who asks: whom the sign-in (here: headers) names. Address, language and the like come of themselves."""
    told = request.headers.get
    return User(told("X-User"), country=told("X-Country"), app_version=told("X-App-Version"))


class Item(BaseModel):
    """What a customer wants."""

    sku: str
    card: str | None = None


def price_of(flags: Flags, sku: str) -> float:
    """Say what something costs this customer today: a dynamic config; 404 if there is no such thing."""
    if sku not in PRICES:
        raise HTTPException(404, f"the shop has no {sku}")
    return flags.get_config("prices").get_number(sku, PRICES[sku])


# --- looking around -------------------------------------------------------------------------------------------


@shop.get("/")
async def home(flags: ItsFlags, client: TheClient) -> dict[str, object]:
    """Show what there is, laid out as the layer `homepage` says, of which an experiment may own parts."""
    layout = flags.get_layer("homepage")
    title, shown = layout.get_string("title", "The shop"), layout.get("products", len(PRICES))
    await client.page(flags.user, "Home", {"products": shown}, category="Shop")
    return {"title": title, "products": list(PRICES)[:shown]}


@shop.get("/products/{sku}")
def product(sku: str, flags: ItsFlags) -> dict[str, object]:
    """Show one product, with a button that is an experiment: a plain function, which FastAPI runs in a thread."""
    price, button = price_of(flags, sku), flags.get_experiment("button")
    flags.track("Product Viewed", {"sku": sku, "price": price})
    return {"sku": sku, "price": price, "button": button.get_string("label", "Buy"), "group": button.group}


# --- buying ---------------------------------------------------------------------------------------------------


@shop.post("/signup", status_code=201)
async def signup(
    traits: dict[str, str], client: TheClient, user: ItsUser, visitor: Annotated[str | None, Cookie()] = None
) -> dict[str, object]:
    """Make a visitor a customer: what they did before is theirs."""
    if visitor is not None:
        await client.alias(visitor, user)
    await client.identify(user, traits)
    return {"welcome": user.user_id}


@shop.post("/cart", status_code=201)
async def cart(item: Item, client: TheClient, flags: ItsFlags) -> dict[str, object]:
    """Put a product into the cart: an event in Statsig's form. Half of the customers may pay at once."""
    await client.log_event(flags.user, "add_to_cart", price_of(flags, item.sku), {"sku": item.sku})
    return {"sku": item.sku, "express": flags.check_gate("express_checkout")}


@shop.post("/orders", status_code=201)
async def order(item: Item, client: TheClient, flags: ItsFlags, tasks: BackgroundTasks) -> dict[str, object]:
    """Sell a product. The parcel is sent after the response."""
    price = price_of(flags, item.sku)
    shipping = 0.0 if flags.check_gate("free_shipping") else SHIPPING
    properties = {"sku": item.sku, "revenue": price, "currency": "EUR", "shipping": shipping, "card": item.card}
    await client.track(flags.user, "Order Completed", properties)
    tasks.add_task(ship, item.sku)
    return {"sku": item.sku, "total": round(price + shipping, 2)}


def ship(sku: str) -> None:
    """Send a parcel: code that knows of no request, and belongs to one."""
    current_flags().track("Order Shipped", {"sku": sku})


@shop.get("/health")
async def health(client: TheClient) -> dict[str, object]:
    """Tell a load balancer, and whoever is on call, how events are doing."""
    return {"state": client.health().state}
