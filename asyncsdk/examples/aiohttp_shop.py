"""A small shop on aiohttp.web that uses Statsig's flags, and sends its customers' events to three vendors.

    export STATSIG_SECRET_KEY=secret-... AMPLITUDE_API_KEY=...
    export RUDDERSTACK_WRITE_KEY=... RUDDERSTACK_URL=https://plane.example.com
    python -m aiohttp.web -P 8080 asyncsdk.examples.aiohttp_shop:init

Or, without any account: `python -m asyncsdk.examples aiohttp_shop`.

What to look at: the client is built before there is an event loop (`make_client`), and lives as long as the application
(`setup`). Each request has its flags (`get_flags`): one user (`user_of`), and one version of the rules. Lookups need no
`await`; events are awaited, which takes microseconds, and carry what was looked up. No handler waits for vendors,
except the one whose purpose it is (`consent`). The ruleset of the shop is in `shop_ruleset.json` beside this file:
gates, the config `prices`, the experiment `button`, the layer `homepage`. Each lookup has a default, so that the shop
works without rules.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

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
"""The products, and their prices unless the config `prices` has others."""
SHIPPING = 4.95

RULESET = Path(__file__).with_name("shop_ruleset.json")
"""The ruleset of the shop's project at Statsig."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Warehouse:
    """Synchronous code with a callback, as most applications have."""

    def __init__(self, on_shipped: Callable[[User, str], object]) -> None:
        self._on_shipped = on_shipped

    def ship(self, user: User, sku: str) -> None:
        """Ship a parcel, and call the callback."""
        self._on_shipped(user, sku)


WAREHOUSE = web.AppKey("warehouse", Warehouse)
CONSENT_TIMEOUT = web.AppKey("consent_timeout", float)
routes = web.RouteTableDef()


# --- the application ------------------------------------------------------------------------------------------


def init(_: Sequence[str] = ()) -> web.Application:
    """Build the shop from the environment, for `python -m aiohttp.web`."""
    return create_app(make_client(destinations(os.environ)))


def destinations(environ: Mapping[str, str]) -> Sequence[Destination]:
    """Build the destinations from the environment; a missing variable raises `KeyError` with its name."""
    return (
        RudderStack(environ["RUDDERSTACK_WRITE_KEY"], environ["RUDDERSTACK_URL"]),
        Amplitude(environ["AMPLITUDE_API_KEY"]),
        Statsig(environ["STATSIG_SECRET_KEY"]),
    )


def make_client(
    destinations: Sequence[Destination], *, on_delivery: Callable[[str, Delivery], object] | None = None
) -> Client:
    """Build the shop's client. It sends no card numbers and e-mail addresses; an invalid event breaks no request."""
    return Client(*destinations, on_delivery=on_delivery, on_invalid="report").add_middleware(redact("card", "email"))


def create_app(sdk: Client, *, consent_timeout: float = 5.0) -> web.Application:
    """Build the shop.

    Args:
        sdk: A client that is not started yet; the shop starts and closes it.
        consent_timeout: Maximum time that the handler `consent` waits for vendors, in seconds.
    """
    app = web.Application(middlewares=[reject_invalid_requests])
    setup(app, sdk, user=user_of, anonymous_cookie="visitor")
    app[CONSENT_TIMEOUT] = consent_timeout
    app[WAREHOUSE] = Warehouse(lambda user, sku: sdk.put_nowait(Track(user, "Order Shipped", {"sku": sku})))
    app.add_routes(routes)
    return app


