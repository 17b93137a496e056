"""Validation of events."""

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from types import MappingProxyType
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsdk._model.amplitude import Identify, Revenue
from asyncsdk._model.events import (
    Alias,
    Group,
    IdentifyEvent,
    LogEvent,
    Page,
    RawEvent,
    Screen,
    Track,
    raw_event,
    title,
    to_epoch_ms,
    validate_event,
)
from asyncsdk._model.user_ids import ordering_key
from asyncsdk._model.users import User
from asyncsdk.errors import InvalidEventError

ADA = User("ada-1")
AN_OBJECT = "an instance of a dataclass, attrs class or pydantic model"


@pytest.mark.parametrize(
    "event",
    [
        IdentifyEvent(ADA),
        IdentifyEvent(ADA, {"plan": "pro"}),
        IdentifyEvent(ADA, Identify().set("plan", "pro")),
        Track(ADA, "Item Viewed"),
        Track(ADA, "Item Viewed", MappingProxyType({"a": 1})),
        Track(ADA, Revenue(1)),
        Track(User(7), "x"),
        Track(User(0), "x"),
        Track(User(anonymous_id="v"), "x"),
        Track(User(device_id="d"), "x"),
        Track(User("", device_id="d"), "x"),
        Page(ADA),
        Page(ADA, "", {}, category=""),
        Screen(ADA, "Home", {"a": 1}, category="Food"),
        Group(ADA, 1),
        Group(ADA, "g", {"a": 1}, group_type="org"),
        Group(ADA, "g", Identify().set("a", 1)),
        Alias("old", ADA),
        Alias(7, ADA),
        LogEvent(ADA, "add_to_cart"),
        LogEvent(ADA, "add_to_cart", 19.99, {"sku": "A"}),
        LogEvent(ADA, "add_to_cart", "19.99"),
        RawEvent({"event_type": "e", "time": 0, "event_properties": None, "groups": {"org": "a"}}, ADA),
        Track(
            ADA, "x", context={"ip": "1.2.3.4"}, message_id="m", timestamp=datetime.fromisoformat("2026-01-01T00:00Z")
        ),
        Track(ADA, "x", integrations={"All": False, "Amplitude": True, "Statsig": {"value": 1}}, extra={"any": {1, 2}}),
    ],
    ids=str,
)
def test_a_valid_event_is_accepted(event: Any) -> None:
    validate_event(event)


