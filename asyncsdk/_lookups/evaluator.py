"""Lookups: what the current rules say to a user. Nothing here waits, locks, does IO or raises."""

import random
import time
from collections.abc import Callable, Container, Mapping
from functools import partial
from typing import Any, Protocol, TypeVar

import attrs

from asyncsdk._lookups.assignments import Assignments
from asyncsdk._lookups.exposures import Exposures
from asyncsdk._model.results import DynamicConfig, Experiment, FeatureGate, Layer, LookupResult, ParameterStore
from asyncsdk._model.users import User
from asyncsdk._rules import public_results as views
from asyncsdk._rules.compiler.evaluate import Evaluation, evaluate
from asyncsdk._rules.explain import Explanation
from asyncsdk._rules.explain import explain as explain_tree
from asyncsdk._rules.language.overrides import Overrides
from asyncsdk._rules.language.shared_context import SharedContext
from asyncsdk._rules.parameters import Parameter, evaluate_parameter
from asyncsdk._rules.ruleset import Kind, Ruleset, empty_ruleset

Told = TypeVar("Told", bound=LookupResult)


class RulesHolder(Protocol):
    """Where the current rules are: one attribute, replaced whole."""

    rules: Ruleset

    def use_overrides(self, overrides: Overrides) -> None:
        """Let these overrides answer from now on."""
        ...


class NoRules:
    """Stands where a client has no source of rules: it knows no name, and answers fallbacks and overrides."""

    def __init__(self) -> None:
        """Know nothing."""
        self.rules = empty_ruleset(
            SharedContext(clock=lambda: int(time.time() * 1000), random=random.random), "NoValues"
        )

    def use_overrides(self, overrides: Overrides) -> None:
        """Let these overrides answer from now on."""
        self.rules = self.rules.with_context(attrs.evolve(self.rules.shared_context, overrides=overrides))


def as_user_or_empty(user: object) -> User:
    """Take an id for a user. What is neither counts as a user without ids: a lookup never raises."""
    if isinstance(user, User):
        return user
    if isinstance(user, str | int) and not isinstance(user, bool):
        return User(user)
    return User()


@attrs.define(eq=False, repr=False)
class Lookups:
    """Answers from a given ruleset, and reports what users saw if `exposure` says so.

    That is no keyword here: one costs a lookup a tenth more.

    Attributes:
        exposures: Where reports go.
        assignments: Where sticky assignments are; None when nothing keeps them, which costs nothing.
    """

    exposures: Exposures
    assignments: Assignments | None = None
    _find_experiment: Callable[[Ruleset, User, str], Evaluation] = attrs.field(init=False)
    _find_layer: Callable[[Ruleset, User, str], Evaluation] = attrs.field(init=False)

    @_find_experiment.default
    def _experiment_finder(self) -> Callable[[Ruleset, User, str], Evaluation]:
        return Ruleset.experiment if self.assignments is None else self.assignments.experiment

    @_find_layer.default
    def _layer_finder(self) -> Callable[[Ruleset, User, str], Evaluation]:
        return Ruleset.layer if self.assignments is None else self.assignments.layer

    def find(self, rules: Ruleset, kind: Kind, user: User, name: str) -> Evaluation:
        """Evaluate a name of a kind that is only known now; nothing is reported."""
        if kind == "experiment":
            return self._find_experiment(rules, user, name)
        return self._find_layer(rules, user, name) if kind == "layer" else rules.lookup(kind, user, name)

    def gate(self, rules: Ruleset, user: User, name: str, exposure: bool) -> Evaluation:
        """Evaluate a gate."""
        found = evaluate(rules.gates.get(name) or rules.find("gate", name), user)
        if exposure and self.exposures.is_due(user, found):
            self.exposures.report(rules, user, found, None)
        return found

    def config(self, rules: Ruleset, user: User, name: str, exposure: bool) -> DynamicConfig:
        """Evaluate a dynamic config."""
        found = evaluate(rules.configs.get(name) or rules.find("config", name), user)
        if exposure and self.exposures.is_due(user, found):
            self.exposures.report(rules, user, found, None)
        kept: tuple[object, DynamicConfig] | None = found.view
        return kept[1] if kept is not None and kept[0] is rules.stamp else views.config(rules, found)

    def experiment(self, rules: Ruleset, user: User, name: str, exposure: bool) -> Experiment:
        """Evaluate an experiment."""
        found = self._find_experiment(rules, user, name)
        if exposure and self.exposures.is_due(user, found):
            self.exposures.report(rules, user, found, None)
        kept: tuple[object, Experiment] | None = found.view
        return kept[1] if kept is not None and kept[0] is rules.stamp else views.experiment(rules, found)

    def layer(self, rules: Ruleset, user: User, name: str, exposure: bool) -> Layer:
        """Evaluate a layer; a parameter is reported when it is read."""
        found = self._find_layer(rules, user, name)
        return views.layer(rules, found, partial(self.exposures.parameter, rules, user, found) if exposure else None)

    def store(self, rules: Ruleset, user: User, name: str, exposure: bool) -> ParameterStore:
        """Give a parameter store; what a parameter stands for is reported when it is read."""

        def find(wanted: str, kinds: Container[type]) -> Any:
            found = evaluate_parameter(rules, user, name, wanted, self.find)
            if found.value.__class__ not in kinds:
                return None
            if found.evaluation is not None:
                self._read_through(rules, user, found, found.evaluation, exposure=exposure)
            return found.value

        return ParameterStore(name, find)

    def _read_through(
        self, rules: Ruleset, user: User, found: Parameter, evaluation: Evaluation, *, exposure: bool
    ) -> None:
        """Take note that a store's parameter was read, which stands for something else."""
        if exposure:
            self._report(rules, user, found.kind or "gate", evaluation, found.name)

    def log_exposure(self, rules: Ruleset, user: User, name: str, parameter_name: str | None) -> None:
        """Report that a user saw something, whatever was reported before."""
        kind = kind_of(rules, name)
        self.exposures.manual(rules, user, kind, self.find(rules, kind, user, name), parameter_name or "")

    def explain(self, rules: Ruleset, user: User, name: str) -> Explanation:
        """Show a whole decision; nothing is reported."""
        kind = kind_of(rules, name)
        return explain_tree(rules, kind, user, name, self.find(rules, kind, user, name))

    def _report(self, rules: Ruleset, user: User, kind: Kind, found: Evaluation, name: str) -> None:
        if kind == "layer":
            self.exposures.parameter(rules, user, found, name)
        elif self.exposures.is_due(user, found):
            self.exposures.report(rules, user, found, None)


