"""Lookups as `feature_flag.evaluation` events."""

from typing import Any

import pytest
from helpers import ADA, rule, ruleset, spec
from helpers import statsig_with_rules as statsig
from opentelemetry._logs import SeverityNumber
from opentelemetry.semconv._incubating.attributes import feature_flag_attributes as convention
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.trace import get_tracer

from asyncsdk import Client, User
from asyncsdk.integrations.opentelemetry import Evaluations
from integrations.opentelemetry.telemetry import Telemetry

BOB = User("bob")


async def test_a_gate_is_an_event_of_the_convention(telemetry: Telemetry) -> None:
    async with telemetry.of(Client(statsig(offline=True))) as client:
        await client.check_gate(ADA, "dutch")

    [record] = telemetry.records
    assert record.event_name == "feature_flag.evaluation"
    assert record.severity_number is SeverityNumber.INFO
    assert record.timestamp <= record.observed_timestamp
    assert dict(record.attributes) == {
        "feature_flag.key": "dutch",
        "feature_flag.provider.name": "Statsig",
        "feature_flag.result.variant": "nl",
        "feature_flag.result.value": True,
        "feature_flag.result.reason": "targeting_match",
        "feature_flag.version": "1000",
        "feature_flag.context.id": "ada-lovelace",
    }


async def test_attributes_have_the_names_of_the_convention(telemetry: Telemetry) -> None:
    odd = {"odd": spec("feature_gate", False, rule("r", True, "unknown condition"))}
    rules = statsig(offline=True).rules.__class__(bootstrap=ruleset(feature_gates=odd))
    settings = Evaluations(set_id="shop")
    async with telemetry.of(Client(statsig(offline=True, rules=rules)), evaluations=settings) as client:
        await client.check_gate(ADA, "odd")
        await client.get_experiment(ADA, "button")

    assert {name for event in telemetry.events for name in event} == {
        convention.FEATURE_FLAG_KEY,
        convention.FEATURE_FLAG_PROVIDER_NAME,
        convention.FEATURE_FLAG_RESULT_VARIANT,
        convention.FEATURE_FLAG_RESULT_VALUE,
        convention.FEATURE_FLAG_RESULT_REASON,
        convention.FEATURE_FLAG_VERSION,
        convention.FEATURE_FLAG_CONTEXT_ID,
        convention.FEATURE_FLAG_SET_ID,
        convention.FEATURE_FLAG_ERROR_MESSAGE,
        ERROR_TYPE,
    }


@pytest.mark.parametrize(
    ("verb", "user", "name", "expected"),
    [
        ("get_gate", ADA, "dutch", ("nl", "targeting_match")),
        ("get_gate", BOB, "dutch", ("default", "default")),
        ("get_gate", BOB, "open", ("all", "static")),
        ("get_config", ADA, "prices", ("nl", "targeting_match")),
        ("get_config", BOB, "prices", ("default", "default")),
        ("get_experiment", BOB, "button", ("Test", "split")),
        ("get_layer", BOB, "page", ("Test", "split")),
    ],
)
async def test_every_kind_of_lookup_has_its_variant_and_reason(
    telemetry: Telemetry, verb: str, user: User, name: str, expected: tuple[str, str]
) -> None:
    async with telemetry.of(Client(statsig(offline=True))) as client:
        await getattr(client, verb)(user, name)

    [event] = telemetry.events
    assert event["feature_flag.key"] == name
    assert (event["feature_flag.result.variant"], event["feature_flag.result.reason"]) == expected
    assert expected[1] in {value.value for value in convention.FeatureFlagResultReasonValues}
    assert "error.type" not in event


async def test_a_local_override_is_static(telemetry: Telemetry) -> None:
    async with telemetry.of(Client(statsig(offline=True))) as client:
        client.override_gate("dutch", True)
        await client.check_gate(BOB, "dutch")

    [event] = telemetry.events
    assert (event["feature_flag.result.reason"], event["feature_flag.result.variant"]) == ("static", "override")


