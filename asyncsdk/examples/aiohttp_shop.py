"""A small shop on aiohttp.web that asks Statsig what to show, and tells three vendors what its customers do.

    export STATSIG_SECRET_KEY=secret-... AMPLITUDE_API_KEY=...
    export RUDDERSTACK_WRITE_KEY=... RUDDERSTACK_URL=https://plane.example.com
    python -m aiohttp.web -P 8080 asyncsdk.examples.aiohttp_shop:init

Or, without an account anywhere: `python -m asyncsdk.examples aiohttp_shop`.

What to look at: the client is made before there is an event loop (`make_client`), and lives as long as the application
(`setup`). Each request has its `flags`: the user (`user_of`), asked for once, and one version of the rules. Lookups
need no `await`; events are awaited, which takes microseconds, and carry what was looked up. The vendors are never
waited for, except where that is the point (`consent`). What the shop asks Statsig for is in `shop_ruleset.json` beside
this file: gates, the config `prices`, the experiment `button`, the layer `homepage`. Each lookup says what holds
without rules, so that the shop is open while Statsig is not.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import orjson
from aiohttp import web

from asyncsdk import (
    Amplitude,
    Client,
    Delivery,
    Destination,
    Flags,
    Identify,
    InvalidEventError,
    Receipt,
    Revenue,
    RudderStack,
    Statsig,
    Track,
    User,
    redact,
)
from asyncsdk.integrations.aiohttp import get_client, get_flags, get_user, setup

PRICES = {"apple": 0.50, "kettle": 24.95, "lamp": 39.00, "teapot": 19.95}
"""What there is, and what it costs unless the config `prices` says otherwise."""
SHIPPING = 4.95

RULESET = Path(__file__).with_name("shop_ruleset.json")
"""What the project at Statsig has for this shop."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Warehouse:
    """Sync code with a callback, such as any shop has somewhere."""

    def __init__(self, on_shipped: Callable[[User, str], object]) -> None:
        self._on_shipped = on_shipped

    def ship(self, user: User, sku: str) -> None:
        """Send a parcel, and tell whoever wants to know."""
        self._on_shipped(user, sku)


WAREHOUSE = web.AppKey("warehouse", Warehouse)
PATIENCE = web.AppKey("patience", float)
routes = web.RouteTableDef()


# --- the application ------------------------------------------------------------------------------------------


def init(_: Sequence[str] = ()) -> web.Application:
    """Make the shop from the environment, for `python -m aiohttp.web`."""
    return create_app(make_client(destinations(os.environ)))


def destinations(environ: Mapping[str, str]) -> Sequence[Destination]:
    """Read where events go; a variable that is missing is a `KeyError` with its name."""
    return (
        RudderStack(environ["RUDDERSTACK_WRITE_KEY"], environ["RUDDERSTACK_URL"]),
        Amplitude(environ["AMPLITUDE_API_KEY"]),
        Statsig(environ["STATSIG_SECRET_KEY"]),
    )


def make_client(
    destinations: Sequence[Destination], *, on_delivery: Callable[[str, Delivery], object] | None = None
) -> Client:
    """Make the shop's client: no vendor ever sees a card number or an address."""
    return Client(*destinations, on_delivery=on_delivery).add_middleware(redact("card", "email"))


def create_app(sdk: Client, *, patience: float = 5.0) -> web.Application:
    """Make the shop.

    Args:
        sdk: Not started yet; the shop starts and closes it.
        patience: Longest a customer waits for vendors, where one waits at all, in seconds.
    """
    app = web.Application(middlewares=[refuse_what_is_wrong])
    setup(app, sdk, user=user_of, anonymous_cookie="visitor")
    app[PATIENCE] = patience
    app[WAREHOUSE] = Warehouse(lambda user, sku: sdk.put_nowait(Track(user, "Order Shipped", {"sku": sku})))
    app.add_routes(routes)
    return app


