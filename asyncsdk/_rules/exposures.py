"""Builds the constant parts of exposure events.

All of an exposure event but the user and the time depends on the ruleset and the evaluation only. That part is encoded
once, as an `Exposure`, and cached on the evaluation; the vendor's codec adds the user and the time for each event.

A cached `Exposure` is valid for one ruleset, named by its stamp: evaluations may outlive a ruleset
(`Ruleset.adopt_programs`), while the time and the source of the ruleset are part of the event.
"""

from collections.abc import Callable, Hashable, Mapping

import orjson

from asyncsdk._model.encoding import to_json
from asyncsdk._model.exposures import ExposedVariant, Exposure, shared_user_fields
from asyncsdk._rules.compiler.evaluate import Evaluation, Exposed
from asyncsdk._rules.ruleset import Ruleset

_BOOLS = {True: "true", False: "false"}


def build_exposure(rules: Ruleset, evaluation: Evaluation, *, manual: bool = False) -> Exposure:
    """Return the exposure of a gate, a dynamic config or an experiment; `manual` if the caller logs it itself."""
    cached: tuple[object, Exposure] | None = evaluation.exposure
    if cached is not None and cached[0] is rules.stamp and not manual:
        return cached[1]
    parts = _gate_parts if evaluation.is_gate else _config_parts
    if manual:
        return _cached(rules, evaluation, ("exposure", "", True), lambda: _build(rules, evaluation, parts, "", _MANUAL))
    # A field of its own, not an entry of `derived`: nearly all exposures are automatic ones.
    cached = evaluation.exposure = (rules.stamp, _build(rules, evaluation, parts, "", _AUTOMATIC))
    return cached[1]


def build_layer_exposure(rules: Ruleset, evaluation: Evaluation, parameter: str, *, manual: bool = False) -> Exposure:
    """Return the exposure of a layer parameter; `manual` if the caller logs it itself."""
    more = _MANUAL if manual else _AUTOMATIC
    key = ("exposure", parameter, manual)
    return _cached(rules, evaluation, key, lambda: _build(rules, evaluation, _parameter_parts, parameter, more))


_AUTOMATIC: Mapping[str, str] = {}
_MANUAL: Mapping[str, str] = {"isManualExposure": "true"}
_Parts = tuple[str, dict[str, str], tuple[Exposed, ...]]
"""The event name, the metadata that only this kind of event has, and the secondary exposures."""


def _cached(rules: Ruleset, evaluation: Evaluation, key: Hashable, build: Callable[[], Exposure]) -> Exposure:
    """Return the exposure that is cached on the evaluation for this ruleset; build and cache it if there is none."""
    cached: tuple[object, Exposure] | None = evaluation.derived.get(key)
    if cached is None or cached[0] is not rules.stamp:
        cached = evaluation.derived[key] = (rules.stamp, build())
    return cached[1]


def _build(
    rules: Ruleset,
    evaluation: Evaluation,
    parts: Callable[[Evaluation, str], _Parts],
    parameter: str,
    more: Mapping[str, str],
) -> Exposure:
    event_name, own, secondary = parts(evaluation, parameter)
    metadata = to_json({**own, **_common_fields(rules, evaluation), **more}, "exposure")  # a name may have surrogates
    # Fields of every user. They are constants of the ruleset, unlike those of the user itself.
    tier = (rules.shared_context.environment or {}).get("tier")
    custom = orjson.dumps(fields) if (fields := rules.shared_context.global_custom) else b""
    return Exposure(event_name, metadata, orjson.dumps(exposures_to_json(secondary)), shared_user_fields(tier, custom))


def _gate_parts(evaluation: Evaluation, _: str) -> _Parts:
    own = {"gate": evaluation.name, "gateValue": _BOOLS[bool(evaluation.value)], "ruleID": evaluation.rule_id}
    return "statsig::gate_exposure", own, evaluation.secondary


def _config_parts(evaluation: Evaluation, _: str) -> _Parts:
    own = {"config": evaluation.name, "ruleID": evaluation.rule_id, "rulePassed": _BOOLS[evaluation.passed]}
    return "statsig::config_exposure", own, evaluation.secondary


def _parameter_parts(evaluation: Evaluation, parameter: str) -> _Parts:
    """Return the parts for a layer parameter; only one that the experiment owns has the experiment's exposures."""
    is_explicit = parameter in (evaluation.explicit_parameters or ())
    undelegated = evaluation.secondary if evaluation.undelegated is None else evaluation.undelegated
    own = {
        "config": evaluation.name,
        "ruleID": (evaluation.parameter_rules or {}).get(parameter, evaluation.rule_id),
        "allocatedExperiment": (evaluation.allocated_experiment or "") if is_explicit else "",
        "parameterName": parameter,
        "isExplicitParameter": _BOOLS[is_explicit],
    }
    return "statsig::layer_exposure", own, evaluation.secondary if is_explicit else undelegated


def exposed_variant(evaluation: Evaluation, parameter: str = "") -> ExposedVariant | None:
    """Return the exposed variant in vendor-neutral terms; None if no rule decided.

    Args:
        evaluation: The evaluation.
        parameter: The layer parameter that was read; "" for anything but a layer.
    """
    if not evaluation.rule_id:
        return None  # unknown, unsupported, or nested too deeply
    if evaluation.is_gate:
        variant = "on" if evaluation.value else "off"
        return ExposedVariant(evaluation.name, variant, variant)
    rule_id = (evaluation.parameter_rules or {}).get(parameter, evaluation.rule_id)
    variant, name = evaluation.group_name or rule_id, evaluation.name
    in_experiment = evaluation.is_experiment_group or (evaluation.is_bandit and evaluation.passed)
    if parameter:
        owner = evaluation.allocated_experiment if parameter in (evaluation.explicit_parameters or ()) else None
        # A layer that merges its rules does not record whether the experiment's rule is a group, so a name has to do.
        in_group = in_experiment or (evaluation.parameter_rules is not None and evaluation.group_name is not None)
        name, in_experiment = owner or name, owner is not None and in_group
    return ExposedVariant(name, variant, rule_id, in_experiment)


def exposures_to_json(exposed: tuple[Exposed, ...]) -> list[dict[str, str]]:
    """Return secondary exposures as the objects of the wire format."""
    return [{"gate": gate, "gateValue": value, "ruleID": rule_id} for gate, value, rule_id in exposed]


def _common_fields(rules: Ruleset, evaluation: Evaluation) -> dict[str, str]:
    fields = {"reason": rules.reason(evaluation)}
    if rules.time_ms:
        fields |= {"lcut": str(rules.time_ms), "receivedAt": str(rules.received_at_ms)}
    if evaluation.version is not None:
        fields["configVersion"] = str(evaluation.version)
    if evaluation.mapped_to is not None:
        fields["overrideConfigName"] = evaluation.mapped_to
    return fields
