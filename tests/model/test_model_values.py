"""Equality, hash and text of values are those that attrs generates."""

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncsdk._model.values import Comparable, Value


@attrs.frozen
class Generated:
    name: str
    _count: int = attrs.field(eq=False)
    secret: str = attrs.field(repr=False)
    size: int = attrs.field(repr=hex)


Shared: type[Any] = attrs.make_class(
    "Generated",
    {
        "name": attrs.field(),
        "_count": attrs.field(eq=False),
        "secret": attrs.field(repr=False),
        "size": attrs.field(repr=hex),
    },
    bases=(Value,),
    frozen=True,
    slots=True,
    eq=False,
    repr=False,
)

FIELDS = st.tuples(st.text(max_size=1), st.integers(0, 1), st.text(max_size=1), st.integers(0, 1))


@given(FIELDS, FIELDS)
def test_equality_and_hash_are_those_that_attrs_generates(one: Any, other: Any) -> None:
    same = Generated(*one) == Generated(*other)
    assert (Shared(*one) == Shared(*other)) is same
    assert not same or hash(Shared(*one)) == hash(Shared(*other))


@given(FIELDS)
def test_the_text_is_that_which_attrs_generates(fields: Any) -> None:
    assert repr(Shared(*fields)) == repr(Generated(*fields))


def test_a_value_differs_from_one_of_another_class() -> None:
    assert Shared("a", 1, "b", 2) != Generated("a", 1, "b", 2)


def test_one_that_may_change_cannot_be_a_key() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(attrs.make_class("Changeable", [], bases=(Comparable,), eq=False, repr=False)())


def test_values_without_fields_are_equal() -> None:
    empty = attrs.make_class("Empty", [], bases=(Value,), eq=False, repr=False)
    assert empty() == empty()
