"""The events that each page of the aiohttp shop sends to vendors."""

from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from asyncsdk import Client, Statsig
from asyncsdk.dev import DevServer, Fault
from asyncsdk.examples import aiohttp_shop
from asyncsdk.integrations.aiohttp import CLIENT


async def arrived(client: Client, vendors: DevServer, vendor: str) -> list[dict[str, Any]]:
    """Return the events that a vendor accepted, without exposures."""
    await client.flush()
    return [event.body for event in vendors.accepted(vendor) if not event.kind.endswith("_exposure")]


async def exposed(client: Client, vendors: DevServer) -> list[tuple[str, str]]:
    """Return the name and the rule of each exposure."""
    await client.flush()
    exposures = [event for event in vendors.accepted("statsig") if event.kind.endswith("_exposure")]
    return [(event.name, event.body["metadata"]["ruleID"]) for event in exposures]


async def test_the_front_page_is_a_page(http: TestClient, client: Client, vendors: DevServer) -> None:
    await http.get("/")

    (event,) = await arrived(client, vendors, "rudderstack")
    assert (event["type"], event["name"], event["category"], event["userId"]) == (
        "page",
        "Home",
        "Shop",
        "ada.lovelace",
    )


async def test_a_product_is_tracked(http: TestClient, client: Client, vendors: DevServer) -> None:
    response = await http.get("/products/lamp", headers={"Accept-Language": "nl"})

    assert (await response.json())["price"] == 39.0
    (event,) = await arrived(client, vendors, "amplitude")
    seen = {"prices": "default", "button": "Control"}
    assert event["event_type"] == "Product Viewed"
    assert event["event_properties"] == {"sku": "lamp", "price": 39.0, "feature_flags": seen}
    assert (event["ip"], event["language"]) == ("127.0.0.1", "nl")


async def test_a_page_of_the_app_is_a_screen(http: TestClient, client: Client, vendors: DevServer) -> None:
    await http.get("/app/basket")

    (event,) = await arrived(client, vendors, "statsig")
    assert (event["eventName"], event["value"]) == ("screen_view", "basket")


async def test_a_visitor_who_signs_up_is_one_person(http: TestClient, client: Client, vendors: DevServer) -> None:
    response = await http.post("/signup", json={"name": "Ada"}, headers={"Cookie": "visitor=v-1"})

    assert response.status == 201
    alias, identify = await arrived(client, vendors, "rudderstack")
    assert (alias["type"], alias["previousId"], alias["userId"]) == ("alias", "v-1", "ada.lovelace")
    assert (identify["type"], identify["traits"]) == ("identify", {"name": "Ada"})


async def test_signing_up_without_a_visit_is_an_identify(http: TestClient, client: Client, vendors: DevServer) -> None:
    await http.post("/signup", json={"name": "Ada"})

    assert [event["type"] for event in await arrived(client, vendors, "rudderstack")] == ["identify"]


async def test_a_visit_is_counted_at_amplitude(http: TestClient, client: Client, vendors: DevServer) -> None:
    await http.post("/visits", json={"campaign": "autumn"})

    (event,) = await arrived(client, vendors, "amplitude")
    assert event["user_properties"] == {
        "$setOnce": {"first_campaign": "autumn"},
        "$add": {"visits": 1},
        "$append": {"campaigns": "autumn"},
    }


async def test_a_team_is_a_group(http: TestClient, client: Client, vendors: DevServer) -> None:
    await http.post("/team", json={"company": "Ada & Co", "plan": "pro"})

    (event,) = await arrived(client, vendors, "amplitude")
    assert (event["event_type"], event["groups"]) == ("$groupidentify", {"group": "Ada & Co"})
    assert event["group_properties"] == {"$set": {"plan": "pro"}}


async def test_the_cart_speaks_statsigs_language(http: TestClient, client: Client, vendors: DevServer) -> None:
    await http.post("/cart", json={"sku": "teapot"})

    (event,) = await arrived(client, vendors, "statsig")
    assert (event["eventName"], event["value"], event["metadata"]["sku"]) == ("add_to_cart", 19.95, "teapot")


