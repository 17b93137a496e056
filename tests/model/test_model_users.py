"""Users: ids, copies and what the repr hides."""

import copy
import pickle
from enum import IntEnum
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsdk._model.user_view import AS_GIVEN, FIELDS, UNUSUAL, VISITOR, ids_of, prepare
from asyncsdk._model.users import User, as_user
from asyncsdk._model.wire_values import is_visible, text_id
from asyncsdk.errors import InvalidEventError


class Number(IntEnum):
    SEVEN = 7


class Loud(int):
    def __repr__(self) -> str:
        return "loud"

    __str__ = __repr__


@pytest.mark.parametrize(
    ("value", "text"),
    [("u1", "u1"), (7, "7"), (0, "0"), (-1, "-1"), (2**70, str(2**70)), (Number.SEVEN, "7"), (Loud(8), "8")],
)
def test_an_id_is_sent_as_text(value: object, text: str) -> None:
    assert text_id(value, "user_id") == text


@pytest.mark.parametrize("value", [None, "", " ", "\t\n", "\u200b\u200d", "\u00a0", " \x00\x07 ", "\u2028"])
def test_an_invisible_id_counts_as_absent(value: object) -> None:
    assert text_id(value, "user_id") is None


@pytest.mark.parametrize("value", ["a\x00", "\x07 b", "\u200bé", "日本", " x "])
def test_an_id_with_one_visible_character_is_kept_as_it_is(value: str) -> None:
    assert text_id(value, "user_id") == value


@pytest.mark.parametrize("value", [True, 1.5, b"u1", ["u1"], {"id": 1}])
def test_an_id_of_another_type_is_refused_without_showing_it(value: object) -> None:
    with pytest.raises(InvalidEventError, match=r"`device_id` must be text or a whole number, not \w+") as caught:
        text_id(value, "device_id")

    assert str(value) not in str(caught.value).replace(type(value).__name__, "")


def test_an_id_with_too_many_digits_is_refused() -> None:
    with pytest.raises(InvalidEventError, match="`user_id` is a number with too many digits for an id"):
        text_id(10**5000, "user_id")


@given(st.text())
def test_the_fast_path_for_usual_ids_agrees_with_the_full_check(text: str) -> None:
    assert (text_id(text, "user_id") is not None) == is_visible(text)


def test_private_attributes_are_not_in_the_repr() -> None:
    assert "hidden" not in repr(User("u1", private_attributes={"tier": "hidden"}))


def test_a_subclass_of_user_is_a_user() -> None:
    class Member(User):
        """Adds no fields."""

    member = Member("ada")

    assert as_user(member) is member


def test_users_with_equal_fields_are_equal_regardless_of_caches() -> None:
    one, other = User("u1", email="a@b.c"), User("u1", email="a@b.c")
    one._memo, one._encoded = {"anything": 1}, ("us", b"{}")

    assert one == other


def test_defaults_replace_only_fields_that_are_none() -> None:
    user = User("u1", ip="192.0.2.1", custom={"plan": "pro"})

    filled = user.with_defaults(ip="192.0.2.2", user_agent="agent", locale="nl", anonymous_id="a-1")

    assert filled == User(
        "u1", ip="192.0.2.1", custom={"plan": "pro"}, user_agent="agent", locale="nl", anonymous_id="a-1"
    )


def test_a_copy_with_defaults_keeps_ids_as_they_were_given() -> None:
    user = User(7)
    assert user.unit_id("userID") == "7"

    copy = user.with_defaults(ip="192.0.2.2")
    assert (copy.user_id, copy.unit_id("userID"), copy.ip) == (7, "7", "192.0.2.2")


def test_a_copy_with_defaults_has_empty_caches() -> None:
    user = User("u1")
    user._memo, user._ordering_key = {"anything": 1}, "u1"
    prepare(user)
    user._encoded = ("us", b"{}")

    filled = user.with_defaults()

    assert (filled, filled._memo, filled._encoded, filled._ordering_key) == (user, None, None, None)


def _pickled(user: User) -> object:
    return pickle.loads(pickle.dumps(user))  # noqa: S301 -- bytes of this test


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, _pickled])
def test_a_user_can_be_copied(clone: object) -> None:
    user = User("u1", custom={"plan": "pro"}, device_id="d1")

    assert callable(clone)
    assert clone(user) == user


def test_as_user_equals_calling_the_class() -> None:
    made, called = as_user("ada"), User("ada")

    assert [getattr(made, field.name) for field in attrs.fields(User) if field.name != "_ordering_key"] == [
        getattr(called, field.name) for field in attrs.fields(User) if field.name != "_ordering_key"
    ]
    assert (made._ordering_key, as_user(" ")._ordering_key) == ("ada", None)


plain = st.none() | st.just("x") | st.sampled_from([1, 1.5, b"x", [], {}, Number.SEVEN])


@given(st.dictionaries(st.sampled_from(FIELDS), plain))
def test_construction_and_copies_agree_on_what_is_ready_as_given(fields: dict[str, Any]) -> None:
    user = User(**fields)

    assert user._view in (AS_GIVEN, VISITOR, UNUSUAL)
    assert user.with_defaults()._view is user._view
    unset = {field: fields.get(field) for field in ("ip", "user_agent", "locale", "anonymous_id")}
    bare = User(**{field: value for field, value in fields.items() if field not in unset})
    assert bare.with_defaults(**unset)._view is user._view


@given(st.dictionaries(st.sampled_from(FIELDS), st.none() | st.text()))
def test_what_is_ready_as_given_a_conversion_leaves_as_it_is(fields: dict[str, Any]) -> None:
    user, converted = User(**fields), User(**fields)
    converted._view = UNUSUAL

    assert (user._view.is_ready or prepare(user)) == prepare(converted)
    assert user == converted
    assert (ids_of(user), user._view.fault) == (ids_of(converted), converted._view.fault)


def test_a_user_has_no_dict_and_takes_no_other_attribute() -> None:
    with pytest.raises(AttributeError):
        User("u").plan = "pro"  # type: ignore[attr-defined] # the mistake under test