@attrs.define(eq=False, repr=False)
class WatchedLookups(Lookups):
    """Lookups that tell what they answer. A client has them from the first `on_evaluation` on.

    Attributes:
        watchers: Called with the user and the answer; they must not raise.
    """

    watchers: tuple[Callable[[User, LookupResult], object], ...] = ()

    def gate(self, rules: Ruleset, user: User, name: str, exposure: bool) -> Evaluation:
        """Evaluate a gate."""
        found = super().gate(rules, user, name, exposure)
        self._tell(user, show_gate(rules, found))
        return found

    def config(self, rules: Ruleset, user: User, name: str, exposure: bool) -> DynamicConfig:
        """Evaluate a dynamic config."""
        return self._tell(user, super().config(rules, user, name, exposure))

    def experiment(self, rules: Ruleset, user: User, name: str, exposure: bool) -> Experiment:
        """Evaluate an experiment."""
        return self._tell(user, super().experiment(rules, user, name, exposure))

    def layer(self, rules: Ruleset, user: User, name: str, exposure: bool) -> Layer:
        """Evaluate a layer; the watchers' own reading of it is no exposure."""
        answer = super().layer(rules, user, name, exposure)
        self._tell(user, answer.with_on_read(None))
        return answer

    def _read_through(
        self, rules: Ruleset, user: User, found: Parameter, evaluation: Evaluation, *, exposure: bool
    ) -> None:
        super()._read_through(rules, user, found, evaluation, exposure=exposure)
        self._tell(user, _VIEWS[found.kind or "gate"](rules, evaluation))

    def _tell(self, user: User, answer: Told) -> Told:
        for watcher in self.watchers:
            watcher(user, answer)
        return answer


_VIEWS: Mapping[Kind, Callable[[Ruleset, Evaluation], LookupResult]] = {
    "gate": views.gate,
    "config": views.config,
    "experiment": views.experiment,
    "layer": lambda rules, found: views.layer(rules, found, None),
}


def show_gate(rules: Ruleset, found: Evaluation) -> FeatureGate:
    """Give a gate's answer with its reasons."""
    return views.gate(rules, found)


def kind_of(rules: Ruleset, name: str) -> Kind:
    """Say what a name is in these rules; a name that they do not know counts as a gate."""
    return next(iter(rules.kinds_of(name)), "gate")
