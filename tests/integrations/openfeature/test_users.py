"""The user of a context: ids of any kind count as their text, Statsig's form is read, and mistakes are named."""

import logging
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from helpers import rule
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason
from openfeature.track import TrackingEventDetails

from asyncsdk import Client, User
from asyncsdk.dev import DevServer
from asyncsdk.integrations.openfeature import user_of
from integrations.openfeature.providers import gate, ruleset

BIG = 800356270543470622  # beyond 2^53
SPLITS = ruleset(
    2000,
    feature_gates={
        name: gate(rule("half", True, "everybody", passPercentage=50, idType=name), idType=name)
        for name in ("userID", "stableID", "companyID")
    },
)


def numpy_number(n: int) -> Any:
    return pytest.importorskip("numpy").int64(BIG + n)


IDS: Any = {
    "UUID": lambda n: UUID(int=n),
    "beyond 2^53": lambda n: BIG + n,
    "beyond 2^64": lambda n: BIG**2 + n,
    "number of numpy": numpy_number,
    "surrogate": lambda n: f"caf\udce9-{n}",
}
PLACES: Any = {
    "targeting key": ("userID", EvaluationContext),
    "userID": ("userID", lambda unit: EvaluationContext(None, {"userID": unit})),
    "deviceId": ("stableID", lambda unit: EvaluationContext("ada", {"deviceId": unit})),
    "anonymous_id": ("stableID", lambda unit: EvaluationContext(None, {"anonymous_id": unit})),
    "customIDs": ("companyID", lambda unit: EvaluationContext("ada", {"customIDs": {"companyID": unit}})),
}


@pytest.mark.parametrize("place", PLACES)
async def test_a_split_is_by_the_text_of_the_id(
    flags: OpenFeatureClient, client: Client, server: DevServer, place: str
) -> None:
    id_type, context = PLACES[place]
    server.set_ruleset(SPLITS)
    await client.refresh_rules()

    for kind in IDS.values():
        ids = [kind(n) for n in range(40)]
        found = [flags.get_boolean_value(id_type, False, context(unit)) for unit in ids]
        texts = [str(unit).replace("\udce9", "\ufffd") for unit in ids]
        assert found == [flags.get_boolean_value(id_type, False, context(text)) for text in texts]
        assert set(found) == {True, False}


@pytest.mark.parametrize("unit", [UUID(int=7), BIG, "caf\udce9"])
async def test_an_exposure_and_an_event_have_the_text_of_the_id(
    flags: OpenFeatureClient, client: Client, server: DevServer, unit: Any
) -> None:
    context = EvaluationContext(unit, {"customIDs": {"companyID": unit}, "ref": unit})
    flags.get_boolean_value("open", False, context)
    flags.track("Viewed", context, TrackingEventDetails(1.0))
    await client.flush()

    text = str(unit).replace("\udce9", "\ufffd")
    bodies = [event.body["user"] for event in server.accepted("statsig")]
    assert [(one["userID"], one["customIDs"]["companyID"]) for one in bodies] == [(text, text)] * 2


async def test_attributes_in_statsigs_form_are_that_user() -> None:
    fields: Any = {
        "userID": UUID(int=7), "email": "a@b.c", "ip": "192.0.2.1", "userAgent": "x", "country": "NL", "locale": "nl",
        "appVersion": "1.2", "custom": {"plan": "pro"}, "customIDs": {"companyID": BIG}, "privateAttributes": {"p": 1},
        "statsigEnvironment": {"tier": "staging"},
    }  # fmt: skip

    assert user_of(EvaluationContext(None, fields)) == User.of(fields)
    assert user_of(EvaluationContext("u", {"clientVersion": "2"})) == User("u", app_version="2")
    both: Any = {"custom": {"plan": "free", "x": 1}, "plan": "pro"}
    assert user_of(EvaluationContext("u", both)) == User("u", custom={"plan": "pro", "x": 1})


NOT_USERS: Any = {
    "a float": EvaluationContext(1.5),  # type: ignore[arg-type] # the mistake under test, as the next ones
    "a bool": EvaluationContext(True),  # type: ignore[arg-type]
    "bytes": EvaluationContext(b"ada"),  # type: ignore[arg-type]
    "a list": EvaluationContext(["ada"]),  # type: ignore[arg-type]
    "a bool as attribute": EvaluationContext(None, {"userID": True}),
    "a decimal": EvaluationContext(None, {"anonymousId": Decimal(1)}),  # type: ignore[dict-item]
    "a list as custom id": EvaluationContext("ada", {"customIDs": {"companyID": ["c7"]}}),
    "text for custom fields": EvaluationContext("ada", {"custom": "pro"}),
    "text for an environment": EvaluationContext("ada", {"statsigEnvironment": "staging"}),
}


@pytest.mark.parametrize("mistake", NOT_USERS)
async def test_a_context_that_is_no_user_gives_the_default_and_says_so(flags: OpenFeatureClient, mistake: str) -> None:
    for key in ("open", "dutch", "half", "button", "layer:page.title"):
        get: Any = flags.get_string_details if key.startswith("layer") else flags.get_boolean_details
        found = get(key, "mine", NOT_USERS[mistake])
        assert (found.value, found.reason, found.error_code) == ("mine", Reason.ERROR, ErrorCode.INVALID_CONTEXT)
        assert found.variant is None


async def test_the_log_names_the_field_that_makes_a_context_no_user(
    flags: OpenFeatureClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            flags.get_boolean_value("open", False, NOT_USERS["a list as custom id"])

    [message] = [record.message for record in caplog.records if "InvalidUser" in record.message]
    assert "`user.custom_ids['companyID']` must be text or a whole number, not list" in message


async def test_an_attribute_without_json_spoils_only_the_flags_that_read_it(flags: OpenFeatureClient) -> None:
    found = flags.get_boolean_details("dutch", False, EvaluationContext("ada", {"country": "NL", "x": object()}))  # type: ignore[dict-item] # the mistake under test

    assert (found.value, found.error_code) == (True, None)


@pytest.mark.parametrize("key", ["\ud800", "prices.\ud800", "layer:\ud800"])
async def test_a_key_with_a_lone_surrogate_is_not_found(flags: OpenFeatureClient, key: str) -> None:
    found = flags.get_string_details(key, "mine", EvaluationContext("ada"))

    assert (found.value, found.error_code) == ("mine", ErrorCode.FLAG_NOT_FOUND)
