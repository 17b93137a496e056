"""Values of classes that users bring along: subclasses, other libraries' types, models, and what misbehaves."""

import dataclasses
import ipaddress
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from typing import Any

import attrs
import numpy as np
import orjson
import pandas as pd
import pendulum
import pydantic
import pytest
from freezegun.api import FakeDate, FakeDatetime
from helpers import ADA
from hypothesis import given
from hypothesis import strategies as st
from vendors.sample_events import destination_classes, make
from yarl import URL

from asyncsdk import IdentifyEvent, InvalidEventError, LogEvent, RawEvent, Revenue, RudderStack, Track, User
from asyncsdk._model.encoding import to_json
from asyncsdk._model.event_faults import apply_default
from asyncsdk._model.events import to_epoch_ms, validate_event
from asyncsdk.vendors import Destination

NOON = datetime(2026, 1, 2, 12, 0, 0, 5, UTC)


class Day(date): ...


class Moment(datetime): ...


class Text(str):
    __slots__ = ()


class Amount(Decimal): ...


@dataclasses.dataclass
class Item:
    sku: str
    price: Decimal = Decimal("1.5")
    _secret: str = "s"


@attrs.frozen
class Order:
    item: Item
    count: int = 1


class Model(pydantic.BaseModel):
    sku: str
    at: datetime = NOON


