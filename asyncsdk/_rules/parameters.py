"""Parameter stores: names that stand for a value, a gate's two values, or a parameter of a config or layer."""

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from asyncsdk._model.users import User
from asyncsdk._rules.compiler.evaluate import Evaluation
from asyncsdk._rules.language.specs import read_fields
from asyncsdk._rules.language.values import as_object
from asyncsdk._rules.ruleset import Kind, Ruleset

Lookup = Callable[[Ruleset, Kind, User, str], Evaluation]

_REFERENCES: dict[str, tuple[Kind, str]] = {
    "gate": ("gate", "gate_name"),
    "dynamic_config": ("config", "config_name"),
    "experiment": ("experiment", "experiment_name"),
    "layer": ("layer", "layer_name"),
}


@attrs.frozen(eq=False, repr=False)
class Parameter:
    """What a parameter of a store is for a user.

    Attributes:
        value: The value; None when there is none.
        kind: What decided: `gate`, `config`, `experiment` or `layer`; None for a static value.
        evaluation: What that answered, which is to be exposed when the parameter is read.
        name: The layer's parameter that was read.
    """

    value: Any = None
    kind: Kind | None = None
    evaluation: Evaluation | None = None
    name: str = ""


def evaluate_parameter(rules: Ruleset, user: User, store: str, name: str, lookup: Lookup = Ruleset.lookup) -> Parameter:
    """Give a parameter of a store, by looking up what it stands for. Never raises: an unknown one has no value."""
    for value in _override_of(rules, store):
        return Parameter(value.get(name))
    fields = as_object(_parameters(rules, store).get(name)) or {}
    reference = fields.get("ref_type")
    if reference == "static":
        return Parameter(fields.get("value"))
    kind, key = _REFERENCES.get(reference, (None, "")) if isinstance(reference, str) else (None, "")
    target = fields.get(key)
    if kind is None or not isinstance(target, str):
        return Parameter()
    found = lookup(rules, kind, user, target)
    if kind == "gate":
        return Parameter(fields.get("pass_value" if found.value else "fail_value"), kind, found)
    inner = fields.get("param_name")
    inner = inner if isinstance(inner, str) else ""
    return Parameter(found.value.get(inner), kind, found, inner)


def _parameters(rules: Ruleset, store: str) -> Mapping[str, Any]:
    return as_object(read_fields(rules.raw("param_stores", store), store).get("parameters")) or {}


def _override_of(rules: Ruleset, store: str) -> list[Mapping[str, Any]]:
    value = as_object(rules.shared_context.overrides.of("parameter_store", store).get(None))
    return [] if value is None else [value]
