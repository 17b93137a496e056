"""Writes one evaluation as an entry of a client-initialize response.

An entry depends on the evaluation and the hash function only. It is encoded once and cached in `evaluation.derived`
under that function, so that most responses are a join of cached bytes.
"""

from collections.abc import Callable
from typing import Any, Literal

import attrs
import orjson

from asyncsdk._rules.compiler.evaluate import Evaluation, Exposed, Program
from asyncsdk._rules.language.specs import Spec

_DEVICE_IDS = ("stableid",)
"""ID types, in lower case, that identify a device instead of a user."""

EntryFields = Callable[[Spec, Evaluation, Callable[[str], str]], dict[str, Any]]
"""(spec, evaluation, hash function) to the fields that only this kind of entry has."""


@attrs.frozen(eq=False, repr=False)
class Entry:
    """One name of a response.

    Attributes:
        program: Its program.
        write: Encodes its evaluation.
        sticky: Its kind, if users may have a sticky assignment of it.
    """

    program: Program
    write: Callable[[Evaluation], bytes]
    sticky: Literal["experiment", "layer"] | None = None


def entry_writer(fields_of: EntryFields, spec: Spec, hash_name: Callable[[str], str]) -> Callable[[Evaluation], bytes]:
    """Return a function that encodes an evaluation of `spec` as `"name":{...}`.

    Args:
        fields_of: Returns the fields that only this kind of entry has.
        spec: The spec of the entry.
        hash_name: Hashes a name. It is also the cache key, so views with the same hash share their entries.
    """
    name = hash_name(spec.name)
    prefix = orjson.dumps(name) + b":"

    def write(evaluation: Evaluation) -> bytes:
        encoded: bytes | None = evaluation.derived.get(hash_name)
        if encoded is None:
            common = {
                "name": name,
                "value": evaluation.value,
                "rule_id": evaluation.rule_id,
                "secondary_exposures": _secondary_exposures(evaluation.secondary, hash_name),
            }
            # A gate that is overridden has none; a config then has an empty one.
            if evaluation.id_type or not evaluation.is_gate:
                common["id_type"] = evaluation.id_type
            encoded = evaluation.derived[hash_name] = prefix + orjson.dumps(
                common | fields_of(spec, evaluation, hash_name)
            )
        return encoded

    return write


def _secondary_exposures(exposed: tuple[Exposed, ...], hash_name: Callable[[str], str]) -> list[dict[str, str]]:
    return [{"gate": hash_name(gate), "gateValue": value, "ruleID": rule_id} for gate, value, rule_id in exposed]


def _gate_fields(_spec: Spec, _evaluation: Evaluation, _hash_name: Callable[[str], str]) -> dict[str, Any]:
    return {}


def config_fields(spec: Spec, evaluation: Evaluation, _hash_name: Callable[[str], str]) -> dict[str, Any]:
    """Return the fields of a dynamic config, an experiment or a bandit (entity `autotune`)."""
    fields: dict[str, Any] = {"group": evaluation.rule_id, "is_device_based": evaluation.id_type.lower() in _DEVICE_IDS}
    if spec.entity == "dynamic_config":
        return fields | {"passed": evaluation.passed}
    if evaluation.group_name is not None:
        fields["group_name"] = evaluation.group_name
    if spec.entity == "experiment":
        fields["is_user_in_experiment"] = evaluation.is_experiment_group
        fields["is_experiment_active"] = bool(evaluation.is_active)
    if evaluation.is_in_layer:
        fields["is_in_layer"] = True
    if evaluation.explicit_parameters is not None:
        fields["explicit_parameters"] = evaluation.explicit_parameters
    return fields


def _layer_fields(_spec: Spec, evaluation: Evaluation, hash_name: Callable[[str], str]) -> dict[str, Any]:
    # Exposures of the layer's own rules, reported for parameters that the experiment does not own.
    undelegated = evaluation.secondary if evaluation.undelegated is None else evaluation.undelegated
    fields: dict[str, Any] = {
        "group": evaluation.rule_id,
        "is_device_based": evaluation.id_type.lower() in _DEVICE_IDS,
        "undelegated_secondary_exposures": _secondary_exposures(undelegated, hash_name),
        "explicit_parameters": evaluation.explicit_parameters or (),
    }
    if evaluation.group_name is not None:
        fields["group_name"] = evaluation.group_name
    if evaluation.allocated_experiment is not None:
        fields["allocated_experiment_name"] = hash_name(evaluation.allocated_experiment)
        fields["is_user_in_experiment"] = evaluation.is_experiment_group
        fields["is_experiment_active"] = bool(evaluation.is_active)
    if evaluation.parameter_rules is not None:
        fields["parameter_rule_ids"] = evaluation.parameter_rules
    return fields


FIELDS_BY_KIND: dict[str, EntryFields] = {"gate": _gate_fields, "experiment": config_fields, "layer": _layer_fields}
