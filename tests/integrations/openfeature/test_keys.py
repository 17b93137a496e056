"""The flags that keys name, and the exposures of resolving them."""

from typing import Any

import pytest
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from asyncsdk import Client, LookupResult, User
from asyncsdk.dev import DevServer
from integrations.openfeature.providers import EventRecorder, gate, ruleset

ADA = EvaluationContext("ada", {"country": "NL", "custom_ids": {"companyID": "c7"}})
ASKS: dict[type, str] = {bool: "boolean", str: "string", int: "integer", float: "float", dict: "object", list: "object"}


def details(flags: OpenFeatureClient, key: str, default: Any, context: EvaluationContext = ADA) -> Any:
    return getattr(flags, f"get_{ASKS[type(default)]}_details")(key, default, context)


@pytest.mark.parametrize(
    ("key", "default", "value"),
    [
        ("open", False, True),
        ("gate:open", False, True),
        ("prices.name", "", "Kaas"),
        ("config:prices.name", "", "Kaas"),
        ("prices.price", 0.0, 9.5),
        ("prices.count", 0, 10),
        ("prices.count", 0.0, 10.0),
        ("prices.on", False, True),
        ("prices.box", {}, {"w": [1]}),
        ("single", "", "hi"),
        ("button", 0, 3),
        ("button.color", "", "green"),
        ("experiment:button.color", "", "green"),
        ("layer:page.title", "", "Home"),
        ("layer:page.n", 0, 1),
        ("layer:page", {}, {"title": "Home", "n": 1}),
        ("a.b.c", "", "of a.b"),
        ("a.b", False, True),
        ("a.b", {}, {"c": "of a.b"}),
        ("shared", False, True),
        ("shared", "", "config"),
        ("config:shared.x", False, True),
        ("shared.x", False, True),
    ],
)
async def test_a_key_names_a_value(flags: OpenFeatureClient, key: str, default: Any, value: Any) -> None:
    found = details(flags, key, default)

    assert (found.value, found.error_code) == (value, None)
    assert type(found.value) is type(value)


async def test_a_whole_config_is_an_object(flags: OpenFeatureClient) -> None:
    whole = {"name": "Kaas", "price": 9.5, "count": 10, "on": True, "box": {"w": [1]}, "none": None}

    assert flags.get_object_value("prices", {}, ADA) == whole


@pytest.mark.parametrize(
    "key",
    ["unknown", "unknown.name", "prices.unknown", "prices.none", "page", "layer:prices", "config:button", "open.x", "gate:", "a:b", ""],
)  # fmt: skip
async def test_an_unknown_key_is_not_found(flags: OpenFeatureClient, key: str) -> None:
    found = details(flags, key, "default")

    assert (found.value, found.reason, found.error_code) == ("default", Reason.ERROR, ErrorCode.FLAG_NOT_FOUND)
    assert found.error_message == f"flag {key} not found"


async def test_the_async_methods_do_the_same(flags: OpenFeatureClient) -> None:
    assert await flags.get_boolean_value_async("dutch", False, ADA)
    assert await flags.get_string_value_async("prices.name", "", ADA) == "Kaas"
    assert await flags.get_integer_value_async("prices.count", 0, ADA) == 10
    assert await flags.get_float_value_async("prices.price", 0.0, ADA) == 9.5
    assert await flags.get_object_value_async("prices.box", {}, ADA) == {"w": [1]}
    assert await flags.get_object_value_async("unknown", [1], ADA) == [1]


async def test_a_resolved_flag_is_an_exposure(flags: OpenFeatureClient, client: Client, server: DevServer) -> None:
    for key in ("dutch", "gate:dutch", "unknown"):
        flags.get_boolean_value(key, False, ADA)
    for key in ("prices.name", "prices.name", "button.color", "layer:page.title"):
        flags.get_string_value(key, "", ADA)
    await client.flush()

    assert [(event.kind, event.name) for event in server.accepted("statsig")] == [
        ("gate_exposure", "dutch"),
        ("config_exposure", "prices"),
        ("config_exposure", "button"),
        ("layer_exposure", "page"),
    ]


async def test_a_flag_is_evaluated_once(flags: OpenFeatureClient, client: Client) -> None:
    results: list[tuple[User, LookupResult]] = []
    client.on_evaluation(lambda user, result: results.append((user, result)))

    flags.get_string_value("a.b.c", "", ADA)

    assert [(user.user_id, result.name) for user, result in results] == [("ada", "a.b")]


async def test_overrides_are_used(flags: OpenFeatureClient, client: Client) -> None:
    client.override_gate("new", True).override_config("button", {"color": "pink"}).override_layer("page", {"n": 5})

    assert flags.get_boolean_value("new", False, ADA)
    assert flags.get_string_value("button.color", "", ADA) == "pink"
    assert flags.get_integer_value("layer:page.n", 0, ADA) == 5


async def test_an_override_for_another_user_is_not_found(flags: OpenFeatureClient, client: Client) -> None:
    client.override_gate("new", True, user_id="bob")

    assert details(flags, "new", False).error_code is ErrorCode.FLAG_NOT_FOUND


async def test_a_key_follows_the_rules(flags: OpenFeatureClient, server: DevServer) -> None:
    recorder = EventRecorder(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED)
    assert flags.get_string_value("prices.name", "", ADA) == "Kaas"

    server.set_ruleset(ruleset(time=2000, feature_gates={"prices.name": gate()}, dynamic_configs={}))
    await recorder.next()

    assert details(flags, "prices.name", "").error_code is ErrorCode.TYPE_MISMATCH
