"""What an assertion about tracked events accepts, and what it shows when it fails."""

from unittest import mock

import pytest

from asyncsdk import Revenue, User
from asyncsdk.testing import FakeClient


@pytest.fixture
async def fake() -> FakeClient:
    fake = FakeClient()
    user = User("u1", anonymous_id="visitor-1")
    await fake.track(user, "Order Completed", {"sku": "A", "price": 0.3, "gift": True})
    await fake.track("u2", "Order Cancelled", {"sku": "A"})
    await fake.page("u1", "Pizza", {"url": "https://dominos.com"})
    await fake.page("u1", None)
    await fake.identify("u1", {"plan": "pro"})
    await fake.group("u1", "company", {"name": "Tea & Co"})
    await fake.log_event("u1", "add_to_cart", 19.99, {"sku": "A"})
    await fake.log_event({"event_type": "Shop Opened", "user_id": "u1", "event_properties": {"city": "Delft"}})
    await fake.track("u1", Revenue(4.99))
    return fake


def test_every_verb_can_be_asserted(fake: FakeClient) -> None:
    fake.assert_tracked("Order Completed", sku="A", price=pytest.approx(0.1 + 0.2))
    fake.assert_tracked("Pizza", url=mock.ANY)
    fake.assert_tracked("page")
    fake.assert_tracked("identify", plan="pro")
    fake.assert_tracked("group", name="Tea & Co")
    fake.assert_tracked("add_to_cart", value=19.99, sku="A")
    fake.assert_tracked("Shop Opened", city="Delft")
    fake.assert_tracked("revenue_amount")


@pytest.mark.parametrize("user", ["u1", "visitor-1", User("u1"), User(anonymous_id="visitor-1")])
def test_any_id_of_a_user_names_it(fake: FakeClient, user: str | User) -> None:
    assert fake.assert_tracked("Order Completed", user=user) is fake.events[0]


def test_properties_with_other_names_are_given_as_a_mapping(fake: FakeClient) -> None:
    assert len(fake.tracked("Order Completed", {"sku": "A"}, gift=True)) == 1
    assert fake.tracked("Order Completed", {"user": "u1"}) == []


def test_true_is_not_one(fake: FakeClient) -> None:
    assert fake.tracked("Order Completed", gift=1) == []
    assert len(fake.tracked("Order Completed", gift=True)) == 1


def test_a_failure_shows_the_nearest_events_field_by_field(fake: FakeClient) -> None:
    with pytest.raises(AssertionError) as error:
        fake.assert_tracked("Order Completed", user="u2", sku="B", price=0.3, colour="red")

    assert str(error.value).splitlines()[:6] == [
        "no event 'Order Completed' of user 'u2' with sku='B', price=0.3, colour='red' was tracked; the nearest of 9:",
        "  track 'Order Completed' of user 'u1'",
        "    user: expected user 'u2', was user 'u1'",
        "    sku: expected 'B', was 'A'",
        "    colour: expected 'red', was missing",
        "  track 'Order Cancelled' of user 'u2'",
    ]


def test_a_misspelt_name_shows_the_event_that_was_meant(fake: FakeClient) -> None:
    with pytest.raises(AssertionError, match="name: expected 'Order Complete', was 'Order Completed'"):
        fake.assert_tracked("Order Complete", sku="A")


def test_without_any_event_a_failure_says_so() -> None:
    with pytest.raises(AssertionError, match="no event 'Order Completed' was tracked: none was tracked at all"):
        FakeClient().assert_tracked("Order Completed")


def test_a_long_value_is_shortened(fake: FakeClient) -> None:
    with pytest.raises(AssertionError) as error:
        fake.assert_tracked("Order Completed", sku="x" * 1_000)

    assert len(str(error.value)) < 1_500


def test_an_event_that_should_not_be_there_is_shown(fake: FakeClient) -> None:
    fake.assert_not_tracked("Order Completed", user="u2")

    with pytest.raises(AssertionError, match=r"1 of 9 events should not have been tracked.*Track"):
        fake.assert_not_tracked("Order Completed", sku="A")
