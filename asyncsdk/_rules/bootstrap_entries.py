"""How an evaluation is written in a client-initialize response."""

from collections.abc import Callable
from typing import Any

import orjson

from asyncsdk._rules.compiler.evaluate import Evaluation, Exposed
from asyncsdk._rules.language.specs import Spec

_DEVICE_IDS = ("stableid",)

Form = Callable[[Spec, Evaluation, Callable[[str], str]], dict[str, Any]]


def writer(form: Form, spec: Spec, hashed: Callable[[str], str]) -> Callable[[Evaluation], bytes]:
    name = hashed(spec.name)
    prefix = orjson.dumps(name) + b":"

    def write(found: Evaluation) -> bytes:
        written: bytes | None = found.derived.get(hashed)
        if written is None:
            common = {
                "name": name,
                "value": found.value,
                "rule_id": found.rule_id,
                "secondary_exposures": _exposed(found.secondary, hashed),
                "id_type": found.id_type,
            }
            written = found.derived[hashed] = prefix + orjson.dumps(common | form(spec, found, hashed))
        return written

    return write


def _exposed(exposed: tuple[Exposed, ...], hashed: Callable[[str], str]) -> list[dict[str, str]]:
    return [{"gate": hashed(gate), "gateValue": value, "ruleID": rule_id} for gate, value, rule_id in exposed]


def _gate(_spec: Spec, _found: Evaluation, _hashed: Callable[[str], str]) -> dict[str, Any]:
    return {}


def config_form(spec: Spec, found: Evaluation, _hashed: Callable[[str], str]) -> dict[str, Any]:
    fields: dict[str, Any] = {"group": found.rule_id, "is_device_based": found.id_type.lower() in _DEVICE_IDS}
    if spec.entity not in ("experiment", "autotune"):
        return fields | {"passed": found.passed}
    if found.group_name is not None:
        fields["group_name"] = found.group_name
    if spec.entity == "experiment":
        fields["is_user_in_experiment"] = found.is_experiment_group
        fields["is_experiment_active"] = bool(spec.is_active)
    if spec.has_shared_params:
        fields["is_in_layer"] = True
        if spec.explicit_parameters is not None:
            fields["explicit_parameters"] = spec.explicit_parameters
    return fields


def _layer(_spec: Spec, found: Evaluation, hashed: Callable[[str], str]) -> dict[str, Any]:
    undelegated = found.secondary if found.undelegated is None else found.undelegated
    fields: dict[str, Any] = {
        "group": found.rule_id,
        "is_device_based": found.id_type.lower() in _DEVICE_IDS,
        "undelegated_secondary_exposures": _exposed(undelegated, hashed),
        "explicit_parameters": found.explicit_parameters or (),
    }
    if found.group_name is not None:
        fields["group_name"] = found.group_name
    if found.allocated_experiment is not None:
        fields["allocated_experiment_name"] = hashed(found.allocated_experiment)
        fields["is_user_in_experiment"] = found.is_experiment_group
        fields["is_experiment_active"] = bool(found.is_active)
    if found.parameter_rules is not None:
        fields["parameter_rule_ids"] = found.parameter_rules
    return fields


FORMS: dict[str, Form] = {"gate": _gate, "experiment": config_form, "layer": _layer}
