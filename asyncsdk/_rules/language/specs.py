"""What a ruleset says, as values: specs, their rules, and the conditions of those.

Names follow the ruleset's JSON. Reading is lenient about what does not decide anything and strict about what does:
a spec whose rules cannot be understood is `MalformedError` as a whole, and costs nobody else anything.
"""

from collections.abc import Mapping
from typing import Any

import attrs
import orjson

_MAX_PARTS = 5_000


class MalformedError(ValueError):
    """Raised for JSON that is not what the ruleset language says; the text says which part."""


@attrs.define(eq=False, repr=False)
class Condition:
    """One test of a rule.

    Attributes:
        type: Where the user's value comes from, a row of `conditions.SOURCES`.
        operator: How it is compared, a row of `operators.OPERATORS`; None where nothing is compared.
        target: What it is compared with: any JSON value.
        field: Which attribute is looked at.
        salt: Salt of a bucket condition.
        id_type: Whose bucket, or which unit id.
    """

    type: str | None
    operator: str | None = None
    target: Any = None
    field: str | None = None
    salt: str = ""
    id_type: str = "userID"


@attrs.define(eq=False, repr=False)
class Rule:
    """One rule: the first whose conditions all hold decides.

    Attributes:
        conditions: Keys of the ruleset's `condition_map`, or conditions that stand in the rule itself.
        pass_percentage: 0 to 100, also fractions; the rest get the spec's default, and no later rule.
        salt: None means that the rule's id is its salt; "" stays empty.
        delegate: The experiment that decides instead, for rules of layers.
        sampling_rate: One in how many exposures is kept where sampling is on; None keeps all.
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
    """A gate, config, experiment or layer: its rules, and what holds when none of them matches."""

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
    walks_all_rules: bool = False


def parse(raw: bytes, name: str) -> Any:
    """Parse one slice of a ruleset.

    Raises:
        MalformedError: It is not JSON.
    """
    try:
        return orjson.loads(raw)
    except ValueError as error:
        msg = f"{name} is not JSON"
        raise MalformedError(msg) from error


def read_fields(raw: bytes | None, name: str) -> Mapping[str, Any]:
    """Read an object of which nothing is required; what is none has no fields."""
    try:
        found = parse(raw or b"null", name)
    except MalformedError:
        return {}
    return found if isinstance(found, dict) else {}


def read_spec(raw: bytes, name: str, *, inline: bool) -> Spec:
    """Read one spec.

    Args:
        raw: Its JSON.
        name: What it is called.
        inline: The ruleset is of the first form (v1), where a disabled spec keeps rules that must not run.

    Raises:
        MalformedError: Its rules cannot be understood.
    """
    fields = _object(parse(raw, name), name)
    enabled = _typed(fields, "enabled", bool, default=True)
    rules = tuple(map(read_rule, _bounded_rules(_typed(fields, "rules", list, default=[]))))
    return Spec(
        name,
        default=fields.get("defaultValue"),
        rules=rules if enabled or not inline else (),
        salt=_typed(fields, "salt", str, default=""),
        enabled=enabled,
        entity=_typed(fields, "entity", str, default=""),
        id_type=_typed(fields, "idType", str, default="userID"),
        version=_optional(fields, "version", int),
        is_active=_optional(fields, "isActive", bool),
        has_shared_params=_optional(fields, "hasSharedParams", bool),
        explicit_parameters=_names(fields, "explicitParameters"),
        target_app_ids=_names(fields, "targetAppIDs"),
        forward_all_exposures=_optional(fields, "forwardAllExposures", bool) is True,
        walks_all_rules=_optional(fields, "useNewLayerEval", bool) is True,
    )


def check_size(count: int) -> None:
    """Refuse what has more than 5,000 rules, conditions or groups: compiling those takes half a second.

    Raises:
        MalformedError: It has.
    """
    if count > _MAX_PARTS:
        msg = f"it has more than {_MAX_PARTS:,} rules, conditions or groups"
        raise MalformedError(msg)


def _bounded_rules(rules: list[Any]) -> list[Any]:
    conditions = (rule.get("conditions") for rule in rules if isinstance(rule, dict))
    check_size(len(rules) + sum(len(keys) for keys in conditions if isinstance(keys, list)))
    return rules


def read_rule(value: Any) -> Rule:
    """Read one rule.

    Raises:
        MalformedError: It cannot be understood.
    """
    fields = _object(value, "rule")
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
        sampling_rate=_optional(fields, "samplingRate", int),
    )


def read_condition(value: Any) -> Condition:
    """Read one condition.

    Raises:
        MalformedError: It cannot be understood.
    """
    fields = _object(value, "condition")
    additional = fields.get("additionalValues")
    salt = additional.get("salt") if isinstance(additional, dict) else None
    return Condition(
        _optional(fields, "type", str),
        operator=_optional(fields, "operator", str),
        target=fields.get("targetValue"),
        field=_optional(fields, "field", str),
        salt=salt if isinstance(salt, str) else "" if salt is None else orjson.dumps(salt).decode(),
        id_type=_typed(fields, "idType", str, default="userID"),
    )


def _condition(value: Any) -> str | Condition:
    return value if isinstance(value, str) else read_condition(value)


def _percentage(value: Any) -> float:
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
    value = fields.get(key, default)
    if value is None:
        value = default
    if isinstance(value, kind):
        return value
    msg = f"{key} is not of type {kind.__name__}"
    raise MalformedError(msg)


def _optional(fields: Mapping[str, Any], key: str, kind: type) -> Any:
    """Give a field of the wanted type, else None: what does not decide must not cost the spec."""
    value = fields.get(key)
    return value if isinstance(value, kind) else None


def _names(fields: Mapping[str, Any], key: str) -> tuple[str, ...] | None:
    value = fields.get(key)
    return tuple(name for name in value if isinstance(name, str)) if isinstance(value, list) else None
