"""A user given as an object has its fields under Statsig's names, Python's or another vendor's."""

from collections import ChainMap, OrderedDict
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from asyncsdk import InvalidEventError, User
from asyncsdk._model.users import as_user

ADA = User("ada", country="NL")


@pytest.mark.parametrize(
    "fields",
    [
        OrderedDict(userID="ada", country="NL"),
        MappingProxyType({"userID": "ada", "country": "NL"}),
        ChainMap({"userID": "ada"}, {"country": "NL"}),
        {"user_id": "ada", "country": "NL", "email": None},
        {"userId": "ada", "country": "NL"},
        {"userID": "ada", "user_id": None, "country": "NL"},
    ],
    ids=["OrderedDict", "MappingProxyType", "ChainMap", "user_id", "userId", "a name without a value"],
)
def test_any_mapping_with_any_of_the_names_is_that_user(fields: Mapping[str, Any]) -> None:
    assert User.of(fields) == ADA


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("anonymousId", "anonymous_id"),
        ("anonymous_id", "anonymous_id"),
        ("deviceId", "device_id"),
        ("device_id", "device_id"),
        ("user_agent", "user_agent"),
        ("app_version", "app_version"),
    ],
)
def test_names_of_rudderstack_and_amplitude_are_fields(name: str, field: str) -> None:
    assert User.of({name: "x"}) == User(**{field: "x"})


@pytest.mark.parametrize("name", ["custom_ids", "customIds", "private_attributes", "statsig_environment"])
def test_mappings_have_names_of_python_too(name: str) -> None:
    field = "custom_ids" if name == "customIds" else name

    assert User.of({name: {"tier": "x"}}) == User(**{field: {"tier": "x"}})


@pytest.mark.parametrize("other", ["user_id", "userId"])
def test_two_values_for_one_field_are_a_mistake(other: str) -> None:
    with pytest.raises(InvalidEventError, match=f"one field under two names: 'userID' and '{other}'"):
        User.of({"userID": "ada", other: "eve"})
    assert as_user({"userID": "ada", other: "eve"}).unit_id("userID") is None


def test_the_error_of_an_unknown_name_is_short() -> None:
    with pytest.raises(InvalidEventError) as caught:
        User.of({"x" * 10_000: 1})

    assert len(str(caught.value)) < 400
