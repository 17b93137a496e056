"""What an exposure event says.

Its parts are constants of the evaluation, kept as bytes: per event, only the user and the time are put between them.
"""

from collections.abc import Callable, Hashable, Mapping

import orjson

from asyncsdk._model.exposures import ExposedVariant, Exposure, shared_user_fields
from asyncsdk._rules.compiler.evaluate import Evaluation, Exposed
from asyncsdk._rules.ruleset import Ruleset

_BOOLS = {True: "true", False: "false"}


def build_exposure(rules: Ruleset, found: Evaluation, *, manual: bool = False) -> Exposure:
    """Say that a user saw a gate, a dynamic config or an experiment."""
    kept: tuple[object, Exposure] | None = found.exposure
    if kept is not None and kept[0] is rules.stamp and not manual:
        return kept[1]
    parts = _gate_parts if found.is_gate else _config_parts
    if manual:
        return _cached(rules, found, ("exposure", "", True), lambda: _build(rules, found, parts, "", _MANUAL))
    kept = found.exposure = (rules.stamp, _build(rules, found, parts, "", _AUTOMATIC))
    return kept[1]


def build_layer_exposure(rules: Ruleset, found: Evaluation, parameter: str, *, manual: bool = False) -> Exposure:
    """Say that a user saw a parameter of a layer."""
    more = _MANUAL if manual else _AUTOMATIC
    key = ("exposure", parameter, manual)
    return _cached(rules, found, key, lambda: _build(rules, found, _parameter_parts, parameter, more))


_AUTOMATIC: Mapping[str, str] = {}
_MANUAL: Mapping[str, str] = {"isManualExposure": "true"}
_Parts = tuple[str, dict[str, str], tuple[Exposed, ...]]
"""An event's name, its own metadata, and the secondary exposures."""


def _cached(rules: Ruleset, found: Evaluation, key: Hashable, make: Callable[[], Exposure]) -> Exposure:
    """Give the exposure that an evaluation already has under this ruleset, or make it."""
    kept: tuple[object, Exposure] | None = found.derived.get(key)
    if kept is None or kept[0] is not rules.stamp:
        kept = found.derived[key] = (rules.stamp, make())
    return kept[1]


def _build(
    rules: Ruleset,
    found: Evaluation,
    parts: Callable[[Evaluation, str], _Parts],
    parameter: str,
    more: Mapping[str, str],
) -> Exposure:
    event_name, own, secondary = parts(found, parameter)
    metadata = orjson.dumps({**own, **_common_fields(rules, found), **more})
    tier = (rules.shared_context.environment or {}).get("tier")
    custom = orjson.dumps(fields) if (fields := rules.shared_context.global_custom) else b""
    return Exposure(event_name, metadata, orjson.dumps(exposures_to_json(secondary)), shared_user_fields(tier, custom))


def _gate_parts(found: Evaluation, _: str) -> _Parts:
    own = {"gate": found.name, "gateValue": _BOOLS[bool(found.value)], "ruleID": found.rule_id}
    return "statsig::gate_exposure", own, found.secondary


def _config_parts(found: Evaluation, _: str) -> _Parts:
    own = {"config": found.name, "ruleID": found.rule_id, "rulePassed": _BOOLS[found.passed]}
    return "statsig::config_exposure", own, found.secondary


def _parameter_parts(found: Evaluation, parameter: str) -> _Parts:
    """The experiment's exposures belong only to the parameters that it owns; the others have the layer's own."""
    is_explicit = parameter in (found.explicit_parameters or ())
    undelegated = found.secondary if found.undelegated is None else found.undelegated
    own = {
        "config": found.name,
        "ruleID": (found.parameter_rules or {}).get(parameter, found.rule_id),
        "allocatedExperiment": (found.allocated_experiment or "") if is_explicit else "",
        "parameterName": parameter,
        "isExplicitParameter": _BOOLS[is_explicit],
    }
    return "statsig::layer_exposure", own, found.secondary if is_explicit else undelegated


def exposed_variant(found: Evaluation, parameter: str = "") -> ExposedVariant | None:
    """Say in anybody's words what a user saw; None when nothing could decide it."""
    if not found.rule_id:
        return None
    if found.is_gate:
        variant = "on" if found.value else "off"
        return ExposedVariant(found.name, variant, variant)
    rule_id = (found.parameter_rules or {}).get(parameter, found.rule_id)
    variant, name, in_experiment = found.group_name or rule_id, found.name, found.is_experiment_group
    if parameter:
        owner = found.allocated_experiment if parameter in (found.explicit_parameters or ()) else None
        # A layer that merges its rules does not say that its experiment's rule is a group's.
        in_group = in_experiment or (found.parameter_rules is not None and found.group_name is not None)
        name, in_experiment = owner or name, owner is not None and in_group
    return ExposedVariant(name, variant, rule_id, in_experiment)


def exposures_to_json(exposed: tuple[Exposed, ...]) -> list[dict[str, str]]:
    """Write secondary exposures as the wire has them."""
    return [{"gate": gate, "gateValue": value, "ruleID": rule_id} for gate, value, rule_id in exposed]


def _common_fields(rules: Ruleset, found: Evaluation) -> dict[str, str]:
    fields = {"reason": rules.reason(found)}
    if rules.time_ms:
        fields |= {"lcut": str(rules.time_ms), "receivedAt": str(rules.received_at_ms)}
    if found.version is not None:
        fields["configVersion"] = str(found.version)
    if found.mapped_to is not None:
        fields["overrideConfigName"] = found.mapped_to
    return fields