async def test_an_order_is_tracked_without_its_card(http: TestClient, client: Client, vendors: DevServer) -> None:
    await http.post("/orders", json={"sku": "teapot", "card": "4111"})

    ordered, shipped = await arrived(client, vendors, "rudderstack")
    money = {"revenue": 19.95, "currency": "EUR", "shipping": 4.95}
    seen = {"prices": "default", "free_shipping": False}
    assert ordered["properties"] == {"sku": "teapot", **money, "card": "[redacted]", "feature_flags": seen}
    assert (shipped["event"], shipped["userId"]) == ("Order Shipped", "ada.lovelace")


async def test_a_refund_is_for_amplitude_only(http: TestClient, client: Client, vendors: DevServer) -> None:
    await http.post("/refunds", json={"sku": "teapot"})

    (event,) = await arrived(client, vendors, "amplitude")
    assert (event["event_type"], event["event_properties"]["$price"]) == ("revenue_amount", -19.95)
    assert await arrived(client, vendors, "rudderstack") == await arrived(client, vendors, "statsig") == []


async def test_the_kiosk_speaks_amplitudes_language(http: TestClient, client: Client, vendors: DevServer) -> None:
    await http.post("/kiosk", json={"event_type": "Kiosk Sale", "user_id": "grace.hopper", "price": 2.5})

    (event,) = await arrived(client, vendors, "amplitude")
    assert (event["event_type"], event["user_id"], event["price"]) == ("Kiosk Sale", "grace.hopper", 2.5)


async def test_a_consent_is_confirmed_when_all_vendors_have_it(http: TestClient, vendors: DevServer) -> None:
    response = await http.post("/consents", json={"purpose": "newsletter", "email": "ada@example.com"})

    assert response.status == 201
    body = await response.json()
    assert set(body["vendors"].values()) == {"delivered"}
    assert "middleware changed properties['email']" in body["history"]
    assert [vendors.total(vendor) for vendor in ("rudderstack", "amplitude", "statsig")] == [1, 1, 1]


async def test_a_consent_that_a_vendor_does_not_have_yet_is_pending(http: TestClient, vendors: DevServer) -> None:
    vendors.fault("amplitude", Fault(end="hang"))

    response = await http.post("/consents", json={"purpose": "newsletter"})

    assert response.status == 202
    vendors.clear_faults()
    await vendors.stop()  # lets go of the request that hangs
    await vendors.start()
    assert (await response.json())["vendors"]["Amplitude"] == "pending"


# What Statsig decides. The fixture's customer is ada.lovelace, of version 1 of the rules.


async def test_the_front_page_is_laid_out_by_a_layer(http: TestClient, client: Client, vendors: DevServer) -> None:
    response = await http.get("/")

    assert await response.json() == {"title": "Good to see you", "products": ["apple", "kettle", "lamp", "teapot"]}
    assert await exposed(client, vendors) == [("homepage", "welcome-warm")] * 2


async def test_a_button_is_an_experiment(http: TestClient, client: Client, vendors: DevServer) -> None:
    responses = [
        await (await http.get("/products/lamp", headers={"X-User": user})).json()
        for user in ("ada.lovelace", "alan.turing")
    ]

    assert [(body["button"], body["group"]) for body in responses] == [("Buy", "Control"), ("Put into basket", "Test")]
    assert ("button", "button-test") in await exposed(client, vendors)


@pytest.mark.parametrize(("user", "price"), [("ada.lovelace", 19.95), ("grace.hopper", 15.95)])
async def test_the_sale_is_for_regular_customers(http: TestClient, user: str, price: float) -> None:
    response = await http.get("/products/teapot", headers={"X-User": user})

    assert (await response.json())["price"] == price


