"""Read a ruleset's JSON into values: specs, their rules, and the conditions of rules.

Names follow the JSON. A field may be absent, unless it decides an evaluation. One that has a wrong type makes its spec
malformed, as in statsig-python-core: `MalformedError`, while other specs stay usable. Null counts as absent where the
package says so, in `_optional`.
"""

from collections.abc import Mapping
from typing import Any

import attrs
import orjson

_MAX_PARTS = 5_000
_MAX_DEPTH = 250


class MalformedError(ValueError):
    """Raised for JSON that does not follow the ruleset language; the message names the part."""


class TooLargeError(MalformedError):
    """Raised for a part that is larger than any sensible one, and would take long for each lookup."""


@attrs.define(eq=False, repr=False)
class Condition:
    """One test of a rule.

    Attributes:
        type: The source of the user's value, a row of `conditions.SOURCES`.
        operator: How the value is compared, a row of `operators.OPERATORS`; None if nothing is compared.
        target: What the value is compared with: any JSON value.
        field: The user's field; the experiment's name for `experiment_group`.
        salt: The salt of a bucket condition.
        id_type: The unit id of a `user_bucket` or `unit_id` condition.
        prepared: The target as its operator takes it, alone in a tuple, if it was long and so prepared in steps; else
            None.
    """

    type: str | None
    operator: str | None = None
    target: Any = None
    field: str | None = None
    salt: str = ""
    id_type: str = "userID"
    prepared: tuple[Any] | None = None


@attrs.define(eq=False, repr=False)
class Rule:
    """One rule. The first rule whose conditions all hold decides.

    Attributes:
        id: The rule's id, which exposures report.
        conditions: Keys of the ruleset's `condition_map`, or inline conditions.
        return_value: The value for users who pass.
        pass_percentage: 0 to 100, fractions included. Users outside it get the spec's default, not a later rule.
        salt: The salt of the percentage; None means the rule's id, "" stays empty.
        id_type: The unit id that the percentage hashes.
        group_name: The experiment group.
        delegate: The experiment that decides instead, for rules of layers.
        is_experiment_group: Whether the rule is a group of an experiment.
        sampling_rate: Keep one in this many exposures if sampling is on; None keeps all.
    """

    id: str
    conditions: tuple[str | Condition, ...] = ()
    return_value: Any = None
    pass_percentage: float = 100.0
    salt: str | None = None
    id_type: str = "userID"
    group_name: str | None = None
    delegate: str | None = None
    is_experiment_group: bool = False
    sampling_rate: int | None = None


@attrs.define(eq=False, repr=False)
class Spec:
    """A gate, config, experiment or layer.

    Attributes:
        name: Its name.
        default: The value where no rule matches.
        rules: Its rules, in order.
        salt: The first part of its rules' salts.
        enabled: Whether it is enabled; a disabled spec still runs its rules, which are then holdouts.
        entity: Its kind as the ruleset calls it, such as `experiment`, `holdout` or `segment`.
        id_type: The unit id that it is about.
        version: Its version; None if absent.
        is_active: Whether the experiment is running; None if absent.
        has_shared_params: Whether the experiment is in a layer; None if absent.
        explicit_parameters: The layer's parameters that the experiment owns; None if absent.
        target_app_ids: The apps it is for; None is all.
        forward_all_exposures: Its exposures are never sampled.
        merges_rules: A layer that merges its rules (`layers`).
    """

    name: str
    default: Any = None
    rules: tuple[Rule, ...] = ()
    salt: str = ""
    enabled: bool = True
    entity: str = ""
    id_type: str = "userID"
    version: int | None = None
    is_active: bool | None = None
    has_shared_params: bool | None = None
    explicit_parameters: tuple[str, ...] | None = None
    target_app_ids: tuple[str, ...] | None = None
    forward_all_exposures: bool = False
    merges_rules: bool = False


def parse(raw: bytes, name: str) -> Any:
    """Parse one slice of a ruleset's JSON.

    Args:
        raw: The slice.
        name: What the error message calls it.

    Raises:
        MalformedError: It is not JSON, or nested so deeply (beyond 254 levels) that no response could contain it.
    """
    try:
        value = orjson.loads(raw)
        if raw.count(b"[") + raw.count(b"{") > _MAX_DEPTH:
            orjson.dumps(value)  # raises for what is too deep
    except (ValueError, TypeError) as error:
        msg = f"{name} is not JSON, or nested too deeply"
        raise MalformedError(msg) from error
    return value


def read_fields(raw: bytes | None, name: str) -> Mapping[str, Any]:
    """Read an object of which no field is required; anything but an object has no fields."""
    try:
        found = parse(raw or b"null", name)
    except MalformedError:
        return {}
    return found if isinstance(found, dict) else {}


def read_spec(raw: bytes, name: str, *, inline: bool) -> Spec:
    """Read one spec.

    Args:
        raw: Its JSON.
        name: Its name.
        inline: The ruleset has the older format (v1), in which the rules of a disabled spec must not run.

    Raises:
        MalformedError: It is not an object, or its rules are malformed.
    """
    fields = parse(raw, name)
    return spec_of(fields, name, tuple(map(read_rule, _bounded_rules(rules_of(fields, name)))), inline=inline)


def rules_of(fields: Any, name: str) -> list[Any]:
    """Return the rules of a parsed spec, not read yet.

    Raises:
        MalformedError: It is not an object, or its rules are not a list.
    """
    rules: list[Any] = _typed(_object(fields, name), "rules", list, default=[])
    return rules