@web.middleware
async def reject_invalid_requests(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Reply 400 to a request that no handler, or whose event no vendor, can accept."""
    try:
        return await handler(request)
    except (InvalidEventError, orjson.JSONDecodeError) as error:
        raise web.HTTPBadRequest(text=str(error)) from error
    except KeyError as error:
        raise web.HTTPBadRequest(text=f"unknown or missing: {error}") from error


def user_of(request: web.Request) -> User:
    """Return the user whom the sign-in, here headers, names. Address, language and so on are filled in."""
    header = request.headers.get
    return User(
        header("X-User"),
        private_attributes={"email": header("X-Email")},
        app_version=header("X-App-Version"),
        country=header("X-Country"),
    )


def price_of(flags: Flags, sku: str) -> float:
    """Return the price of a product for this customer, from a dynamic config; `KeyError` for an unknown sku."""
    return flags.get_config("prices").get_number(sku, PRICES[sku])


async def body_of(request: web.Request) -> dict[str, Any]:
    """Return the JSON object in a request's body."""
    body: dict[str, Any] = await request.json(loads=orjson.loads)
    return body


def json_response(value: object, status: int = 200) -> web.Response:
    """Build a response with a JSON body."""
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")


# --- browsing -------------------------------------------------------------------------------------------------


@routes.get("/")
async def home(request: web.Request) -> web.Response:
    """Show the products. The layer `homepage` has the layout; experiments may own parts of it."""
    flags = get_flags(request)
    layout = flags.get_layer("homepage")
    title, shown = layout.get_string("title", "The shop"), layout.get("products", len(PRICES))
    await get_client(request).page(flags.user, "Home", {"products": shown}, category="Shop")
    return json_response({"title": title, "products": list(PRICES)[:shown]})


@routes.get("/products/{sku}")
async def product(request: web.Request) -> web.Response:
    """Show one product, with a button that is an experiment. The event carries the price's rule and the group."""
    flags, sku = get_flags(request), request.match_info["sku"]
    button, price = flags.get_experiment("button"), price_of(flags, sku)
    await get_client(request).track(flags.user, "Product Viewed", {"sku": sku, "price": price})
    return json_response(
        {"sku": sku, "price": price, "button": button.get_string("label", "Buy"), "group": button.group}
    )


@routes.get("/app/{screen}")
async def screen(request: web.Request) -> web.Response:
    """Serve a screen of the shop's app; recent versions have a new basket."""
    name = request.match_info["screen"]
    is_new = name == "basket" and get_flags(request).check_gate("new_basket")
    await get_client(request).screen(get_user(request), name)
    return json_response({"screen": name, "new": is_new})


# --- customers ------------------------------------------------------------------------------------------------


@routes.post("/signup")
async def signup(request: web.Request) -> web.Response:
    """Sign a visitor up, and attribute their earlier events to the new customer."""
    client, user, visitor = get_client(request), get_user(request), request.cookies.get("visitor")
    if visitor is not None:
        await client.alias(visitor, user)
    await client.identify(user, await body_of(request))
    return json_response({"welcome": user.user_id}, 201)


@routes.post("/visits")
async def visit(request: web.Request) -> web.Response:
    """Count a visit by Amplitude's operations; other vendors get those that can be expressed as traits."""
    campaign = (await body_of(request))["campaign"]
    operations = Identify().set_once("first_campaign", campaign).add("visits", 1).append("campaigns", campaign)
    await get_client(request).identify(get_user(request), operations)
    return json_response({})


@routes.post("/team")
async def team(request: web.Request) -> web.Response:
    """Add a customer to a company."""
    body = await body_of(request)
    await get_client(request).group(get_user(request), body["company"], {"plan": body["plan"]})
    return json_response({"company": body["company"]}, 201)


@routes.post("/consents")
async def consent(request: web.Request) -> web.Response:
    """Record a consent, and reply 201 only once every vendor has it: the only handler that waits for vendors."""
    receipt = await get_client(request).track(get_user(request), "Consent Given", await body_of(request))
    try:
        async with asyncio.timeout(request.app[CONSENT_TIMEOUT]):
            await receipt
    except TimeoutError:
        return json_response(state_of(receipt), 202)
    return json_response(state_of(receipt), 201)


def state_of(receipt: Receipt) -> dict[str, object]:
    """Return the status of an event at each vendor, with an explanation."""
    statuses = {
        name: "pending" if delivery is None else delivery.status for name, delivery in receipt.deliveries.items()
    }
    return {"vendors": statuses, "history": receipt.explain()}


# --- buying ---------------------------------------------------------------------------------------------------


@routes.post("/cart")
async def cart(request: web.Request) -> web.Response:
    """Put a product into the cart, with an event in Statsig's format. Half of the customers get an express checkout."""
    flags, sku = get_flags(request), (await body_of(request))["sku"]
    await get_client(request).log_event(flags.user, "add_to_cart", price_of(flags, sku), {"sku": sku})
    return json_response({"sku": sku, "express": flags.check_gate("express_checkout")}, 201)


@routes.post("/orders")
async def order(request: web.Request) -> web.Response:
    """Sell a product. The warehouse reports the parcel by a plain callback."""
    flags, body = get_flags(request), await body_of(request)
    sku = body["sku"]
    price = price_of(flags, sku)
    shipping = 0.0 if flags.check_gate("free_shipping") else SHIPPING
    properties = {"sku": sku, "revenue": price, "currency": "EUR", "shipping": shipping, "card": body["card"]}
    await get_client(request).track(flags.user, "Order Completed", properties)
    request.app[WAREHOUSE].ship(flags.user, sku)
    return json_response({"sku": sku, "total": round(price + shipping, 2)}, 201)


@routes.post("/refunds")
async def refund(request: web.Request) -> web.Response:
    """Refund a product, with Amplitude's `Revenue` and for Amplitude only."""
    flags, sku = get_flags(request), (await body_of(request))["sku"]
    refunded = Revenue(-price_of(flags, sku), product_id=sku, revenue_type="refund", currency="EUR")
    await get_client(request).track(flags.user, refunded, integrations={"All": False, "Amplitude": True})
    return json_response({"sku": sku}, 201)


@routes.post("/kiosk")
async def kiosk(request: web.Request) -> web.Response:
    """Forward events from kiosks, which send them in Amplitude's format."""
    receipt = await get_client(request).log_event(await body_of(request))
    if receipt.error:  # the kiosk's mistake: it would not show elsewhere
        raise web.HTTPBadRequest(text=receipt.error)
    return json_response({}, 202)


# --- for browsers and staff -----------------------------------------------------------------------------------


@routes.get("/bootstrap")
async def bootstrap(request: web.Request) -> web.Response:
    """Return the bootstrap values of Statsig's browser SDK, which saves it a request to Statsig."""
    return web.Response(body=get_client(request).bootstrap(get_user(request)), content_type="application/json")


@routes.get("/why/{name}")
async def why(request: web.Request) -> web.Response:
    """Explain to staff how the rules evaluate for a customer."""
    if not get_flags(request).check_gate("staff_tools"):
        raise web.HTTPNotFound
    explanation = get_client(request).explain(request.query["user"], request.match_info["name"])
    return web.Response(text=explanation.render())


@routes.get("/health")
async def health(request: web.Request) -> web.Response:
    """Report the client's health, for load balancers and operators."""
    return json_response(get_client(request).health().to_dict())
