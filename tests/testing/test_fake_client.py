"""A fake client is a client: same verbs, same checks, same results; no network and no delay."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import orjson
import pytest

from asyncsdk import (
    Amplitude,
    Client,
    ClientClosedError,
    ConfigurationError,
    Flags,
    InvalidEventError,
    Rules,
    Statsig,
    Track,
    User,
    map_events,
)
from asyncsdk.stores import MemoryAssignments
from asyncsdk.testing import FakeClient, RulesBuilder
from asyncsdk.testing.strict import describe_rejected_events

PRICES = {"lamp": 39.0, "tags": ["new"]}


# --- lookups --------------------------------------------------------------------------------------------------


async def test_lookups_return_the_given_values() -> None:
    fake = FakeClient(
        gates={"open": True, "closed": False, "some": ["u1", 7]},
        configs={"prices": PRICES},
        experiments={"button": {"label": "Buy"}, "page": ("Control", {"title": "Home"})},
        layers={"home": {"rows": 3}},
    )

    assert isinstance(fake, Client)
    assert [await fake.check_gate("u1", name) for name in ("open", "closed", "some", "other")] == [
        True,
        False,
        True,
        False,
    ]
    assert [await fake.check_gate(user, "some") for user in ("7", "u2")] == [True, False]
    assert (await fake.get_config("u1", "prices")).value == PRICES
    button, page = [await fake.get_experiment("u1", name) for name in ("button", "page")]
    assert [(one.group, one.value) for one in (button, page)] == [
        ("Test", {"label": "Buy"}),
        ("Control", {"title": "Home"}),
    ]
    assert (await fake.get_layer("u1", "home")).get_number("rows") == 3


async def test_values_change_while_it_runs() -> None:
    fake = FakeClient(configs={"prices": {"lamp": 39.0}})

    fake.gates["sale"] = True
    assert await fake.check_gate("u1", "sale")
    fake.gates = {}
    assert not await fake.check_gate("u1", "sale")
    fake.configs["prices"]["lamp"] = 29.0  # nested, and in the test's own dict
    assert (await fake.get_config("u1", "prices")).get_number("lamp") == 29.0
    fake.gates["sale"] = {"u1", "u2"}  # a set, as a list
    assert await fake.check_gate("u2", "sale")
    fake.experiments |= {"button": {"label": "Buy"}}
    fake.layers.update(home={"rows": 3})
    assert (await fake.get_names()).experiments == ("button",)
    assert (await fake.get_all("u1")).layers["home"].value == {"rows": 3}


async def test_each_kind_can_be_set_to_a_dict() -> None:
    fake = FakeClient()
    fake.gates, fake.configs = {"sale": True}, {"prices": {"lamp": 1}}
    fake.experiments, fake.layers = {"button": {"label": "Buy"}}, {"home": {"rows": 3}}

    names = await fake.get_names()

    assert (names.gates, names.configs, names.experiments, names.layers) == (
        ("sale",),
        ("prices",),
        ("button",),
        ("home",),
    )
    assert fake.gates == {"sale": True}
    assert fake.gates | {"more": False} == {"sale": True, "more": False}
    assert repr(fake) == "<FakeClient running: 0 events, 0 exposures>"


async def test_a_changed_value_is_seen_although_it_compares_equal() -> None:
    fake = FakeClient(configs={"limits": {"on": 1}})
    assert (await fake.get_config("u1", "limits")).get_bool("on") is None

    fake.configs["limits"]["on"] = True

    assert (await fake.get_config("u1", "limits")).get_bool("on") is True


async def test_the_dicts_of_a_test_are_not_changed() -> None:
    gates = {"sale": True}
    fake = FakeClient(gates=gates)

    fake.gates["other"] = True

    assert gates == {"sale": True}


async def test_one_user_can_have_another_value() -> None:
    fake = FakeClient(gates={"sale": False}).override_gate("sale", True, user_id="u1")

    assert [await fake.check_gate(user, "sale") for user in ("u1", "u2")] == [True, False]
    assert (await fake.get_gate("u1", "sale")).details.reason == "LocalOverride:Recognized"
    fake.gates["other"] = True
    assert await fake.check_gate("u1", "sale")  # still overridden


async def test_unknown_names_have_fallbacks_and_are_listed_once() -> None:
    fake = FakeClient(gates={"sale": True})

    for _ in range(2):
        gate = await fake.get_gate("u1", "sael")
    assert (gate.value, gate.details.reason) == (False, "Bootstrap:Unrecognized")
    assert (await fake.get_config("u1", "prices")).get_number("lamp", 1.0) == 1.0
    assert fake.unknown_names == [("gate", "sael"), ("config", "prices")]


async def test_rules_decide_below_the_values() -> None:
    rules = RulesBuilder().gate("dutch", country="NL").gate("staging", environment="staging").gate("sale", False)
    for given in (rules, rules.build(), orjson.dumps(rules.build())):
        fake = FakeClient(Statsig("secret-any", environment="staging"), rules=given, gates={"sale": True})

        assert [await fake.check_gate(User("u1", country="NL"), name) for name in ("dutch", "staging", "sale")] == [
            True
        ] * 3
        assert not await fake.check_gate(User("u1", country="FR"), "dutch")


async def test_exposures_are_recorded_once_for_each_user_and_outcome() -> None:
    fake = FakeClient(gates={"sale": True}, layers={"home": {"rows": 3}})

    for user in ("u1", "u1", "u2"):
        await fake.check_gate(user, "sale")
    await fake.check_gate("u1", "hidden", exposure=False)
    (await fake.get_layer("u1", "home")).get_number("rows")
    fake.log_exposure("u1", "sale")

    seen = [(one.user.user_id, one.name, one.value, one.parameter, one.is_manual) for one in fake.exposures]
    assert seen == [
        ("u1", "sale", True, "", False),
        ("u2", "sale", True, "", False),
        ("u1", "home", {"rows": 3}, "rows", False),
        ("u1", "sale", True, "", True),
    ]
    fake.clear()
    await fake.check_gate("u1", "sale")
    assert [one.reason for one in fake.exposures] == ["Bootstrap:Recognized"]


async def test_a_client_without_exposures_records_none() -> None:
    fake = FakeClient(gates={"sale": True}, exposures=False)

    assert await fake.check_gate("u1", "sale")
    assert fake.exposures == []


async def test_evaluations_are_watched_and_explained() -> None:
    seen: list[str] = []
    fake = FakeClient(gates={"sale": ["u1"]}).on_evaluation(lambda _, result: seen.append(result.name))

    await fake.check_gate("u1", "sale")

    assert seen == ["sale"]
    assert "open" in fake.explain("u1", "sale").render()
    assert b"gate" in fake.bootstrap("u1")


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"gates": {"sale": "yes"}}, "'sale' is True, False or a list of user ids, not"),
    ({"gates": {"sale": ["u1", None]}}, "'sale' is True, False or a list of user ids, not"),
    ({"gates": ["sale"]}, "`gates` of a FakeClient is a mapping"),
    ({"gates": {"": True}}, "a name is text"),
    ({"configs": {"prices": 3}}, "'prices' is a mapping of parameters"),
    ({"configs": {"prices": {"lamp": object()}}}, "no form in JSON"),
    ({"experiments": {"button": (1, {})}}, "the group of 'button' is a name"),
    ({"experiments": {"button": "Test"}}, "'button' is a mapping of parameters"),
    ({"rules": b"{"}, "is not JSON"),
    ({"rules": {"feature_gates": []}}, "format v2"),
    ({"rules": 3}, "format v2"),
    ({"rules": {"has_updates": False}}, "has_updates"),
]


@pytest.mark.parametrize(("values", "text"), WRONG)
def test_a_value_that_cannot_be_one_raises_at_once(values: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        FakeClient(**values)


async def test_a_nested_value_that_cannot_be_one_raises_at_the_next_lookup() -> None:
    fake = FakeClient(configs={"prices": {}})
    fake.configs["prices"]["lamp"] = object()

    with pytest.raises(ConfigurationError, match="changed to one without a form in JSON"):
        await fake.check_gate("u1", "sale")


# --- events ---------------------------------------------------------------------------------------------------


async def test_events_are_delivered_at_once() -> None:
    delivered: list[str] = []
    fake = FakeClient(on_delivery=lambda _, delivery: delivered.append(delivery.status))

    receipt = await fake.track("u1", "Order Completed", {"sku": "A"})

    assert (await receipt)["RudderStack"].status == "delivered"
    assert delivered == ["delivered"]
    assert [event.name for event in fake.events if isinstance(event, Track)] == ["Order Completed"]
    assert fake.receipts == [receipt]
    assert (await fake.flush()).destinations["RudderStack"].delivered == 1


async def test_a_bad_event_raises_as_in_production() -> None:
    fake = FakeClient()

    with pytest.raises(InvalidEventError, match="`properties`"):
        await fake.track("u1", "Order Completed", "A")  # type: ignore[arg-type] # a mistake
    with pytest.raises(InvalidEventError, match="sku"):
        await fake.track("u1", "Order Completed", {"sku": object()})

    assert fake.events == fake.receipts == []


async def test_what_a_vendor_would_refuse_is_rejected() -> None:
    fake = FakeClient(Amplitude("any"))

    receipt = await fake.track("u1", "Order Completed")

    [(event, delivery)] = fake.rejected
    assert (event, delivery) == (receipt.event, receipt.deliveries["Amplitude"])
    assert (delivery.status, fake.events) == ("rejected", [])


async def test_with_reports_a_bad_event_is_rejected() -> None:
    fake = FakeClient(on_invalid="report")

    await fake.track("u1", "Order Completed", {"sku": object()})
    fake.put_nowait(3)  # type: ignore[arg-type] # a mistake

    assert [delivery.reason for _, delivery in fake.rejected] == ["invalid", "invalid"]
    assert describe_rejected_events(fake)[1] == "RudderStack rejected the event 'int': invalid"
    assert fake.events == []


async def test_a_fake_client_is_on_although_clients_are_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYNCSDK_ENABLED", "0")
    fake = FakeClient()

    await fake.track("u1", "Order Completed")

    fake.assert_tracked("Order Completed")


async def test_an_event_is_kept_as_it_was_sent() -> None:
    fake, cart = FakeClient(), {"items": ["A"]}
    fake.add_middleware(map_events(lambda event: event))

    await fake.track("u1", "Order Completed", cart)
    await fake.alias("old", "u1")
    cart["items"].append("B")

    fake.assert_tracked("Order Completed", items=["A"])
    fake.assert_tracked("alias", user="u1")


async def test_settings_of_production_that_need_a_disk_are_not_used(tmp_path: Path) -> None:
    rules = Rules(assignments=MemoryAssignments())
    fake = FakeClient(Statsig("secret-any", rules=rules), spool=tmp_path, gates={"sale": True})

    await fake.track("u1", "Order Completed")

    assert not await fake.load_assignments("u1")
    assert await fake.refresh_rules()
    assert list(tmp_path.iterdir()) == []


async def test_many_events_do_not_wait_for_their_turn() -> None:
    fake = FakeClient()

    for number in range(1_000):
        await fake.track("u1", f"Event {number}")

    assert len(fake.events) == 1_000


def test_it_works_without_a_loop_and_in_threads() -> None:
    with FakeClient(gates={"sale": True}) as fake:
        flags = fake.bind("u1")
        threads = [threading.Thread(target=flags.track, args=(f"Event {number}",)) for number in range(8)]
        assert flags.check_gate("sale")
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        fake.put_nowait(Track("u1", "Last"))

    assert len(fake.events) == 9
    fake.assert_tracked("Event 3", feature_flags={"sale": True})
    with pytest.raises(ClientClosedError, match="is closed"):
        fake.put_nowait(Track("u1", "Too late"))


def test_it_works_on_one_loop_after_another() -> None:
    fake = FakeClient(gates={"sale": True})

    async def use() -> bool:
        async with asyncio.timeout(5):
            assert (await fake.start()).ready
            await fake.track("u1", "Order Completed")
            return await fake.check_gate("u1", "sale")

    assert asyncio.run(use())
    assert asyncio.run(use())
    assert len(fake.events) == 2


async def test_it_is_a_context_manager_that_closes() -> None:
    async with FakeClient() as fake:
        assert fake.health().state == "running"
        await fake.track("u1", "Order Completed")

    assert fake.health().state == "closed"
    assert (await fake.aclose()).destinations["RudderStack"].accepted == 1
    for verb in (fake.start(), fake.track("u1", "Too late")):
        with pytest.raises(ClientClosedError):
            await verb
    fake.assert_tracked("Order Completed")


async def test_an_event_tracked_by_a_delivery_is_recorded_too() -> None:
    def again(_: str, __: object) -> None:
        if len(fake.events) == 1:
            fake.put_nowait(Track("u1", "Delivered"))

    fake = FakeClient(on_delivery=again)
    await fake.track("u1", "Order Completed")

    assert [event.name for event in fake.events if isinstance(event, Track)] == ["Order Completed", "Delivered"]


async def test_waiting_ends_with_the_event_of_a_background_task() -> None:
    fake = FakeClient()
    waiting = asyncio.create_task(fake.wait_for("Order Completed", user="u1", sku="A"))
    await asyncio.sleep(0)
    await fake.track("u1", "Cart Viewed")
    await asyncio.to_thread(fake.put_nowait, Track("u1", "Order Completed", {"sku": "A"}))

    assert (await waiting) is fake.events[1]
    assert await fake.wait_for("Cart Viewed") is fake.events[0]


async def test_waiting_in_vain_shows_the_nearest_event() -> None:
    fake = FakeClient()
    await fake.track("u1", "Order Completed", {"sku": "B"})

    with pytest.raises(AssertionError, match="sku: expected 'A', was 'B'"):
        await fake.wait_for("Order Completed", sku="A", within=0.01)

    assert fake._waiters == []


def test_flags_of_a_fake_client_are_flags() -> None:
    assert isinstance(FakeClient().bind("u1"), Flags)
