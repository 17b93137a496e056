"""Flags: lookups of one user under one ruleset."""

from dataclasses import dataclass

import pytest
from helpers import ADA, rule, ruleset, spec
from helpers import statsig_with_rules as statsig

from asyncsdk import Client, InvalidEventError, User
from asyncsdk._rules.loading import load_now
from asyncsdk.dev import DevServer


async def test_flags_do_not_change_when_the_rules_do() -> None:
    async with Client(statsig(offline=True)) as client:
        flags = client.bind(ADA)
        assert flags.check_gate("open")
        closed = ruleset(
            time=2000, feature_gates={"open": spec("feature_gate", False, rule("all", False, "everybody"))}
        )
        client._holder.rules = load_now(closed, client._holder.rules.shared_context)  # type: ignore[assignment] # it is not None

        assert flags.check_gate("open") is True
        assert flags.get_gate("dutch").value is True
        assert client.bind(ADA).check_gate("open") is False


async def test_each_name_is_evaluated_once() -> None:
    async with Client(statsig(offline=True)) as client:
        flags = client.bind(ADA)

        assert flags.get_config("prices") is flags.get_config("prices")
        assert flags.get_experiment("button") is flags.get_experiment("button")
        assert flags.get_layer("page") is flags.get_layer("page")
        assert flags.get_parameter_store("store") is flags.get_parameter_store("store")


async def test_a_gate_and_a_config_of_the_same_name_are_kept_apart() -> None:
    async with Client(statsig(offline=True)) as client:
        flags = client.bind(ADA)
        assert flags.check_gate("open")
        flags.get_config("open")  # unknown as a config, and listed in `accessed` under the same name

        assert flags.check_gate("open") is True
        assert flags.accessed == {"open": True}


async def test_accessed_lists_what_was_read() -> None:
    async with Client(statsig(offline=True)) as client:
        flags = client.bind("bob")
        flags.check_gate("open")
        flags.check_gate("dutch")
        flags.get_config("prices")
        flags.get_experiment("button")
        flags.get_layer("page")

        assert flags.accessed == {"open": True, "dutch": False, "prices": "default", "button": "Test", "page": "Test"}


async def test_events_tracked_with_flags_carry_what_was_read() -> None:
    async with DevServer() as server:
        async with Client(statsig(server)) as client:
            flags = client.bind(ADA)
            flags.track("before")
            flags.check_gate("open", exposure=False)
            flags.track("after", {"price": 5})
        events = {event.name: event.body for event in server.accepted("statsig")}

    assert "metadata" not in events["before"]
    assert events["after"]["metadata"] == {"feature_flags": {"open": True}, "price": 5}


async def test_properties_that_are_no_mapping_are_refused_with_what_was_read_as_without() -> None:
    async with Client(statsig(offline=True)) as client:
        flags = client.bind(ADA)
        for _ in range(2):
            with pytest.raises(InvalidEventError, match="properties"):
                flags.track("a", 5)  # type: ignore[arg-type] # the mistake under test
            flags.check_gate("open")


async def test_flags_of_a_user_without_id_cannot_track() -> None:
    async with Client(statsig(offline=True)) as client:
        with pytest.raises(InvalidEventError):
            client.bind(User()).track("a")


async def test_kinds_of_lists_the_kinds_of_a_name() -> None:
    async with Client(statsig(offline=True)) as client:
        client.override_gate("prices", True).override_layer("new", {})
        flags = client.bind(ADA)

        assert flags.kinds_of("open") == ("gate",)
        assert flags.kinds_of("prices") == ("config", "gate")
        assert flags.kinds_of("button") == ("experiment",)
        assert flags.kinds_of("page") == flags.kinds_of("new") == ("layer",)
        assert flags.kinds_of("unknown") == ()
        assert flags.accessed == {}


@dataclass
class Order:
    sku: str


async def test_a_model_carries_what_was_read_too(server: DevServer) -> None:
    async with Client(statsig(server)) as client:
        flags = client.bind(ADA)
        flags.check_gate("open", exposure=False)
        receipt = flags.track("a", Order("lamp"))

    assert receipt.event.properties == {"feature_flags": {"open": True}, "sku": "lamp"}  # type: ignore[union-attr] # a Track