A_TIME = "whole milliseconds since 1970, before the year 10000"
SWITCHES = "True, False or (except for All) an object"
NEW_ID = "the user's new id (an anonymous or device id is not enough for alias)"
NOT_MADE = (
    "the user needs a user_id, an anonymous_id or a device_id that is not blank (in a web service: anonymous_cookie=); "
    "for Statsig, one of custom_ids is enough"
)


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (
            "Item Viewed",
            "an event is one of IdentifyEvent, Track, Page, Screen, Group, Alias, LogEvent, RawEvent, not a str",
        ),
        (Track(User(), "x"), NOT_MADE),
        (Track(User("  "), "x"), NOT_MADE),
        (Track(User("\u200b", anonymous_id=""), "x"), NOT_MADE),
        (Track(User(bool(1)), "x"), "`user_id` must be text or a whole number, not bool: convert it with str() first"),
        (
            Track(User(device_id=1.5), "x"),
            "`device_id` must be text or a whole number, not float: convert it with str() first",
        ),
        (Track(ADA, ""), f"`event` must be a name that is not empty, a Revenue, or {AN_OBJECT}; it is empty"),
        (Track(ADA, None), f"`event` must be a name that is not empty, a Revenue, or {AN_OBJECT}, not None"),
        (Track(ADA, "x", [1]), "`properties` must be an object (a mapping), not list"),
        (IdentifyEvent(ADA, "pro"), "`traits` must be an object (a mapping), not str"),
        (Page(ADA, 1), "`name` must be text; this int is not"),
        (Screen(ADA, category=1), "`category` must be text; this int is not"),
        (
            Page(ADA, "x", "y"),
            (
                "`properties` must be an object (a mapping), not str: the order is (user, name, properties), and the "
                "category is a keyword: page(user, 'Pizza', {...}, category='Food')"
            ),
        ),
        (Group(ADA, ""), "`group_id` must be an id that is not blank; it is empty"),
        (Group(ADA, None), "`group_id` must be an id that is not blank, not None"),
        (Group(ADA, "g", group_type=""), "`group_type` must be a name that is not empty; it is empty"),
        (Group(ADA, "g", group_type=1), "`group_type` must be a name that is not empty; this int is not"),
        (Group(ADA, "g", 1), "`traits` must be an object (a mapping); this int is not"),
        (
            Group(ADA, "g", Identify().remove("a", 1)),
            "groups have no $remove: only set, set_once, add, append, prepend and unset",
        ),
        (Alias(" ", ADA), "`previous_id` must be an id that is not blank; it is blank"),
        (Alias("old", User(device_id="d")), f"`user_id` must be {NEW_ID}, not None"),
        (LogEvent(ADA, ""), f"`event` must be a name that is not empty, or {AN_OBJECT}; it is empty"),
        (LogEvent(ADA, "x", bool(1)), "`value` must be text or a number, not bool"),
        (LogEvent(ADA, "x", [1]), "`value` must be text or a number, not list"),
        (LogEvent(ADA, "x", 1, "y"), "`metadata` must be an object (a mapping), not str"),
        (RawEvent([], ADA), "`event` must be an object (a mapping), not list"),
        (RawEvent({}, ADA), "`event_type` must be a name that is not blank, not None"),
        (RawEvent({"event_type": "  "}, ADA), "`event_type` must be a name that is not blank; it is blank"),
        (
            RawEvent({"event_type": "e", "event_properties": []}, ADA),
            "`event_properties` must be an object (a mapping), not list",
        ),
        (RawEvent({"event_type": "e", "groups": "g"}, ADA), "`groups` must be an object (a mapping), not str"),
        (RawEvent({"event_type": "e", "time": "now"}, ADA), f"`time` must be {A_TIME}, not str"),
        (RawEvent({"event_type": "e", "time": True}, ADA), f"`time` must be {A_TIME}, not bool"),
        (RawEvent({"event_type": "e", "time": 10**18}, ADA), f"`time` must be {A_TIME}; this int is not"),
        (Track(ADA, "x", context=[]), "`context` must be an object (a mapping), not list"),
        (Track(ADA, "x", integrations=[]), "`integrations` must be an object (a mapping), not list"),
        (Track(ADA, "x", integrations={"All": "true"}), f"`integrations['All']` must be {SWITCHES}, not str"),
        (Track(ADA, "x", integrations={"All": {}}), f"`integrations['All']` must be {SWITCHES}, not dict"),
        (
            Track(ADA, "x", integrations={"all": False}),
            "`integrations` names 'all'; the key for all destinations is spelt 'All'",
        ),
        (
            Track(ADA, "x", timestamp="now"),
            "`timestamp` must be a datetime with a time zone, such as datetime.now(UTC), not str",
        ),
        (
            Track(ADA, "x", timestamp=datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))),
            "`timestamp` must be a datetime of the years 1 to 9999 in UTC; this datetime is not",
        ),
        (Track(ADA, "x", message_id=""), "`message_id` must be text that is not blank; it is empty"),
    ],
)
def test_an_event_that_no_vendor_accepts_is_refused_with_the_reason(event: Any, message: str) -> None:
    with pytest.raises(InvalidEventError) as caught:
        validate_event(event)

    assert str(caught.value) == message


@pytest.mark.parametrize("kind", [IdentifyEvent, Track, Page, Screen, Group, Alias, LogEvent, RawEvent])
def test_common_fields_are_keyword_only(kind: type) -> None:
    by_name = {field.name for field in attrs.fields(kind) if field.kw_only}

    assert by_name >= {"context", "timestamp", "integrations", "message_id", "extra"}


@pytest.mark.parametrize("user_id", ["ada-1", 7])
def test_an_id_becomes_a_user(user_id: Any) -> None:
    assert Track(user_id, "x") == Track(User(user_id), "x")
    assert Alias("old", user_id).user == User(user_id)


@pytest.mark.parametrize("user", [None, True, 1.5, ["ada-1"], b"ada-1"])
def test_a_value_that_is_neither_a_user_nor_an_id_is_refused(user: Any) -> None:
    with pytest.raises(InvalidEventError, match=r"`user` must be a User or an id .*, not "):
        validate_event(Track(user, "x"))


def test_a_refusal_never_shows_the_value() -> None:
    with pytest.raises(InvalidEventError) as caught:
        validate_event(Track(ADA, "x", "4111 1111 1111 1111"))

    assert "4111" not in str(caught.value)


@pytest.mark.parametrize(
    ("user", "key"),
    [
        (User("u", device_id="d", anonymous_id="a"), "u"),
        (User("u-1"), "u-1"),
        (User(7), "7"),
        (User(" ", device_id="d", anonymous_id="a"), "d"),
        (User(anonymous_id="a"), "a"),
        (User(), None),
    ],
    ids=str,
)
def test_the_ordering_key_is_the_user_id_then_the_device_then_the_visitor(user: User, key: str | None) -> None:
    assert ordering_key(user) == key


