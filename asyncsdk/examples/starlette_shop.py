"""A small shop on Starlette that uses Statsig's flags, and sends its customers' events to three vendors.

    export STATSIG_SECRET_KEY=secret-... AMPLITUDE_API_KEY=...
    export RUDDERSTACK_WRITE_KEY=... RUDDERSTACK_URL=https://plane.example.com
    uvicorn --factory asyncsdk.examples.starlette_shop:init

Or, without any account: `python -m asyncsdk.examples starlette_shop`.

What to look at: the client lives as long as the application, and the shop's own lifespan, `stock`, runs inside it. Each
request has its flags (`get_flags`), and so have the stream of offers (`offers`) and the chat, a websocket (`chat`). The
ruleset of the shop is in `shop_ruleset.json` beside this file.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from asyncsdk import Amplitude, Client, Flags, RudderStack, Statsig, User, redact
from asyncsdk.integrations.starlette import FlagsMiddleware, get_client, get_flags, get_user, lifespan

PRICES = {"apple": 0.50, "kettle": 24.95, "lamp": 39.00, "teapot": 19.95}
"""The products, and their prices unless the config `prices` has others."""
SHIPPING = 4.95

RULESET = Path(__file__).with_name("shop_ruleset.json")
"""The ruleset of the shop's project at Statsig."""


# --- the application ------------------------------------------------------------------------------------------


def init(environ: Mapping[str, str] = os.environ) -> Starlette:
    """Build the shop from the environment; a missing variable raises `KeyError` with its name."""
    sdk = Client(
        RudderStack(environ["RUDDERSTACK_WRITE_KEY"], environ["RUDDERSTACK_URL"]),
        Amplitude(environ["AMPLITUDE_API_KEY"]),
        Statsig(environ["STATSIG_SECRET_KEY"]),
        on_invalid="report",
    )
    return create_app(sdk.add_middleware(redact("card", "email")))


def create_app(sdk: Client) -> Starlette:
    """Build the shop, which starts and closes the client."""
    return Starlette(
        routes=[
            Route("/", home),
            Route("/products/{sku}", product),
            Route("/offers", offers),
            Route("/signup", signup, methods=["POST"]),
            Route("/cart", cart, methods=["POST"]),
            Route("/orders", order, methods=["POST"]),
            Route("/health", health),
            WebSocketRoute("/chat", chat),
        ],
        lifespan=lifespan(sdk, stock),
        middleware=[Middleware(FlagsMiddleware, user=user_of, anonymous_cookie="visitor")],
        exception_handlers={KeyError: refuse, orjson.JSONDecodeError: refuse},
    )


@asynccontextmanager
async def stock(_: Starlette) -> AsyncIterator[dict[str, dict[str, int]]]:
    """Open and close the shop's own resources; here only a count of its stock."""
    yield {"stock": dict.fromkeys(PRICES, 100)}


def user_of(request: HTTPConnection) -> User:
    """Return the user whom the sign-in, here headers, names. Address, language and so on are filled in."""
    header = request.headers.get
    return User(header("X-User"), country=header("X-Country"), app_version=header("X-App-Version"))


def price_of(flags: Flags, sku: str) -> float:
    """Return the price of a product for this customer, from a dynamic config; `KeyError` for an unknown sku."""
    return flags.get_config("prices").get_number(sku, PRICES[sku])


async def refuse(_: Request, error: Exception) -> Response:
    """Reply 400 to a request that no endpoint can handle."""
    return JSONResponse({"refused": f"{type(error).__name__}: {error}"}, 400)


# --- browsing -------------------------------------------------------------------------------------------------


async def home(request: Request) -> Response:
    """Show the products. The layer `homepage` has the layout; experiments may own parts of it."""
    flags = get_flags(request)
    layout = flags.get_layer("homepage")
    title, shown = layout.get_string("title", "The shop"), layout.get("products", len(PRICES))
    await get_client(request).page(flags.user, "Home", {"products": shown}, category="Shop")
    return JSONResponse({"title": title, "products": list(PRICES)[:shown]})


async def product(request: Request) -> Response:
    """Show one product, with a button that is an experiment. The event carries the price's rule and the group."""
    flags, sku = get_flags(request), request.path_params["sku"]
    button, price = flags.get_experiment("button"), price_of(flags, sku)
    await get_client(request).track(flags.user, "Product Viewed", {"sku": sku, "price": price})
    label = button.get_string("label", "Buy")
    return JSONResponse({"sku": sku, "price": price, "button": label, "group": button.group})


async def offers(request: Request) -> Response:
    """Stream offers as server-sent events."""

    async def stream() -> AsyncIterator[bytes]:
        flags = get_flags(request)
        for sku in PRICES:
            yield b"data: %b\n\n" % orjson.dumps({"sku": sku, "price": price_of(flags, sku)})
            await asyncio.sleep(0)
        await get_client(request).track(flags.user, "Offers Seen", {"products": len(PRICES)})

    return StreamingResponse(stream(), media_type="text/event-stream")


async def chat(socket: WebSocket) -> None:
    """Reply with the price of each product that a customer names."""
    client, flags = get_client(socket), get_flags(socket)
    await socket.accept()
    async for sku in socket.iter_text():
        await client.track(flags.user, "Price Asked", {"sku": sku})
        await socket.send_text(f"{price_of(flags, sku):.2f}" if sku in PRICES else "We have none.")


# --- buying ---------------------------------------------------------------------------------------------------


async def signup(request: Request) -> Response:
    """Sign a visitor up, and attribute their earlier events to the new customer."""
    client, user = get_client(request), get_user(request)
    if "visitor" in request.cookies:
        await client.alias(request.cookies["visitor"], user)
    await client.identify(user, orjson.loads(await request.body()))
    return JSONResponse({"welcome": user.user_id}, 201)


async def cart(request: Request) -> Response:
    """Put a product into the cart, with an event in Statsig's format. Half of the customers get an express checkout."""
    flags, sku = get_flags(request), orjson.loads(await request.body())["sku"]
    await get_client(request).log_event(flags.user, "add_to_cart", price_of(flags, sku), {"sku": sku})
    return JSONResponse({"sku": sku, "express": flags.check_gate("express_checkout")}, 201)


async def order(request: Request) -> Response:
    """Sell a product, and take it out of stock."""
    flags, body = get_flags(request), orjson.loads(await request.body())
    sku = body["sku"]
    price = price_of(flags, sku)
    request.state.stock[sku] -= 1
    shipping = 0.0 if flags.check_gate("free_shipping") else SHIPPING
    properties = {"sku": sku, "revenue": price, "currency": "EUR", "shipping": shipping, "card": body["card"]}
    await get_client(request).track(flags.user, "Order Completed", properties)
    return JSONResponse({"sku": sku, "total": round(price + shipping, 2)}, 201)


async def health(request: Request) -> Response:
    """Report the client's health, for load balancers and operators."""
    return JSONResponse({"state": get_client(request).health().state, "stock": request.state.stock})
