"""Exposures that a fake client records in a list."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from asyncsdk._lifecycle import Lifecycle
from asyncsdk._lookups.exposures import Exposures
from asyncsdk._lookups.shared_exposures import Prebuilt
from asyncsdk._model.ids import Ids
from asyncsdk._model.receipts import Record
from asyncsdk._model.users import User
from asyncsdk._rules.compiler.evaluate import Evaluation
from asyncsdk._rules.exposure_window import AUTOMATIC
from asyncsdk._rules.ruleset import Ruleset


@attrs.frozen
class RecordedExposure:
    """A user's exposure to a gate, config, experiment or layer parameter.

    Attributes:
        user: The user.
        name: The gate, config, experiment or layer.
        value: Whether the gate was open; otherwise all parameters.
        group: The group of the experiment; None if there is none.
        parameter: The parameter of the layer that was read; "" for others.
        reason: Why, as in `Details.reason`: `Bootstrap:Recognized`, `Bootstrap:Unrecognized` for an unknown name.
        is_manual: Whether it was reported by `log_exposure`.
    """

    user: User
    name: str
    value: Any
    group: str | None = None
    parameter: str = ""
    reason: str = ""
    is_manual: bool = False


class RecordedExposures(Exposures):
    """Exposures that go to a list."""

    def __init__(
        self, life: Lifecycle, recorded: list[RecordedExposure] | None, redact: Callable[[User], User]
    ) -> None:
        super().__init__(life, (), Ids(), redact=redact, enqueue_for=_never_called, statsig_lane=None)
        self._recorded = [] if recorded is None else recorded
        if recorded is not None:  # otherwise it has no takers, so nothing is due
            self._has_takers = True
            self.is_due = self.window.is_new

    def report(self, rules: Ruleset, user: User, evaluation: Evaluation, prebuilt: Prebuilt | None) -> None:
        """Record an exposure that is due."""
        self.warn_of_user(user)
        parameter, is_manual = AUTOMATIC if prebuilt is None else prebuilt[1]
        name, reason = evaluation.name, rules.reason(evaluation)
        value = copy.deepcopy(evaluation.value)
        user = self._redact(user)
        self._recorded.append(RecordedExposure(user, name, value, evaluation.group_name, parameter, reason, is_manual))


def _never_called(_: object) -> Callable[[Sequence[Record]], bool]:
    raise NotImplementedError
