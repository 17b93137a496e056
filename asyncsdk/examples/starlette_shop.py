"""A small shop on Starlette that asks Statsig what to show, and tells three vendors what its customers do.

    export STATSIG_SECRET_KEY=secret-... AMPLITUDE_API_KEY=...
    export RUDDERSTACK_WRITE_KEY=... RUDDERSTACK_URL=https://plane.example.com
    uvicorn --factory asyncsdk.examples.starlette_shop:init

Or, without an account anywhere: `python -m asyncsdk.examples starlette_shop`.

What to look at: the client lives as long as the application, and the shop's own `stock` within it (`lifespan`). Each
request has its `flags`, and so has the stream of offers, which goes on for as long as a customer looks (`offers`), and
the chat, a websocket (`chat`). What the shop asks Statsig for is in `shop_ruleset.json` beside this file.
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

from asyncsdk import Amplitude, Client, RudderStack, Statsig, User, redact
from asyncsdk.integrations.starlette import FlagsMiddleware, get_client, get_flags, get_user, lifespan

PRICES = {"apple": 0.50, "kettle": 24.95, "lamp": 39.00, "teapot": 19.95}
"""What there is, and what it costs unless the config `prices` says otherwise."""
SHIPPING = 4.95

RULESET = Path(__file__).with_name("shop_ruleset.json")
"""What the project at Statsig has for this shop."""


# --- the application ------------------------------------------------------------------------------------------


def init(environ: Mapping[str, str] = os.environ) -> Starlette:
    """Make the shop from the environment; a variable that is missing is a `KeyError` with its name."""
    sdk = Client(
        RudderStack(environ["RUDDERSTACK_WRITE_KEY"], environ["RUDDERSTACK_URL"]),
        Amplitude(environ["AMPLITUDE_API_KEY"]),
        Statsig(environ["STATSIG_SECRET_KEY"]),
    )
    return create_app(sdk.add_middleware(redact("card", "email")))


def create_app(sdk: Client) -> Starlette:
    """Make the shop; it starts and closes the client."""
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
    """Count what is there: something that a shop opens and closes."""
    yield {"stock": dict.fromkeys(PRICES, 100)}


def user_of(request: HTTPConnection) -> User:
    """Say who asks: whom the sign-in (here: headers) names. Address, language and the like come of themselves."""
    told = request.headers.get
    return User(told("X-User"), country=told("X-Country"), app_version=told("X-App-Version"))


def price_of(request: HTTPConnection, sku: str) -> float:
    """Say what something costs this customer today: a dynamic config; `KeyError` if there is no such thing."""
    return get_flags(request).get_config("prices").get_number(sku, PRICES[sku])


async def refuse(_: Request, error: Exception) -> Response:
    """Answer 400 to what no endpoint can make sense of."""
    return JSONResponse({"refused": f"{type(error).__name__}: {error}"}, 400)


# --- looking around -------------------------------------------------------------------------------------------


async def home(request: Request) -> Response:
    """Show what there is, laid out as the layer `homepage` says, of which an experiment may own parts."""
    layout = get_flags(request).get_layer("homepage")
    title, shown = layout.get_string("title", "The shop"), layout.get("products", len(PRICES))
    await get_client(request).page(get_user(request), "Home", {"products": shown}, category="Shop")
    return JSONResponse({"title": title, "products": list(PRICES)[:shown]})


async def product(request: Request) -> Response:
    """Show one product, with a button that is an experiment. The event carries the price's rule and the group."""
    sku, button = request.path_params["sku"], get_flags(request).get_experiment("button")
    price = price_of(request, sku)
    await get_client(request).track(get_user(request), "Product Viewed", {"sku": sku, "price": price})
    label = button.get_string("label", "Buy")
    return JSONResponse({"sku": sku, "price": price, "button": label, "group": button.group})


async def offers(request: Request) -> Response:
    """Tell of offers, one after the other, for as long as somebody looks: server-sent events."""

    async def tell() -> AsyncIterator[bytes]:
        for sku in PRICES:
            yield b"data: %b\n\n" % orjson.dumps({"sku": sku, "price": price_of(request, sku)})
            await asyncio.sleep(0)
        await get_client(request).track(get_user(request), "Offers Seen", {"products": len(PRICES)})

    return StreamingResponse(tell(), media_type="text/event-stream")


async def chat(socket: WebSocket) -> None:
    """Answer what customers ask: the price of what they name."""
    await socket.accept()
    async for sku in socket.iter_text():
        await get_client(socket).track(get_user(socket), "Price Asked", {"sku": sku})
        await socket.send_text(f"{price_of(socket, sku):.2f}" if sku in PRICES else "We have none.")


# --- buying ---------------------------------------------------------------------------------------------------


async def signup(request: Request) -> Response:
    """Make a visitor a customer: what they did before is theirs."""
    if "visitor" in request.cookies:
        await get_client(request).alias(request.cookies["visitor"], get_user(request))
    await get_client(request).identify(get_user(request), orjson.loads(await request.body()))
    return JSONResponse({"welcome": get_user(request).user_id}, 201)


async def cart(request: Request) -> Response:
    """Put a product into the cart: an event in Statsig's form. Half of the customers may pay at once."""
    sku = orjson.loads(await request.body())["sku"]
    await get_client(request).log_event(get_user(request), "add_to_cart", price_of(request, sku), {"sku": sku})
    return JSONResponse({"sku": sku, "express": get_flags(request).check_gate("express_checkout")}, 201)


async def order(request: Request) -> Response:
    """Sell a product, if there is one left."""
    body = orjson.loads(await request.body())
    sku = body["sku"]
    price = price_of(request, sku)
    request.state.stock[sku] -= 1
    shipping = 0.0 if get_flags(request).check_gate("free_shipping") else SHIPPING
    properties = {"sku": sku, "revenue": price, "currency": "EUR", "shipping": shipping, "card": body["card"]}
    await get_client(request).track(get_user(request), "Order Completed", properties)
    return JSONResponse({"sku": sku, "total": round(price + shipping, 2)}, 201)


async def health(request: Request) -> Response:
    """Tell a load balancer, and whoever is on call, how events are doing."""
    found = get_client(request).health()
    return JSONResponse({"state": found.state, "stock": request.state.stock})
