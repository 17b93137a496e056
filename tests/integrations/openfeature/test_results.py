"""The details of a resolved flag besides its value: reason, variant, metadata, errors."""

import gc
from collections.abc import Callable
from typing import Any

import pytest
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from asyncsdk import Amplitude, Client, ConfigurationError, Flags, Rules, Statsig
from asyncsdk.integrations.openfeature import AsyncSDKProvider
from integrations.openfeature.providers import ruleset

ADA = EvaluationContext("ada", {"country": "NL", "customIDs": {"companyID": "c7"}})
BOB = EvaluationContext("bob", {"customIDs": {"companyid": "c8"}})
ANONYMOUS = EvaluationContext()


@pytest.mark.parametrize(
    ("key", "context", "reason", "variant"),
    [
        ("open", ADA, Reason.STATIC, "all"),
        ("dutch", ADA, Reason.TARGETING_MATCH, "Dutch"),
        ("dutch", BOB, Reason.DEFAULT, "default"),
        ("half", BOB, Reason.SPLIT, "half"),
        ("off", BOB, Reason.DISABLED, "disabled"),
        ("prices", ADA, Reason.TARGETING_MATCH, "nl"),
        ("button", ADA, Reason.SPLIT, "Test"),
        ("button", BOB, Reason.SPLIT, "Test"),
        ("layer:page", BOB, Reason.STATIC, "all"),
    ],
)
async def test_a_flag_has_a_reason_and_a_variant(
    flags: OpenFeatureClient, key: str, context: Any, reason: Reason, variant: str
) -> None:
    resolve: Callable[..., Any] = (
        flags.get_object_details if key in ("prices", "layer:page") else flags.get_boolean_details
    )
    resolve = flags.get_integer_details if key == "button" else resolve
    default: Any = {"boolean": False, "integer": 0, "object": {}}[resolve.__name__.split("_")[1]]

    found = resolve(key, default, context)

    assert (found.reason, found.variant, found.error_code) == (reason, variant, None)


async def test_a_disabled_gate_is_closed_and_a_disabled_config_leaves_the_default(flags: OpenFeatureClient) -> None:
    gate, config = flags.get_boolean_details("off", True, BOB), flags.get_string_details("off.name", "mine", BOB)

    assert (gate.value, gate.reason) == (False, Reason.DISABLED)
    assert (config.value, config.reason, config.variant, config.error_code) == ("mine", Reason.DISABLED, None, None)


async def test_a_flag_has_metadata(flags: OpenFeatureClient) -> None:
    assert flags.get_boolean_details("dutch", False, ADA).flag_metadata == {
        "kind": "gate",
        "ruleId": "nl",
        "group": "Dutch",
        "idType": "userID",
        "version": 3,
        "rulesetTime": 1000,
        "cause": "targeting_match",
    }


async def test_an_override_has_its_own_variant(flags: OpenFeatureClient, client: Client) -> None:
    client.override_gate("open", False)

    found = flags.get_boolean_details("open", True, ADA)

    assert (found.value, found.reason, found.variant) == (False, Reason.STATIC, "override")


@pytest.mark.parametrize(
    ("key", "context", "wants"), [("half", ANONYMOUS, "userID"), ("button", EvaluationContext("ada"), "companyID")]
)
async def test_a_split_needs_its_id(flags: OpenFeatureClient, key: str, context: EvaluationContext, wants: str) -> None:
    found = flags.get_boolean_details(key, False, context)

    assert (found.value, found.error_code) == (False, ErrorCode.TARGETING_KEY_MISSING)
    assert found.error_message == f"{key} is split by {wants}, which the context does not have"


async def test_other_rules_need_no_targeting_key(flags: OpenFeatureClient) -> None:
    assert flags.get_boolean_value("open", False)
    assert flags.get_boolean_value("dutch", False, EvaluationContext(None, {"country": "NL"}))


async def test_rules_of_an_unknown_kind_are_an_error(flags: OpenFeatureClient) -> None:
    found = flags.get_boolean_details("odd", True, ADA)

    assert (found.value, found.reason, found.error_code) == (True, Reason.ERROR, ErrorCode.PARSE_ERROR)


@pytest.mark.parametrize(
    ("key", "kind", "default"),
    [
        ("open", "string", ""),
        ("open", "integer", 0),
        ("open", "float", 0.5),
        ("open", "object", {}),
        ("prices.price", "integer", 0),
        ("prices.price", "boolean", False),
        ("prices.price", "string", ""),
        ("prices.on", "integer", 0),
        ("prices.on", "float", 0.5),
        ("prices.count", "string", ""),
        ("prices.count", "boolean", False),
        ("prices.name", "boolean", False),
        ("prices.name", "integer", 0),
        ("prices.name", "float", 0.5),
        ("prices.name", "object", {}),
        ("prices", "string", ""),
    ],
)
async def test_a_value_of_another_type_is_a_mismatch(
    flags: OpenFeatureClient, key: str, kind: str, default: Any
) -> None:
    found = getattr(flags, f"get_{kind}_details")(key, default, ADA)

    assert (found.value, found.error_code, found.variant) == (default, ErrorCode.TYPE_MISMATCH, None)


@pytest.mark.parametrize(
    ("value", "kind", "converted"),
    [
        (2**53, "float", 2.0**53),
        (2**53 + 1, "float", None),
        (2**53 + 1, "integer", 2**53 + 1),
        (-0.0, "integer", 0),
        (1e15, "integer", 10**15),
        (1.5, "integer", None),
    ],
)
async def test_numbers_are_converted_only_without_loss(
    flags: OpenFeatureClient, client: Client, value: float, kind: str, converted: Any
) -> None:
    client.override_config("number", {"value": value})

    found = getattr(flags, f"get_{kind}_details")("number", -1, ADA)

    assert found.value == (-1 if converted is None else converted)
    assert (found.error_code is ErrorCode.TYPE_MISMATCH) is (converted is None)


async def test_a_value_is_a_copy(flags: OpenFeatureClient) -> None:
    box = flags.get_object_value("prices.box", {}, ADA)
    assert isinstance(box, dict)
    box["w"] = "mine"

    assert flags.get_object_value("prices.box", {}, ADA) == {"w": [1]}


async def test_resolving_leaves_no_cycles_to_the_garbage_collector(flags: OpenFeatureClient) -> None:
    def bound() -> int:
        return sum(type(thing) is Flags for thing in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = bound()
        for key in ("open", "prices.name", "unknown", "half"):
            flags.get_boolean_value(key, False)
        assert bound() == before
    finally:
        gc.enable()


async def test_a_client_without_a_source_of_rules_raises() -> None:
    for client in (Client(Amplitude("key")), Client(Statsig("secret-key", rules=None))):
        with pytest.raises(ConfigurationError, match="a client with rules"):
            AsyncSDKProvider(client)


async def test_bootstrap_rules_need_no_network(
    provide: Callable[[AsyncSDKProvider], OpenFeatureClient],
) -> None:
    rules = Rules(bootstrap=ruleset())
    async with Client(Statsig("secret-key", rules=rules, offline=True)) as client:
        assert provide(AsyncSDKProvider(client)).get_boolean_value("open", False)
