"""Evaluates parameter stores.

A parameter of a store is one of: a static value, one of two values by a gate, or a parameter of a dynamic config, an
experiment or a layer. Code can read `button_color` and leave it to the console which of these it is.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import attrs

from asyncsdk._model.users import User
from asyncsdk._rules.compiler.evaluate import Evaluation
from asyncsdk._rules.language.overrides import find_unit
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
"""`ref_type` of a parameter to the kind it refers to, and the field with the name."""


@attrs.frozen(eq=False, repr=False)
class Parameter:
    """The value of a parameter for a user.

    Attributes:
        value: The value; None if the parameter is unknown or has none.
        kind: The kind that decided: `gate`, `config`, `experiment` or `layer`; None for a static value.
        evaluation: The evaluation that decided, which the caller exposes; None for a static value.
        name: The parameter that was read from `evaluation`; "" for a gate.
    """

    value: Any = None
    kind: Kind | None = None
    evaluation: Evaluation | None = None
    name: str = ""


def evaluate_parameter(rules: Ruleset, user: User, store: str, name: str, lookup: Lookup = Ruleset.lookup) -> Parameter:
    """Evaluate a parameter of a store for a user. Never raises: an unknown parameter has the value None.

    Args:
        rules: The ruleset.
        user: The user.
        store: The parameter store.
        name: The parameter.
        lookup: Evaluates what the parameter refers to.
    """
    overrides = rules.shared_context.overrides.of("parameter_store", store)
    if overrides:
        with suppress(KeyError):
            return Parameter(overrides[find_unit(overrides, user)].get(name))
    # Anything malformed below, such as a reference without a name, leaves the parameter without a value.
    fields = as_object(_parameters(rules, store).get(name)) or {}
    reference = fields.get("ref_type")
    if reference == "static":
        return Parameter(fields.get("value"))
    kind, key = _REFERENCES.get(reference, (None, "")) if isinstance(reference, str) else (None, "")
    target = fields.get(key)
    if kind is None or not isinstance(target, str):
        return Parameter()
    evaluation = lookup(rules, kind, user, target)
    if kind == "gate":
        return Parameter(fields.get("pass_value" if evaluation.value else "fail_value"), kind, evaluation)
    parameter = fields.get("param_name")
    parameter = parameter if isinstance(parameter, str) else ""
    return Parameter(evaluation.value.get(parameter), kind, evaluation, parameter)


def _parameters(rules: Ruleset, store: str) -> Mapping[str, Any]:
    raw = rules.raw("param_stores", store)
    if raw is None and rules.sections:
        rules.shared_context.on_unknown("parameter_store", store)
    return as_object(read_fields(raw, store).get("parameters")) or {}