def spec_of(fields: Mapping[str, Any], name: str, rules: tuple[Rule, ...], *, inline: bool) -> Spec:
    """Return a parsed spec with its rules, which were read already; the arguments are as for `read_spec`.

    Raises:
        MalformedError: A field has the wrong type.
    """
    enabled = _typed(fields, "enabled", bool, default=True)
    # Not used, but of a wrong type they make a spec malformed, as in statsig-python-core 0.24.2.
    _typed(fields, "type", str, default="")
    _optional(fields, "checksum", str)
    _names(fields, "fieldsUsed")
    return Spec(
        name,
        default=fields.get("defaultValue"),
        # In v2, the rules that a disabled spec still has are its holdouts, and must run.
        rules=rules if enabled or not inline else (),
        salt=_typed(fields, "salt", str, default=""),
        enabled=enabled,
        entity=_typed(fields, "entity", str, default=""),
        id_type=_typed(fields, "idType", str, default="userID"),
        version=_count(fields, "version", 2**32),
        is_active=_optional(fields, "isActive", bool),
        has_shared_params=_optional(fields, "hasSharedParams", bool),
        explicit_parameters=_names(fields, "explicitParameters"),
        target_app_ids=_names(fields, "targetAppIDs"),
        forward_all_exposures=_optional(fields, "forwardAllExposures", bool) is True,
        merges_rules=_optional(fields, "useNewLayerEval", bool) is True,
    )


def check_size(count: int) -> None:
    """Reject more than 5,000 rules, conditions or groups: compiling those takes half a second.

    Raises:
        TooLargeError: There are more.
    """
    if count > _MAX_PARTS:
        msg = f"it has more than {_MAX_PARTS:,} rules, conditions or groups"
        raise TooLargeError(msg)


def _bounded_rules(rules: list[Any]) -> list[Any]:
    """Return the rules, after checking how many rules and conditions there are: before any of them is read."""
    conditions = (rule.get("conditions") for rule in rules if isinstance(rule, dict))
    check_size(len(rules) + sum(len(keys) for keys in conditions if isinstance(keys, list)))
    return rules


def read_rule(value: Any) -> Rule:
    """Read one rule.

    Raises:
        MalformedError: It is not an object, or a field that decides is malformed.
    """
    fields = _object(value, "rule")
    _typed(fields, "name", str, default="")
    return Rule(
        _typed(fields, "id", str),
        conditions=tuple(map(_condition, _typed(fields, "conditions", list, default=[]))),
        return_value=fields.get("returnValue"),
        pass_percentage=_percentage(fields.get("passPercentage")),
        salt=_optional(fields, "salt", str),
        id_type=_typed(fields, "idType", str, default="userID"),
        group_name=_optional(fields, "groupName", str),
        delegate=_optional(fields, "configDelegate", str),
        is_experiment_group=_optional(fields, "isExperimentGroup", bool) is True,
        sampling_rate=_count(fields, "samplingRate", 2**64),
    )


def read_condition(value: Any) -> Condition:
    """Read one condition.

    Raises:
        MalformedError: It is not an object, or its `idType` is not text.
    """
    fields = _object(value, "condition")
    additional = fields.get("additionalValues")
    salt = additional.get("salt") if isinstance(additional, dict) else None
    # A salt that is not text is hashed as its JSON.
    return Condition(
        _text(fields, "type"),
        operator=_text(fields, "operator"),
        target=fields.get("targetValue"),
        field=_text(fields, "field"),
        salt=salt if isinstance(salt, str) else "" if salt is None else orjson.dumps(salt).decode(),
        id_type=_typed(fields, "idType", str, default="userID"),
    )


def _condition(value: Any) -> str | Condition:
    return value if isinstance(value, str) else read_condition(value)


def _percentage(value: Any) -> float:
    # A bool is an int in Python, but not a number in JSON.
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    msg = "passPercentage is not a number"
    raise MalformedError(msg)


def _object(value: Any, what: str) -> Mapping[str, Any]:
    if isinstance(value, dict):
        return value
    msg = f"{what} is not an object"
    raise MalformedError(msg)


def _typed(fields: Mapping[str, Any], key: str, kind: type, default: Any = None) -> Any:
    """Return a field of the type; absent means the default, any other type and null raise `MalformedError`."""
    value = fields.get(key, default)
    if isinstance(value, kind):
        return value
    msg = f"{key} is not of type {kind.__name__}"
    raise MalformedError(msg)


def _optional(fields: Mapping[str, Any], key: str, kind: type) -> Any:
    """Return a field of the type; None if it is absent or null, any other type raises `MalformedError`."""
    return None if fields.get(key) is None else _typed(fields, key, kind)


def _count(fields: Mapping[str, Any], key: str, limit: int) -> int | None:
    """Return a whole number from 0 to below `limit`; None if it is absent or null."""
    value: int | None = _optional(fields, key, int)
    if value is None or (0 <= value < limit and not isinstance(value, bool)):
        return value
    msg = f"{key} is out of range"
    raise MalformedError(msg)


def _text(fields: Mapping[str, Any], key: str) -> str | None:
    """Return a field of a condition if it is text; any other type is no condition that is known."""
    value = fields.get(key)
    return value if isinstance(value, str) else None


def _names(fields: Mapping[str, Any], key: str) -> tuple[str, ...] | None:
    values: list[Any] | None = _optional(fields, key, list)
    if values is None or all(isinstance(name, str) for name in values):
        return None if values is None else tuple(values)
    msg = f"{key} has an element that is not text"
    raise MalformedError(msg)