def test_an_event_in_amplitude_s_form_has_the_user_that_its_fields_name() -> None:
    fields = {"event_type": "e", "user_id": 7, "device_id": "d", "ip": "1.2.3.4", "user_agent": "curl"}

    event = raw_event(fields, message_id="m")

    assert event.user == User(7, device_id="d", ip="1.2.3.4", user_agent="curl")
    assert (event.fields, event.message_id) == (fields, "m")


def test_a_raw_event_derives_its_user_from_its_fields() -> None:
    event = RawEvent({"event_type": "e", "user_id": "abcde", "ip": "1.2.3.4"})

    validate_event(event)

    assert event.user == User("abcde", ip="1.2.3.4")
    assert RawEvent(event.fields, ADA).user == ADA
    assert RawEvent("no object").user == User()


TEXTS = ("email", "ip", "user_agent", "country", "locale", "app_version")
OBJECTS = ("custom", "custom_ids", "private_attributes", "statsig_environment")


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize("field", TEXTS)
@pytest.mark.parametrize("value", [7, b"x", ["x"]])
def test_a_text_field_of_a_user_must_be_text(field: str, value: Any) -> None:
    with pytest.raises(InvalidEventError, match=f"`user.{field}` must be text"):
        validate_event(Track(User("u", **{field: value}), "x"))


@pytest.mark.parametrize("field", OBJECTS)
@pytest.mark.parametrize("value", [7, "x", [("a", 1)]])
def test_an_object_field_of_a_user_must_be_an_object(field: str, value: Any) -> None:
    with pytest.raises(InvalidEventError, match=rf"`user.{field}` must be an object \(a mapping\)"):
        validate_event(Track(User("u", **{field: value}), "x"))


def test_fields_of_a_user_may_be_subclasses_of_str_and_mapping() -> None:
    texts, objects = dict.fromkeys(TEXTS, Text("x")), dict.fromkeys(OBJECTS, MappingProxyType({"a": "b"}))

    validate_event(Track(User("u", **texts, **objects), "x"))


def test_an_amplitude_form_event_must_be_an_object() -> None:
    with pytest.raises(InvalidEventError, match="log_event takes a user and a name, or one object"):
        validate_event(raw_event("add_to_cart"))


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (Track(ADA, "Item Viewed"), "track 'Item Viewed'"),
        (Track(ADA, Revenue(1)), "track 'revenue_amount'"),
        (Page(ADA), "page"),
        (Screen(ADA, "Home"), "screen 'Home'"),
        (Alias("old", ADA), "alias"),
        (raw_event({"event_type": "e", "user_id": "u"}), "log_event 'e'"),
    ],
    ids=str,
)
def test_an_event_is_titled_by_its_verb_and_name(event: Any, name: str) -> None:
    assert title(event) == name


def test_a_time_is_milliseconds_since_1970() -> None:
    assert to_epoch_ms(datetime(2026, 1, 1, tzinfo=UTC)) == 1_767_225_600_000


class Nowhere(tzinfo):
    """A time zone without an offset, which makes a datetime naive all the same."""

    def utcoffset(self, _: datetime | None) -> None:
        return None

    def __repr__(self) -> str:
        return "Nowhere()"


@pytest.mark.parametrize("zone", [None, Nowhere()])
@pytest.mark.parametrize("kind", [IdentifyEvent, Page, Screen, LogEvent, Track, Group, Alias, RawEvent])
def test_a_time_of_an_event_without_a_zone_is_refused_with_what_to_pass(kind: Any, zone: tzinfo | None) -> None:
    first, second = {Alias: ("old", ADA), RawEvent: ({"event_type": "e"}, ADA)}.get(kind, (ADA, "x"))
    given = kind(first, timestamp=datetime(2026, 1, 1, tzinfo=zone)) if kind is IdentifyEvent else None

    with pytest.raises(InvalidEventError, match=r"`timestamp` has no time zone.*datetime.now\(UTC\)"):
        validate_event(given or kind(first, second, timestamp=datetime(2026, 1, 1, tzinfo=zone)))


def test_a_time_is_rounded_down_to_the_millisecond() -> None:
    assert to_epoch_ms(datetime(1970, 1, 1, 0, 0, 0, 1_999, tzinfo=UTC)) == 1
    assert to_epoch_ms(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == -1


@given(st.integers(0, 4_000_000_000_000), st.integers(-12, 14))
def test_a_time_is_the_same_in_any_time_zone(moment: int, hours: int) -> None:
    there = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=moment)

    assert to_epoch_ms(there.astimezone(timezone(timedelta(hours=hours)))) == moment