WRITTEN: list[tuple[Any, Any]] = [
    (Day(2026, 1, 2), "2026-01-02"),
    (FakeDate(2026, 1, 2), "2026-01-02"),
    (FakeDatetime(2026, 1, 2, 12, 0, 0, 5, UTC), "2026-01-02T12:00:00.000005Z"),
    (Moment(2026, 1, 2, 12, 0, 0, 5, UTC), "2026-01-02T12:00:00.000005Z"),
    (Moment(2026, 1, 2, 12), "2026-01-02T12:00:00Z"),
    (pendulum.datetime(2026, 1, 2, 12), "2026-01-02T12:00:00Z"),
    (pendulum.datetime(2026, 1, 2, 12, tz="Europe/Amsterdam"), "2026-01-02T12:00:00+01:00"),
    (pendulum.date(2026, 1, 2), "2026-01-02"),
    (pd.Timestamp("2026-01-02T12:00Z"), "2026-01-02T12:00:00Z"),
    (pd.NaT, None),
    (Text("a"), "a"),
    (Amount("1.5"), 1.5),
    (np.bool_(True), True),
    (np.int64(7), 7),
    (np.float32(1.5), 1.5),
    (np.datetime64("2026-01-02T12:00:00.000000005"), "2026-01-02T12:00:00Z"),
    (np.datetime64("NaT", "ns"), None),
    (np.timedelta64(1500, "ms"), 1.5),
    (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
    (np.str_("a"), "a"),
    (Item("a"), {"sku": "a", "price": 1.5}),
    (Order(Item("a")), {"item": {"sku": "a", "price": 1.5}, "count": 1}),
    (Model(sku="a"), {"sku": "a", "at": "2026-01-02T12:00:00.000005Z"}),
    (URL("https://shop.example/a?b=c"), "https://shop.example/a?b=c"),
    (pydantic.AnyUrl("https://shop.example/a"), "https://shop.example/a"),
    (ipaddress.ip_address("::1"), "::1"),
    (ipaddress.ip_network("10.0.0.0/8"), "10.0.0.0/8"),
]


@pytest.mark.parametrize(("value", "written"), WRITTEN, ids=lambda value: type(value).__name__)
def test_a_value_of_another_library_is_written_as_documented(value: Any, written: Any) -> None:
    assert orjson.loads(to_json({"x": value})) == {"x": written}
    assert orjson.loads(to_json({"\ud800": 1, "x": value}))["x"] == written  # beside one that takes the slow path


@pytest.mark.parametrize("properties", [Item("a"), Model(sku="a"), Order(Item("a"))], ids=repr)
@pytest.mark.parametrize("kind", destination_classes(), ids=lambda kind: kind.__name__)
def test_a_model_may_be_the_whole_properties(kind: type, properties: Any) -> None:
    event = Track(ADA, "a", properties)
    validate_event(event)

    assert b'"a"' in _encoded(make(kind), event)


@pytest.mark.parametrize("value", [Decimal("19.99"), np.float64(19.99), np.int64(3), Amount("19.99")], ids=repr)
@pytest.mark.parametrize("kind", destination_classes(), ids=lambda kind: kind.__name__)
def test_the_value_of_a_logged_event_may_be_any_number(kind: type, value: Any) -> None:
    event = LogEvent(ADA, "a", value)
    validate_event(event)

    assert orjson.dumps(float(value)) in _encoded(make(kind), event) or str(value).encode() in _encoded(
        make(kind), event
    )


def test_a_user_among_the_properties_has_no_form() -> None:
    with pytest.raises(InvalidEventError, match=r"`event\['u'\]` is an? User"):
        to_json({"u": User("a", private_attributes={"iban": "NL00"})})


# --- what misbehaves ----------------------------------------------------------------------------------------------


class Raises(Mapping[str, Any]):
    """A mapping that fails when it is read."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __iter__(self) -> Iterator[str]:
        raise self.error

    def __len__(self) -> int:
        return 1

    def __getitem__(self, key: str) -> Any:
        raise self.error


class BadMoment(datetime):
    def isoformat(self, *_: Any, **__: Any) -> str:
        raise OverflowError

    @property
    def year(self) -> int:  # type: ignore[override]
        raise OverflowError


class BadText:
    def __fspath__(self) -> str:
        raise RuntimeError("busy")


BAD: list[Any] = [
    Raises(KeyError("k")),
    Raises(RuntimeError("changed size during iteration")),
    BadMoment(2026, 1, 2),
    BadText(),
    object(),
    b"\xff",
]


@pytest.mark.parametrize("value", BAD, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("field", ["properties", "context"])
@pytest.mark.parametrize("kind", destination_classes(), ids=lambda kind: kind.__name__)
def test_a_bad_value_raises_one_error_with_the_callers_path(kind: type, field: str, value: Any) -> None:
    event = Track(ADA, "a", **{field: {"o": [1, value]}})
    encode = make(kind).encode
    if field == "context" and kind is not RudderStack:
        assert encode(event, "id", 1)  # only RudderStack takes a context
        return
    with pytest.raises(Exception) as caught:  # noqa: PT011 -- whatever the codec makes of it
        encode(event, "id", 1)

    with pytest.raises(InvalidEventError, match=rf"`{field}\['o'\]\[1\]`"):
        apply_default(event, caught.value, None)


@given(
    st.recursive(st.sampled_from(BAD) | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
)
def test_no_value_raises_anything_but_an_invalid_event(value: Any) -> None:
    with suppress(InvalidEventError):
        assert orjson.loads(to_json({"x": value})).keys() == {"x"}


def test_default_converts_what_has_no_form_of_its_own() -> None:
    given = Track(ADA, "a", {"money": [object(), 1], "other": "x"})

    event = apply_default(given, TypeError(), lambda value: "converted")

    assert isinstance(event, Track)
    assert event.properties == {"money": ["converted", 1], "other": "x"}
    assert given.properties is not event.properties


def test_a_default_that_refuses_leaves_the_path_of_the_caller() -> None:
    def refuse(value: object) -> object:
        raise TypeError

    with pytest.raises(InvalidEventError, match=r"`properties\['o'\]`"):
        apply_default(Track(ADA, "a", {"o": object()}), TypeError(), refuse)


def test_a_default_that_fails_is_named() -> None:
    def fail(value: object) -> object:
        raise KeyError("a secret")

    with pytest.raises(InvalidEventError, match=r"`properties\['o'\]` is .*; the client's `default` raised KeyError$"):
        apply_default(Track(ADA, "a", {"o": object()}), TypeError(), fail)


def _encoded(destination: Destination, event: Any) -> bytes:
    encoded = destination.encode(event, "5c1a1f6e-6f6c-4c1b-9a50-2b8a5d0f0e11", 1_795_205_771_414)
    assert isinstance(encoded, bytes)
    return encoded


class BadZone(tzinfo):
    def utcoffset(self, _: datetime | None) -> Any:
        raise RuntimeError


def test_a_time_zone_that_fails_is_an_invalid_event() -> None:
    with pytest.raises(InvalidEventError, match="`timestamp` has a time zone that raised RuntimeError"):
        validate_event(Track(ADA, "a", timestamp=datetime(2026, 1, 1, tzinfo=BadZone())))


@pytest.mark.parametrize("kind", [pendulum.DateTime, pd.Timestamp, FakeDatetime])
def test_a_timestamp_of_another_library_is_that_instant(kind: Any) -> None:
    event = Track(ADA, "a", timestamp=kind(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC))

    validate_event(event)

    assert event.timestamp is not None
    assert (type(event.timestamp), to_epoch_ms(event.timestamp)) == (datetime, 1767323045678)


def test_a_missing_time_of_pandas_is_not_a_timestamp() -> None:
    with pytest.raises(InvalidEventError, match="`timestamp` is a NaTType that is not a time"):
        validate_event(Track(ADA, "a", timestamp=pd.NaT))


def test_the_time_of_an_event_in_amplitudes_form_may_be_a_number_of_numpy() -> None:
    fields = {"event_type": "a", "time": np.int64(1767323045678)}
    event = RawEvent(fields, ADA)

    validate_event(event)

    assert type(event.fields["time"]) is int
    assert type(fields["time"]) is np.int64


class Unreadable:
    """A value whose class cannot even be looked at."""

    @property
    def __class__(self) -> Any:  # type: ignore[override]
        raise RuntimeError


def test_a_value_that_fails_in_any_other_way_is_an_invalid_event() -> None:
    with pytest.raises(InvalidEventError, match="`event` cannot be encoded: RuntimeError"):
        to_json({"\ud800": Unreadable()})


def test_default_leaves_alone_what_has_a_form_on_the_slow_path_only() -> None:
    given = Track(ADA, "a", {"o": object(), "text": "\ud800", "number": 2**70})

    event = apply_default(given, TypeError(), lambda _: "converted")

    assert isinstance(event, Track)
    assert event.properties == {"o": "converted", "text": "\ud800", "number": 2**70}


@pytest.mark.parametrize(
    ("event", "path"),
    [
        (Track(ADA, Revenue(1.0, properties={"a": 1}), {"o": object()}), r"`properties\['o'\]`"),
        (IdentifyEvent(ADA, {"o": object()}), r"`traits\['o'\]`"),
        (Track(User("u", custom={"o": object()}), "a"), r"`user.custom\['o'\]`"),
    ],
)
def test_the_fault_of_an_event_is_named_wherever_it_is(event: Any, path: str) -> None:
    with pytest.raises(InvalidEventError, match=path):
        apply_default(event, TypeError(), None)


def test_a_codec_that_fails_on_a_sound_event_says_so() -> None:
    with pytest.raises(InvalidEventError, match="the event cannot be encoded: KeyError"):
        apply_default(Track(ADA, "a"), KeyError("x"), None)
    with pytest.raises(InvalidEventError, match="its own words"):
        apply_default(Track(ADA, "a"), InvalidEventError("its own words"), None)
