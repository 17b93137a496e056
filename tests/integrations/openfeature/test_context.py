"""Evaluation contexts are converted to users."""

import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode, InvalidContextError

from asyncsdk import Client, User
from asyncsdk.dev import DevServer
from asyncsdk.integrations.openfeature import user_of

NOON = datetime(2026, 9, 20, 12, tzinfo=UTC)
NULL: Any = {"email": None}
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.datetimes(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
names = st.sampled_from(["email", "customIDs", "user_id", "appVersion", "privateAttributes", "plan"])


@pytest.mark.parametrize(
    ("context", "user"),
    [
        (None, User()),
        (EvaluationContext(), User()),
        (EvaluationContext("ada"), User("ada")),
        (EvaluationContext("", {"userID": "ada"}), User("ada")),
        (EvaluationContext("ada", {"user_id": "eve", "userId": 7}), User("ada")),
        (EvaluationContext("ada", {"email": "a@b.c", "ip": "192.0.2.1"}), User("ada", email="a@b.c", ip="192.0.2.1")),
        (EvaluationContext("ada", {"country": "NL", "locale": "nl-NL"}), User("ada", country="NL", locale="nl-NL")),
        (EvaluationContext(None, {"app_version": "1.2", "userAgent": "x"}), User(app_version="1.2", user_agent="x")),
        (EvaluationContext(None, {"appVersion": "1.2", "user_agent": "x"}), User(app_version="1.2", user_agent="x")),
        (EvaluationContext(None, {"anonymousId": "a-1", "device_id": 5}), User(anonymous_id="a-1", device_id=5)),
        (EvaluationContext("ada", {"customIDs": {"companyID": "c7"}}), User("ada", custom_ids={"companyID": "c7"})),
        (EvaluationContext("ada", {"privateAttributes": {"ssn": 1}}), User("ada", private_attributes={"ssn": 1})),
        (EvaluationContext("ada", {"plan": "pro", "tags": ["a"]}), User("ada", custom={"plan": "pro", "tags": ["a"]})),
        (EvaluationContext("ada", {"Email": "a@b.c"}), User("ada", custom={"Email": "a@b.c"})),
        (EvaluationContext("ada", NULL), User("ada")),
        (EvaluationContext("ada", {"born": NOON}), User("ada", custom={"born": 1_789_905_600_000})),
        (EvaluationContext("ada", {"born": NOON.replace(tzinfo=None)}), User("ada", custom={"born": 1_789_905_600_000})),
        (EvaluationContext("ada", {"born": NOON.astimezone(timezone(timedelta(hours=2)))}), User("ada", custom={"born": 1_789_905_600_000})),
    ],
)  # fmt: skip
def test_a_context_is_a_user(context: EvaluationContext | None, user: User) -> None:
    assert user_of(context) == user


def test_a_datetime_without_a_zone_is_utc_in_any_local_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        user = user_of(EvaluationContext("ada", {"born": NOON.replace(tzinfo=None)}))
    time.tzset()

    assert user.custom == {"born": 1_789_905_600_000}


@pytest.mark.parametrize(
    ("name", "value"), [("email", 5), ("appVersion", 1.2), ("customIDs", "c7"), ("private_attributes", [1]), ("userId", 1.5)]
)  # fmt: skip
def test_a_field_of_another_type_raises(name: str, value: Any) -> None:
    with pytest.raises(InvalidContextError) as caught:
        user_of(EvaluationContext("ada", {name: value}))

    assert f"the attribute {name} is of type {type(value).__name__}" in str(caught.value.error_message)


async def test_an_invalid_context_gives_the_default(flags: OpenFeatureClient) -> None:
    found = flags.get_boolean_details("open", False, EvaluationContext("ada", {"email": 5}))

    assert (found.value, found.error_code) == (False, ErrorCode.INVALID_CONTEXT)
    assert "5" not in str(found.error_message)


async def test_an_exposure_is_the_users(flags: OpenFeatureClient, client: Client, server: DevServer) -> None:
    private = {"ssn": "123"}
    context = EvaluationContext("ada", {"email": "a@b.c", "plan": "pro", "born": NOON, "privateAttributes": private})

    flags.get_boolean_value("open", False, context)
    await client.flush()

    (event,) = server.accepted("statsig")
    assert event.body["user"] == {
        "userID": "ada",
        "email": "a@b.c",
        "custom": {"plan": "pro", "born": 1_789_905_600_000},
    }


@given(st.none() | st.text(max_size=3), st.dictionaries(names, values, max_size=4))
def test_any_context_is_a_user_or_raises(key: str | None, attributes: dict[str, Any]) -> None:
    try:
        user = user_of(EvaluationContext(key, attributes))
    except InvalidContextError:
        return

    assert user.user_id == (key or attributes.get("user_id"))
