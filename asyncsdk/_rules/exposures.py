"""Which evaluations are worth an exposure event, and what such an event says.

An exposure of the same user to the same outcome counts once per window. Its parts are constants of the evaluation,
kept as bytes: what is left to do per event is to put the user and the time between them.
"""

from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from typing import Any

import attrs
import orjson

from asyncsdk._model.exposures import Exposure, Seen, everyone
from asyncsdk._model.users import User
from asyncsdk._rules.compiler.evaluate import Evaluation, Exposed
from asyncsdk._rules.language.values import as_object, text
from asyncsdk._rules.ruleset import Ruleset

_SPECIAL_RULES = frozenset({"", "default", "disabled"})
_BOOLS = {True: "true", False: "false"}


def exposure_of(rules: Ruleset, found: Evaluation, *, manual: bool = False) -> Exposure:
    """Say that a user saw a gate, a dynamic config or an experiment."""
    kept: tuple[object, Exposure] | None = found.exposure
    if kept is not None and kept[0] is rules.stamp and not manual:
        return kept[1]
    parts = _of_gate if found.is_gate else _of_config
    if manual:
        return _kept(rules, found, ("exposure", "", True), lambda: _made(rules, found, parts, "", _MANUAL))
    kept = found.exposure = (rules.stamp, _made(rules, found, parts, "", _AUTOMATIC))
    return kept[1]


def layer_exposure(rules: Ruleset, found: Evaluation, parameter: str, *, manual: bool = False) -> Exposure:
    """Say that a user saw a parameter of a layer."""
    more = _MANUAL if manual else _AUTOMATIC
    key = ("exposure", parameter, manual)
    return _kept(rules, found, key, lambda: _made(rules, found, _of_parameter, parameter, more))


_AUTOMATIC: Mapping[str, str] = {}
_MANUAL: Mapping[str, str] = {"isManualExposure": "true"}
_Parts = tuple[str, dict[str, str], tuple[Exposed, ...]]
"""An event's name, its own metadata, and the secondary exposures."""


def _kept(rules: Ruleset, found: Evaluation, key: Hashable, make: Callable[[], Exposure]) -> Exposure:
    """Give the exposure that an evaluation already has under this ruleset, or make it."""
    kept: tuple[object, Exposure] | None = found.notes.get(key)
    if kept is None or kept[0] is not rules.stamp:
        kept = found.notes[key] = (rules.stamp, make())
    return kept[1]


def _made(
    rules: Ruleset,
    found: Evaluation,
    parts: Callable[[Evaluation, str], _Parts],
    parameter: str,
    more: Mapping[str, str],
) -> Exposure:
    event_name, own, secondary = parts(found, parameter)
    metadata = orjson.dumps({**own, **_common(rules, found), **more})
    tier = (rules.surroundings.environment or {}).get("tier")
    custom = orjson.dumps(fields) if (fields := rules.surroundings.global_custom) else b""
    return Exposure(event_name, metadata, orjson.dumps(as_json(secondary)), everyone(tier, custom))


def _of_gate(found: Evaluation, _: str) -> _Parts:
    own = {"gate": found.name, "gateValue": _BOOLS[bool(found.value)], "ruleID": found.rule_id}
    return "statsig::gate_exposure", own, found.secondary


def _of_config(found: Evaluation, _: str) -> _Parts:
    own = {"config": found.name, "ruleID": found.rule_id, "rulePassed": _BOOLS[found.passed]}
    return "statsig::config_exposure", own, found.secondary


def _of_parameter(found: Evaluation, parameter: str) -> _Parts:
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


def seen(found: Evaluation, parameter: str = "") -> Seen | None:
    """Say in anybody's words what a user saw; None when nothing could decide it."""
    if not found.rule_id:
        return None
    if found.is_gate:
        variant = "on" if found.value else "off"
        return Seen(found.name, variant, variant)
    rule_id = (found.parameter_rules or {}).get(parameter, found.rule_id)
    variant, name, in_experiment = found.group_name or rule_id, found.name, found.is_experiment_group
    if parameter:
        owner = found.allocated_experiment if parameter in (found.explicit_parameters or ()) else None
        # A layer that merges its rules does not say that its experiment's rule is a group's.
        in_group = in_experiment or (found.parameter_rules is not None and found.group_name is not None)
        name, in_experiment = owner or name, owner is not None and in_group
    return Seen(name, variant, rule_id, in_experiment)


def as_json(exposed: tuple[Exposed, ...]) -> list[dict[str, str]]:
    """Write secondary exposures as the wire has them."""
    return [{"gate": gate, "gateValue": value, "ruleID": rule_id} for gate, value, rule_id in exposed]