async def test_an_unknown_name_is_an_error(telemetry: Telemetry) -> None:
    async with telemetry.of(Client(statsig(offline=True))) as client:
        await client.check_gate(ADA, "unknown gate")

    [event] = telemetry.events
    assert (event["feature_flag.result.reason"], event["error.type"]) == ("error", "flag_not_found")
    assert event["feature_flag.result.value"] is False
    assert "feature_flag.result.variant" not in event
    assert "feature_flag.error.message" not in event


async def test_a_lookup_before_there_are_rules_is_an_error(telemetry: Telemetry) -> None:
    await telemetry.of(Client(statsig(offline=True))).check_gate(ADA, "open")

    [event] = telemetry.events
    assert (event["feature_flag.result.reason"], event["error.type"]) == ("error", "provider_not_ready")
    assert "feature_flag.version" not in event


async def test_an_unknown_condition_is_an_error_with_a_message(telemetry: Telemetry) -> None:
    odd = {"odd": spec("feature_gate", False, rule("r", True, "unknown condition"))}
    rules = statsig(offline=True).rules.__class__(bootstrap=ruleset(feature_gates=odd))
    async with telemetry.of(Client(statsig(offline=True, rules=rules))) as client:
        await client.check_gate(ADA, "odd")

    [event] = telemetry.events
    assert event["error.type"] == "general"
    assert event["feature_flag.error.message"] == "Bootstrap:Unsupported"


async def test_an_event_belongs_to_the_current_span(telemetry: Telemetry) -> None:
    tracer = get_tracer("app", tracer_provider=telemetry.tracers)
    async with telemetry.of(Client(statsig(offline=True))) as client:
        with tracer.start_as_current_span("GET /cart") as span:
            await client.check_gate(ADA, "open")

    [record] = telemetry.records
    assert (record.trace_id, record.span_id) == (span.get_span_context().trace_id, span.get_span_context().span_id)


async def test_only_gates_have_values_by_default(telemetry: Telemetry) -> None:
    for values in (False, True):
        async with telemetry.of(Client(statsig(offline=True)), evaluations=Evaluations(values=values)) as client:
            await client.get_config(BOB, "prices")

    without, with_value = telemetry.events
    assert "feature_flag.result.value" not in without
    assert with_value["feature_flag.result.value"] == {"name": "Nothing"}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Evaluations(), "ada-lovelace"),
        (Evaluations(context_id=None), None),
        (Evaluations(context_id=lambda user: f"hash-of-{len(str(user.user_id))}"), "hash-of-12"),
        (Evaluations(context_id=lambda user: None), None),
    ],
)
async def test_the_application_chooses_the_context_id(
    telemetry: Telemetry, settings: Evaluations, expected: str | None
) -> None:
    async with telemetry.of(Client(statsig(offline=True)), evaluations=settings) as client:
        await client.check_gate(ADA, "open")

    assert telemetry.events[0].get("feature_flag.context.id") == expected


@pytest.mark.parametrize(("user", "expected"), [(User(7), "7"), (User(), None)])
async def test_a_users_id_is_text_or_left_out(telemetry: Telemetry, user: User, expected: Any) -> None:
    async with telemetry.of(Client(statsig(offline=True))) as client:
        await client.check_gate(user, "open")

    assert telemetry.events[0].get("feature_flag.context.id") == expected


async def test_the_application_can_name_the_project(telemetry: Telemetry) -> None:
    async with telemetry.of(Client(statsig(offline=True)), evaluations=Evaluations(set_id="shop/prod")) as client:
        await client.check_gate(ADA, "open")

    assert telemetry.events[0]["feature_flag.set.id"] == "shop/prod"


async def test_no_events_are_sent_if_disabled(telemetry: Telemetry) -> None:
    async with telemetry.of(Client(statsig(offline=True)), evaluations=None) as client:
        await client.check_gate(ADA, "open")

        assert client._is_direct
    assert not telemetry.records
