"""Deduplicates exposures: an event is due for the first exposure of a unit to an outcome in each window.

A client has one `ExposureWindow`. Its state is two tables, and both live until the window ends:

* `_exposed`: outcome -> the units that were exposed to it. An outcome is the name, the rule, what it decided, and the
  `ExposureKind`; which gates were visited on the way makes no difference.
* `_sampled`: the (name, rule) pairs that have had their first, always kept exposure, where a ruleset asks for sampling.

The window ends when its owner calls `reset` (once a minute), or when `max_exposures` were counted. Then both tables are
replaced by new ones and every exposure is due again.

Invariants:

1. A unit is in a set of `_exposed` if and only if its exposure was reported as due in this window and was not taken
   back by `forget_one`.
2. `evaluation.seen` caches (table, set) for automatic exposures. The cached set is used only while its table *is*
   `_exposed`, so a new window invalidates every cache by replacing one object.
3. Only this class changes the tables. Any thread may ask (`is_new`, `is_new_kind`); sets and dicts make each single
   change atomic. Two threads that ask at the same instant may both get True; the cost is one duplicate event.
   `count`, `reset` and `forget_one` are for the owner.

Example:
    window = ExposureWindow()
    window.is_new(ada, evaluation)  # True: report it
    window.is_new(ada, evaluation)  # False: already reported in this window
    window.reset()
    window.is_new(ada, evaluation)  # True
"""

from collections.abc import Hashable, Mapping
from hashlib import blake2b
from typing import Any

import attrs

from asyncsdk._model.user_view import AS_GIVEN, exposure_unit
from asyncsdk._model.users import User
from asyncsdk._rules.compiler.evaluate import INVALID_USER, Evaluation
from asyncsdk._rules.ruleset import Ruleset

_SPECIAL_RULES = frozenset({"", "default", "disabled"})
"""Rules for which `special_case_sampling_rate` of the project replaces the rate of the rule."""

ExposureKind = tuple[str, bool]
"""The parameter of a layer, else "", and whether the exposure was logged manually. Each kind is deduplicated alone."""
AUTOMATIC: ExposureKind = ("", False)
"""The kind of an ordinary lookup."""

UNSAMPLED: Mapping[str, Any] = {}
"""Sampling metadata of an exposure that was not sampled."""


@attrs.define(eq=False, repr=False)
class ExposureWindow:
    """The exposures of the current window.

    Attributes:
        max_exposures: Maximum number of exposures in a window; reaching it starts a new one. It bounds the memory.
    """

    max_exposures: int = 100_000
    _count: int = 0
    _exposed: dict[Hashable, set[Hashable]] = attrs.Factory(dict)
    _sampled: set[Hashable] = attrs.Factory(set)

    def __repr__(self) -> str:
        return f"<ExposureWindow {self._count} of {self.max_exposures} exposures, {len(self._exposed)} outcomes>"

    def is_new(self, user: User, evaluation: Evaluation) -> bool:
        """Return whether an automatic exposure is the first of its outcome and unit in the window, and record it.

        It is not counted: the owner calls `count`. The experiments in `evaluation.consulted` have exposures of their
        own: ask for each.
        """
        window, units = evaluation.seen
        if window is not self._exposed:
            units = self._units_of(evaluation, AUTOMATIC)
            evaluation.seen = (self._exposed, units)
        # `_add_unit`, inlined: every lookup runs this, and calls cost more than it.
        view = user._view
        unit = user._user_id if view is AS_GIVEN else view.unit
        if unit is None:
            unit = exposure_unit(user)
        if unit in units:
            return False
        units.add(unit)
        return True

    def is_new_kind(self, user: User, evaluation: Evaluation, kind: ExposureKind) -> bool:
        """Return what `is_new` returns, for an exposure of any kind: a layer parameter or a manual one."""
        return _add_unit(self._units_of(evaluation, kind), user)

    def count(self, number: int) -> None:
        """Count `number` exposures as reported, and start a new window if this one is full."""
        self._count += number
        if self._count >= self.max_exposures:
            self.reset()

    def forget_one(self, user: User, evaluation: Evaluation, kind: ExposureKind) -> None:
        """Forget an exposure that could not be enqueued, so that the next one is due."""
        self._units_of(evaluation, kind).discard(exposure_unit(user))

    def reset(self) -> None:
        """Start a new window, in which every exposure is due again. The owner calls this every minute."""
        self._exposed, self._sampled, self._count = {}, set(), 0

    def _units_of(self, evaluation: Evaluation, kind: ExposureKind) -> set[Hashable]:
        """Return the units exposed to an outcome. Evaluations that differ only in the gates they visited share it."""
        key = _outcome(evaluation, kind)
        if evaluation.outcome == INVALID_USER:
            return _Unrecorded()
        units = self._exposed.get(key)
        # `setdefault`, not an assignment: another thread may have added the set since the line above.
        return self._exposed.setdefault(key, set()) if units is None else units

    def sampling(self, rules: Ruleset, user: User, evaluation: Evaluation) -> Mapping[str, Any] | None:
        """Decide whether the sampling that a ruleset asks for (`samples_exposures`) keeps an exposure.

        Returns:
            The sampling metadata of the event, empty where nothing was sampled; None if the exposure is dropped.
        """
        # 1. No sampling: the ruleset does not ask for it, or the gate forwards everything.
        if not rules.samples_exposures or evaluation.forward_all:
            return UNSAMPLED
        settings: Any = rules.facts["sdk_configs"]
        mode = settings["sampling_mode"]
        rate = settings.get("special_case_sampling_rate") if evaluation.rule_id in _SPECIAL_RULES else None
        rate = rate if isinstance(rate, int) and rate > 0 else evaluation.sampling_rate
        # 2. No rate, or the first exposure of this rule in the window: keep it.
        key = (evaluation.name, evaluation.rule_id)
        if not rate or rate < 0 or key not in self._sampled:
            self._sampled.add(key)
            return UNSAMPLED
        # 3. Keep one unit in `rate`. In `shadow` mode dropped ones are sent, too, with the decision in the metadata.
        keeps = hash((*key, exposure_unit(user))) % rate == 0
        logged = "logged" if keeps else "dropped"
        if not keeps and mode == "on":
            return None
        return {"samplingRate": rate, "samplingMode": mode, "shadowLogged": logged}


def exposure_digest(salt: bytes, user: User, evaluation: Evaluation, kind: ExposureKind) -> bytes:
    """Return 16 bytes that are the same, in any process, for exposures of which a window keeps one.

    Args:
        salt: Separates projects.
        user: The user.
        evaluation: What the user saw.
        kind: The layer's parameter, and whether the exposure is manual.
    """
    text = repr((exposure_unit(user), _outcome(evaluation, kind)))
    return blake2b(text.encode("utf-8", "backslashreplace"), digest_size=16, key=salt[:64]).digest()


def _outcome(evaluation: Evaluation, kind: ExposureKind) -> tuple[Hashable, ...]:
    outcome = evaluation.value if evaluation.is_gate else evaluation.allocated_experiment
    return evaluation.name, evaluation.is_gate, evaluation.rule_id, outcome, evaluation.passed, kind


def _add_unit(units: set[Hashable], user: User) -> bool:
    """Add the user's unit; return False if it was there already."""
    unit = exposure_unit(user)
    if unit in units:
        return False
    units.add(unit)
    return True


class _Unrecorded(set[Hashable]):
    """The users exposed to an evaluation of a user who cannot be used: each one is new."""

    def add(self, element: Hashable) -> None:
        """Do nothing."""