@web.middleware
async def refuse_what_is_wrong(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer 400 to what no handler and no vendor could make sense of."""
    try:
        return await handler(request)
    except (InvalidEventError, orjson.JSONDecodeError) as error:
        raise web.HTTPBadRequest(text=str(error)) from error
    except KeyError as error:
        raise web.HTTPBadRequest(text=f"the shop does not know, or misses, {error}") from error


def user_of(request: web.Request) -> User:
    """Say who asks: whom the sign-in (here: headers) names. Address, language and the like come of themselves."""
    told = request.headers.get
    return User(
        told("X-User"),
        private_attributes={"email": told("X-Email")},
        app_version=told("X-App-Version"),
        country=told("X-Country"),
    )


def price_of(flags: Flags, sku: str) -> float:
    """Say what something costs this customer today: a dynamic config; `KeyError` if there is no such thing."""
    return flags.get_config("prices").get_number(sku, PRICES[sku])


async def body_of(request: web.Request) -> dict[str, Any]:
    """Read the JSON object that a handler needs."""
    body: dict[str, Any] = await request.json(loads=orjson.loads)
    return body


def answer(value: object, status: int = 200) -> web.Response:
    """Answer with JSON."""
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")


# --- looking around -------------------------------------------------------------------------------------------


@routes.get("/")
async def home(request: web.Request) -> web.Response:
    """Show what there is, laid out as the layer `homepage` says, of which an experiment may own parts."""
    layout = get_flags(request).get_layer("homepage")
    title, shown = layout.get_string("title", "The shop"), layout.get("products", len(PRICES))
    await get_client(request).page(get_user(request), "Home", {"products": shown}, category="Shop")
    return answer({"title": title, "products": list(PRICES)[:shown]})


@routes.get("/products/{sku}")
async def product(request: web.Request) -> web.Response:
    """Show one product, with a button that is an experiment. The event carries the price's rule and the group."""
    sku, button = request.match_info["sku"], get_flags(request).get_experiment("button")
    price = price_of(get_flags(request), sku)
    await get_client(request).track(get_user(request), "Product Viewed", {"sku": sku, "price": price})
    return answer({"sku": sku, "price": price, "button": button.get_string("label", "Buy"), "group": button.group})


@routes.get("/app/{screen}")
async def screen(request: web.Request) -> web.Response:
    """Serve a screen of the shop's app; recent versions of it have a new basket."""
    name = request.match_info["screen"]
    is_new = name == "basket" and get_flags(request).check_gate("new_basket")
    await get_client(request).screen(get_user(request), name)
    return answer({"screen": name, "new": is_new})


# --- who somebody is ------------------------------------------------------------------------------------------


@routes.post("/signup")
async def signup(request: web.Request) -> web.Response:
    """Make a visitor a customer: what they did before is theirs."""
    visitor = request.cookies.get("visitor")
    if visitor is not None:
        await get_client(request).alias(visitor, get_user(request))
    await get_client(request).identify(get_user(request), await body_of(request))
    return answer({"welcome": get_user(request).user_id}, 201)


@routes.post("/visits")
async def visit(request: web.Request) -> web.Response:
    """Count a visit, with Amplitude's operations; the other vendors get what can be said as traits."""
    campaign = (await body_of(request))["campaign"]
    seen = Identify().set_once("first_campaign", campaign).add("visits", 1).append("campaigns", campaign)
    await get_client(request).identify(get_user(request), seen)
    return answer({})


@routes.post("/team")
async def team(request: web.Request) -> web.Response:
    """Let a customer buy for a company."""
    body = await body_of(request)
    await get_client(request).group(get_user(request), body["company"], {"plan": body["plan"]})
    return answer({"company": body["company"]}, 201)


@routes.post("/consents")
async def consent(request: web.Request) -> web.Response:
    """Take a consent, and say yes only when every vendor has it: the one handler that waits for them."""
    receipt = await get_client(request).track(get_user(request), "Consent Given", await body_of(request))
    try:
        async with asyncio.timeout(request.app[PATIENCE]):
            await receipt
    except TimeoutError:
        return answer(story_of(receipt), 202)
    return answer(story_of(receipt), 201)


def story_of(receipt: Receipt) -> dict[str, object]:
    """Say what each vendor made of an event so far, and how it came to that."""
    known = {name: "pending" if delivery is None else delivery.status for name, delivery in receipt.deliveries.items()}
    return {"vendors": known, "story": receipt.explain()}


# --- buying ---------------------------------------------------------------------------------------------------


@routes.post("/cart")
async def cart(request: web.Request) -> web.Response:
    """Put a product into the cart: an event in Statsig's form. Half of the customers may pay at once."""
    sku = (await body_of(request))["sku"]
    await get_client(request).log_event(
        get_user(request), "add_to_cart", price_of(get_flags(request), sku), {"sku": sku}
    )
    return answer({"sku": sku, "express": get_flags(request).check_gate("express_checkout")}, 201)


@routes.post("/orders")
async def order(request: web.Request) -> web.Response:
    """Sell a product. The warehouse reports the parcel from a plain callback."""
    body = await body_of(request)
    sku = body["sku"]
    price = price_of(get_flags(request), sku)
    shipping = 0.0 if get_flags(request).check_gate("free_shipping") else SHIPPING
    properties = {"sku": sku, "revenue": price, "currency": "EUR", "shipping": shipping, "card": body["card"]}
    await get_client(request).track(get_user(request), "Order Completed", properties)
    request.app[WAREHOUSE].ship(get_user(request), sku)
    return answer({"sku": sku, "total": round(price + shipping, 2)}, 201)


@routes.post("/refunds")
async def refund(request: web.Request) -> web.Response:
    """Give money back: Amplitude's `Revenue`, and for Amplitude only."""
    sku = (await body_of(request))["sku"]
    price = price_of(get_flags(request), sku)
    refunded = Revenue(-price, product_id=sku, revenue_type="refund", currency="EUR")
    await get_client(request).track(get_user(request), refunded, integrations={"All": False, "Amplitude": True})
    return answer({"sku": sku}, 201)


@routes.post("/kiosk")
async def kiosk(request: web.Request) -> web.Response:
    """Pass on what the kiosks in the stores send: they speak Amplitude's language."""
    await get_client(request).log_event(await body_of(request))
    return answer({}, 202)


# --- for browsers and for staff -------------------------------------------------------------------------------


@routes.get("/bootstrap")
async def bootstrap(request: web.Request) -> web.Response:
    """Give Statsig's browser SDK what it starts from, so that it need not ask Statsig."""
    return web.Response(body=get_client(request).bootstrap(get_user(request)), content_type="application/json")


@routes.get("/why/{name}")
async def why(request: web.Request) -> web.Response:
    """Tell a member of staff how the rules come to what a customer gets."""
    if not get_flags(request).check_gate("staff_tools"):
        raise web.HTTPNotFound
    explanation = get_client(request).explain(request.query["user"], request.match_info["name"])
    return web.Response(text=explanation.render())


@routes.get("/health")
async def health(request: web.Request) -> web.Response:
    """Tell a load balancer, and whoever is on call, how events are doing."""
    return answer(attrs.asdict(get_client(request).health()))