@pytest.mark.parametrize(("version", "is_new"), [("1.9.9", False), ("2.0", True)])
async def test_recent_apps_have_a_new_basket(http: TestClient, version: str, is_new: bool) -> None:
    response = await http.get("/app/basket", headers={"X-App-Version": version})

    assert await response.json() == {"screen": "basket", "new": is_new}


@pytest.mark.parametrize(("country", "total"), [("NL", 19.95), ("GB", 24.90)])
async def test_shipping_is_free_in_some_countries(http: TestClient, country: str, total: float) -> None:
    response = await http.post("/orders", json={"sku": "teapot", "card": "4111"}, headers={"X-Country": country})

    assert (await response.json())["total"] == total


async def test_half_of_the_customers_may_pay_at_once(http: TestClient) -> None:
    responses = [
        await http.post("/cart", json={"sku": "lamp"}, headers={"X-User": user})
        for user in ("ada.lovelace", "donald.knuth")
    ]

    assert [(await response.json())["express"] for response in responses] == [True, False]


async def test_staff_see_why(http: TestClient) -> None:
    response = await http.get("/why/sale?user=grace.hopper", headers={"X-Email": "eve@shop.example"})

    assert "rule first the regulars" in await response.text()


async def test_customers_do_not_see_why_and_their_address_stays_here(
    http: TestClient, client: Client, vendors: DevServer
) -> None:
    response = await http.get("/why/sale?user=grace.hopper", headers={"X-Email": "ada@example.com"})

    assert response.status == 404
    assert await exposed(client, vendors) == [("staff_tools", "default")]
    assert "ada@example.com" not in str([request.json for request in vendors.requests])


async def test_a_browser_starts_from_what_the_shop_knows(http: TestClient) -> None:
    body = await (await http.get("/bootstrap")).json()

    assert (body["has_updates"], len(body["feature_gates"])) == (True, 6)


async def test_the_shop_is_open_without_rules() -> None:
    client = aiohttp_shop.make_client([Statsig("secret-key", offline=True)])
    async with TestClient(TestServer(aiohttp_shop.create_app(client))) as http:
        response = await http.get("/products/lamp", headers={"X-User": "ada.lovelace"})

        assert await response.json() == {"sku": "lamp", "price": 39.0, "button": "Buy", "group": None}


async def test_the_health_page_counts_what_is_delivered(http: TestClient, client: Client) -> None:
    await http.get("/")
    await client.flush()

    health = await (await http.get("/health")).json()

    assert health["state"] == "running"
    assert health["destinations"]["Statsig"]["counts"]["delivered"] == 1


@pytest.mark.parametrize("body", ["{", '{"color": "red"}', '{"sku": "unicorn"}'])
async def test_a_request_that_makes_no_sense_is_answered_400(http: TestClient, body: str) -> None:
    response = await http.post("/cart", data=body)

    assert response.status == 400


async def test_an_event_that_no_vendor_could_take_is_answered_400(http: TestClient) -> None:
    response = await http.post("/kiosk", json={"user_id": "grace.hopper"})

    assert (response.status, await response.text()) == (400, "`event_type` must be a name that is not blank, not None")


async def test_closing_the_shop_delivers_what_is_queued(http: TestClient, client: Client, vendors: DevServer) -> None:
    await http.get("/")

    await http.close()

    assert vendors.total("rudderstack") == 1
    assert client.health().state == "closed"


def test_the_shop_is_made_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RUDDERSTACK_WRITE_KEY", "AMPLITUDE_API_KEY", "STATSIG_SECRET_KEY"):
        monkeypatch.setenv(name, "secret-key")
    monkeypatch.setenv("RUDDERSTACK_URL", "https://plane.example.com")

    client = aiohttp_shop.init([])[CLIENT]

    assert repr(client) == "<Client new [RudderStack, Amplitude, Statsig]: 0 events pending>"


def test_a_missing_variable_is_named() -> None:
    with pytest.raises(KeyError, match="RUDDERSTACK_WRITE_KEY"):
        aiohttp_shop.destinations({})
