"""Parameter stores in a client-initialize response, and local overrides of them."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from asyncsdk._model.users import User
from asyncsdk._rules.language.overrides import find_unit
from asyncsdk._rules.language.specs import read_fields
from asyncsdk._rules.language.values import as_object
from asyncsdk._rules.ruleset import Ruleset

HashName = Callable[[str], str]

_REFERENCES = ("gate_name", "config_name", "experiment_name", "layer_name")
_PARAM_TYPES: Mapping[type, str] = {
    bool: "boolean",
    str: "string",
    int: "number",
    float: "number",
    list: "array",
    dict: "object",
}


def encode_stores(rules: Ruleset, hash_name: HashName, is_visible: Callable[[Any], bool]) -> bytes:
    """Encode the parameter stores, with the names that parameters refer to hashed.

    Args:
        rules: The ruleset.
        hash_name: Hashes a name.
        is_visible: Returns whether the client sees what is for these apps.
    """
    stores = {}
    for name in rules.names("param_stores"):
        store = read_fields(rules.raw("param_stores", name), name)
        parameters = as_object(store.get("parameters"))
        if parameters is not None and is_visible(store.get("targetAppIDs")):
            stores[hash_name(name)] = {
                key: {"name": key, **_hash_references(value, hash_name)} for key, value in parameters.items()
            }
    return orjson.dumps(stores)


def _hash_references(parameter: Any, hash_name: HashName) -> dict[str, Any]:
    fields = as_object(parameter) or {}
    return {
        key: hash_name(value) if key in _REFERENCES and isinstance(value, str) else value
        for key, value in fields.items()
    }


def store_overrides(
    rules: Ruleset, hash_name: HashName, is_visible: Callable[[Any], bool]
) -> Callable[[User], dict[str, Any]] | None:
    """Return a function from a user to the parameter stores that are overridden for them; None if none is.

    Args:
        rules: The ruleset.
        hash_name: Hashes a name.
        is_visible: Returns whether the client sees what is for these apps.
    """
    overrides = rules.shared_context.overrides
    names = []
    for name in overrides.names("parameter_store"):
        raw = rules.raw("param_stores", name)
        if raw is None or is_visible(read_fields(raw, name).get("targetAppIDs")):
            names.append(name)
    if not names:
        return None

    def overridden(user: User) -> dict[str, Any]:
        stores = {}
        for name in names:
            by_unit = overrides.of("parameter_store", name)
            try:
                stores[hash_name(name)] = _static_parameters(by_unit[find_unit(by_unit, user)])
            except KeyError:  # not overridden for this user
                continue
        return stores

    return overridden


def _static_parameters(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values as parameters of a store; None is a missing parameter."""
    return {
        name: {"name": name, "ref_type": "static", "param_type": _PARAM_TYPES[value.__class__], "value": value}
        for name, value in values.items()
        if value is not None
    }


def merge_overrides(stores: bytes, overrides: Callable[[User], dict[str, Any]] | None, user: User) -> bytes:
    """Return encoded stores with the overrides of a user in the place of those that are overridden."""
    return stores if overrides is None else orjson.dumps(orjson.loads(stores) | overrides(user))
