"""The behaviour that the shops share, over HTTP, each on its framework's server."""

import asyncio
import importlib
import runpy
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import aiohttp
import pytest

from asyncsdk import Client
from asyncsdk.dev import DevServer
from asyncsdk.examples import __main__ as examples
from asyncsdk.examples.__main__ import SHOPS, main, make_client, run_shop, serving


@pytest.fixture(params=SHOPS)
def shop(request: pytest.FixtureRequest) -> ModuleType:
    return importlib.import_module(f"asyncsdk.examples.{request.param}")


@pytest.fixture
async def vendors(shop: ModuleType) -> AsyncIterator[DevServer]:
    async with DevServer(ruleset=shop.RULESET) as server:
        yield server


@pytest.fixture
def client(vendors: DevServer) -> Client:
    return make_client(vendors.url)


class Customer:
    """A browser that is signed in as Ada unless a request's headers name another user."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def get(self, path: str, **options: Any) -> aiohttp.ClientResponse:
        return await self._ask("GET", path, **options)

    async def post(self, path: str, **options: Any) -> aiohttp.ClientResponse:
        return await self._ask("POST", path, **options)

    async def _ask(self, method: str, path: str, **options: Any) -> aiohttp.ClientResponse:
        async with self.session.request(method, path, **options) as response:
            await response.read()
            return response


@pytest.fixture
async def http(shop: ModuleType, client: Client) -> AsyncIterator[Customer]:
    async with (
        serving(shop.create_app(client), 0) as url,
        aiohttp.ClientSession(url, headers={"X-User": "ada.lovelace"}) as session,
    ):
        yield Customer(session)


async def tracked(client: Client, vendors: DevServer) -> list[tuple[str, str, dict[str, Any]]]:
    """Return user, name and properties of the events that RudderStack accepted."""
    await client.flush()
    return [
        (event.user, event.name, event.body.get("properties", event.body.get("traits")))
        for event in vendors.accepted("rudderstack")
    ]


async def test_the_front_page_is_laid_out_by_a_layer(http: Customer, client: Client, vendors: DevServer) -> None:
    response = await http.get("/")

    assert await response.json() == {"title": "Good to see you", "products": ["apple", "kettle", "lamp", "teapot"]}
    [(_, name, properties)] = await tracked(client, vendors)
    assert (name, properties["feature_flags"]) == ("Home", {"homepage": "Warm"})


@pytest.mark.parametrize(("user", "button"), [("ada.lovelace", "Buy"), ("alan.turing", "Put into basket")])
async def test_a_button_is_an_experiment(http: Customer, user: str, button: str) -> None:
    response = await http.get("/products/lamp", headers={"X-User": user})

    assert (await response.json())["button"] == button


async def test_what_a_customer_saw_of_a_product_is_tracked(http: Customer, client: Client, vendors: DevServer) -> None:
    response = await http.get("/products/lamp")

    assert await response.json() == {"sku": "lamp", "price": 39.0, "button": "Buy", "group": "Control"}
    properties = {"sku": "lamp", "price": 39.0, "feature_flags": {"prices": "default", "button": "Control"}}
    assert await tracked(client, vendors) == [("ada.lovelace", "Product Viewed", properties)]


async def test_half_of_the_customers_may_pay_at_once(http: Customer) -> None:
    replies = [
        await http.post("/cart", json={"sku": "lamp"}, headers={"X-User": user})
        for user in ("ada.lovelace", "donald.knuth")
    ]

    assert [(await response.json())["express"] for response in replies] == [True, False]


@pytest.mark.parametrize(("country", "total"), [("NL", 19.95), ("GB", 24.90)])
async def test_an_order_is_tracked_without_its_card(
    http: Customer, client: Client, vendors: DevServer, country: str, total: float
) -> None:
    response = await http.post("/orders", json={"sku": "teapot", "card": "4111"}, headers={"X-Country": country})

    assert (response.status, await response.json()) == (201, {"sku": "teapot", "total": total})
    user, name, properties = (await tracked(client, vendors))[0]
    assert (user, name, properties["card"]) == ("ada.lovelace", "Order Completed", "[redacted]")


async def test_a_visitor_who_signs_up_is_one_person(http: Customer, client: Client, vendors: DevServer) -> None:
    visitor = (await http.get("/", headers={"X-User": ""})).cookies["visitor"].value
    await http.post("/signup", json={"name": "Ada"}, headers={"Cookie": f"visitor={visitor}"})

    await client.flush()
    page, alias, identify = [event.body for event in vendors.accepted("rudderstack")]
    assert page["anonymousId"] == alias["previousId"] == visitor
    assert (identify["userId"], identify["traits"]) == ("ada.lovelace", {"name": "Ada"})


async def test_a_customer_without_a_visit_is_not_aliased(http: Customer, client: Client, vendors: DevServer) -> None:
    await http.post("/signup", json={"name": "Ada"})

    assert [name for _, name, _ in await tracked(client, vendors)] == [""]


@pytest.mark.parametrize("body", ["{", '{"color": "red"}', '{"sku": "unicorn"}'])
async def test_an_invalid_request_is_rejected(http: Customer, body: str) -> None:
    response = await http.post("/cart", data=body, headers={"Content-Type": "application/json"})

    assert response.status in (400, 404, 422)


async def test_the_health_page_reports_a_running_client(http: Customer) -> None:
    assert (await (await http.get("/health")).json())["state"] == "running"


def test_the_shop_is_made_from_the_environment(shop: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = dict.fromkeys(("RUDDERSTACK_WRITE_KEY", "AMPLITUDE_API_KEY", "STATSIG_SECRET_KEY"), "secret-key")
    environ["RUDDERSTACK_URL"] = "https://plane.example.com"

    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    assert shop.init() is not None


# --- one framework only ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shop", ["starlette_shop"], indirect=True)
async def test_offers_are_streamed(http: Customer, client: Client, vendors: DevServer) -> None:
    text = await (await http.get("/offers", headers={"X-User": "grace.hopper"})).text()

    assert text.startswith('data: {"sku":"apple","price":0.5}\n\n')
    assert [name for _, name, _ in await tracked(client, vendors)] == ["Offers Seen"]


@pytest.mark.parametrize("shop", ["starlette_shop"], indirect=True)
async def test_prices_may_be_asked_for(http: Customer, client: Client, vendors: DevServer) -> None:
    async with http.session.ws_connect("/chat") as chat:
        replies = []
        for sku in ("lamp", "unicorn"):
            await chat.send_str(sku)
            replies.append(await chat.receive_str())

    assert replies == ["39.00", "We have none."]
    assert [properties["sku"] for _, _, properties in await tracked(client, vendors)] == ["lamp", "unicorn"]


@pytest.mark.parametrize("shop", ["fastapi_shop"], indirect=True)
async def test_a_parcel_is_sent_after_the_response(http: Customer, client: Client, vendors: DevServer) -> None:
    await http.post("/orders", json={"sku": "teapot", "card": "4111"})
    await vendors.received("rudderstack", 2)

    _, shipped = await tracked(client, vendors)
    seen = {"prices": "default", "free_shipping": False}
    assert shipped == ("ada.lovelace", "Order Shipped", {"sku": "teapot", "feature_flags": seen})


# --- the command line -----------------------------------------------------------------------------------------


async def test_closing_a_shop_prints_what_the_vendors_received(
    capsys: pytest.CaptureFixture[str], shop: ModuleType
) -> None:
    running = asyncio.create_task(run_shop(shop.__name__.rpartition(".")[2], 0))
    while "Open: " not in (output := capsys.readouterr().out):
        await asyncio.sleep(0.01)
    async with aiohttp.ClientSession(headers={"X-User": "ada.lovelace"}) as session:
        await Customer(session).get(output.split()[1])

    running.cancel()
    await asyncio.wait([running])

    assert "   1 rudderstack: page Home\n" in capsys.readouterr().out


@pytest.mark.process
@pytest.mark.parametrize("name", SHOPS)
def test_one_command_runs_a_shop(name: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "asyncsdk.examples", name, "--port", "0"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        output = process.stdout.readline()
        with urllib.request.urlopen(output.split()[1]) as page:  # noqa: S310 -- on this machine
            assert page.status == 200
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=10)

    assert process.returncode == 0
    assert "layer_exposure" in out


def test_an_unknown_shop_is_rejected(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["examples", "django_shop"])

    with pytest.raises(SystemExit):
        runpy.run_path(examples.__file__, run_name="__main__")

    assert "fastapi_shop" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["fastapi", "uvicorn"])
def test_a_shop_names_the_packages_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    for name in ("asyncsdk.examples.fastapi_shop", "asyncsdk.examples._uvicorn"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, missing, None)

    with pytest.raises(SystemExit):
        main(["fastapi_shop", "--port", "0"])

    assert capsys.readouterr().err == f"fastapi_shop needs {missing}: pip install 'asyncsdk[fastapi]' uvicorn\n"


def test_the_shops_are_listed_without_uvicorn(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "asyncsdk.examples._uvicorn", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.setattr(sys, "argv", ["examples"])

    with pytest.raises(SystemExit):
        runpy.run_path(examples.__file__, run_name="__main__")

    assert "{aiohttp_shop,fastapi_shop,starlette_shop}" in capsys.readouterr().err


def test_ctrl_c_closes_a_shop_without_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt_when_open() -> None:
        while "Open: " not in capsys.readouterr().out:
            time.sleep(0.01)
        signal.pthread_kill(main_thread, signal.SIGINT)

    main_thread = threading.get_ident()
    interrupting = threading.Thread(target=interrupt_when_open)
    interrupting.start()

    main([SHOPS[0], "--port", "0"])

    interrupting.join()