def _common(rules: Ruleset, found: Evaluation) -> dict[str, str]:
    fields = {"reason": rules.reason(found)}
    if rules.time_ms:
        fields |= {"lcut": str(rules.time_ms), "receivedAt": str(rules.received_at_ms)}
    if found.version is not None:
        fields["configVersion"] = str(found.version)
    if found.mapped_to is not None:
        fields["overrideConfigName"] = found.mapped_to
    return fields


How = tuple[str, bool]
"""How something is told of: the parameter of a layer, else "", and whether somebody reports it by hand."""
USUAL: How = ("", False)

UNSAMPLED: Mapping[str, Any] = {}
"""What an exposure says of sampling when there is none."""


@attrs.define(eq=False)
class Recent:
    """Exposures of the current window.

    Attributes:
        most: How many are remembered; then the window starts anew.
    """

    most: int = 100_000
    _count: int = 0
    _seen: dict[Hashable, set[Hashable]] = attrs.Factory(dict)
    _sampled: set[Hashable] = attrs.Factory(set)

    def is_new(self, user: User, found: Evaluation) -> bool:
        """Say whether this exposure is the first of its kind in the window, and remember it.

        It is not counted: the owner calls `grow`. Experiments in `found.consulted` are exposures of their own: ask
        for each.
        """
        window, seen = found.seen
        if window is not self._seen:
            seen = self._open(found, USUAL)
            found.seen = (self._seen, seen)
        try:  # `_add`, written out: every lookup comes this way
            unit = user.user_id
            key = unit if unit and not user.custom_ids else _key(user)
            if key in seen:
                return False
            seen.add(key)
        except _NO_KEY:
            pass
        return True

    def is_new_of(self, user: User, found: Evaluation, how: How) -> bool:
        """Say that of what is told otherwise than usual."""
        return _add(self._open(found, how), user)

    def grow(self, number: int) -> None:
        """Count exposures; a full window is followed by a new one."""
        self._count += number
        if self._count >= self.most:
            self.forget()

    def unsee(self, user: User, found: Evaluation, how: How) -> None:
        """Forget one exposure, which could not be queued: it is new again."""
        with suppress(*_NO_KEY):
            self._open(found, how).discard(_key(user))

    def forget(self) -> None:
        """Start a new window: what is exposed again is new again. The owner calls this every minute."""
        self._seen, self._sampled, self._count = {}, set(), 0

    def _open(self, found: Evaluation, how: How) -> set[Hashable]:
        """Find the users of an outcome; evaluations that differ only in what was looked at on the way share them."""
        outcome = found.value if found.is_gate else found.allocated_experiment
        key = (found.name, found.is_gate, found.rule_id, outcome, found.passed, how)
        seen = self._seen.get(key)
        return self._seen.setdefault(key, set()) if seen is None else seen

    def sample(self, rules: Ruleset, user: User, found: Evaluation) -> Mapping[str, Any] | None:
        """Say whether the sampling that a ruleset asks for (`samples_exposures`) keeps an exposure.

        The first of each rule in a window is kept, and so is whatever passed a gate that is never sampled.
        """
        if not rules.samples_exposures or found.forward_all:
            return UNSAMPLED
        settings: Any = rules.facts["sdk_configs"]
        mode = settings["sampling_mode"]
        rate = settings.get("special_case_sampling_rate") if found.rule_id in _SPECIAL_RULES else None
        rate = rate if isinstance(rate, int) and rate > 0 else found.sampling_rate
        key = (found.name, found.rule_id)
        if not rate or rate < 0 or key not in self._sampled:
            self._sampled.add(key)
            return UNSAMPLED
        keeps = hash((*key, _key(user))) % rate == 0
        logged = "logged" if keeps else "dropped"
        if not keeps and mode == "on":
            return None
        return {"samplingRate": rate, "samplingMode": mode, "shadowLogged": logged}


# What ids raise that are none, and no keys either: a lookup never raises, and reports such users each time.
_NO_KEY = (TypeError, ValueError)


def _add(seen: set[Hashable], user: User) -> bool:
    """Add a user; False when they were there."""
    try:
        key = _key(user)
        if key in seen:
            return False
        seen.add(key)
    except _NO_KEY:
        pass
    return True


def _key(user: User) -> Hashable:
    unit, ids = user.user_id, user.custom_ids
    if unit and not ids:
        return unit
    # Visitors are told apart as on the wire, where this is their `stableID`.
    visitor = None if unit else user.device_id or user.anonymous_id
    return unit, _ids(ids), visitor


def _ids(ids: Any) -> tuple[tuple[str, str], ...]:
    fields = as_object(ids) or {}
    return tuple(sorted((str(name), text(value) or "") for name, value in fields.items())) if fields else ()
