"""Which evaluations are worth an exposure event: the first of a user and an outcome in each window."""

from collections.abc import Hashable, Mapping
from contextlib import suppress
from typing import Any

import attrs

from asyncsdk._model.users import User
from asyncsdk._rules.compiler.evaluate import Evaluation
from asyncsdk._rules.language.values import as_object, as_text
from asyncsdk._rules.ruleset import Ruleset

_SPECIAL_RULES = frozenset({"", "default", "disabled"})

ExposureKind = tuple[str, bool]
"""How something is told of: the parameter of a layer, else "", and whether somebody reports it by hand."""
AUTOMATIC: ExposureKind = ("", False)

UNSAMPLED: Mapping[str, Any] = {}
"""What an exposure says of sampling when there is none."""


@attrs.define(eq=False)
class ExposureWindow:
    """Exposures of the current window.

    Attributes:
        max_exposures: How many are remembered; then the window starts anew.
    """

    max_exposures: int = 100_000
    _count: int = 0
    _seen: dict[Hashable, set[Hashable]] = attrs.Factory(dict)
    _sampled: set[Hashable] = attrs.Factory(set)

    def is_new(self, user: User, found: Evaluation) -> bool:
        """Say whether this exposure is the first of its kind in the window, and remember it.

        It is not counted: the owner calls `count`. Experiments in `found.consulted` are exposures of their own: ask
        for each.
        """
        window, seen = found.seen
        if window is not self._seen:
            seen = self._open(found, AUTOMATIC)
            found.seen = (self._seen, seen)
        try:  # `_add_user`, written out: every lookup comes this way
            unit = user.user_id
            key = unit if unit and not user.custom_ids else _unit_key(user)
            if key in seen:
                return False
            seen.add(key)
        except _UNHASHABLE:
            pass
        return True

    def is_new_kind(self, user: User, found: Evaluation, how: ExposureKind) -> bool:
        """Say that of what is told otherwise than usual."""
        return _add_user(self._open(found, how), user)

    def count(self, number: int) -> None:
        """Count exposures; a full window is followed by a new one."""
        self._count += number
        if self._count >= self.max_exposures:
            self.reset()

    def forget_one(self, user: User, found: Evaluation, how: ExposureKind) -> None:
        """Forget one exposure, which could not be queued: it is new again."""
        with suppress(*_UNHASHABLE):
            self._open(found, how).discard(_unit_key(user))

    def reset(self) -> None:
        """Start a new window: what is exposed again is new again. The owner calls this every minute."""
        self._seen, self._sampled, self._count = {}, set(), 0

    def _open(self, found: Evaluation, how: ExposureKind) -> set[Hashable]:
        """Find the users of an outcome; evaluations that differ only in what was looked at on the way share them."""
        outcome = found.value if found.is_gate else found.allocated_experiment
        key = (found.name, found.is_gate, found.rule_id, outcome, found.passed, how)
        seen = self._seen.get(key)
        return self._seen.setdefault(key, set()) if seen is None else seen

    def sampling(self, rules: Ruleset, user: User, found: Evaluation) -> Mapping[str, Any] | None:
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
        keeps = hash((*key, _unit_key(user))) % rate == 0
        logged = "logged" if keeps else "dropped"
        if not keeps and mode == "on":
            return None
        return {"samplingRate": rate, "samplingMode": mode, "shadowLogged": logged}


# What ids raise that are none, and no keys either: a lookup never raises, and reports such users each time.
_UNHASHABLE = (TypeError, ValueError)


def _add_user(seen: set[Hashable], user: User) -> bool:
    """Add a user; False when they were there."""
    try:
        key = _unit_key(user)
        if key in seen:
            return False
        seen.add(key)
    except _UNHASHABLE:
        pass
    return True


def _unit_key(user: User) -> Hashable:
    unit, ids = user.user_id, user.custom_ids
    if unit and not ids:
        return unit
    # Visitors are told apart as on the wire, where this is their `stableID`.
    visitor = None if unit else user.device_id or user.anonymous_id
    return unit, _custom_ids_key(ids), visitor


def _custom_ids_key(ids: Any) -> tuple[tuple[str, str], ...]:
    fields = as_object(ids) or {}
    return tuple(sorted((str(name), as_text(value) or "") for name, value in fields.items())) if fields else ()
