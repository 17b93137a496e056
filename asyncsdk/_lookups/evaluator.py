"""Lookups: evaluate a name for a user, report the exposure, and show the result in its public form.

Each method takes the ruleset as an argument: the verbs pass the current one, `Flags` the one that it is bound to.
Nothing here waits, locks, does I/O or raises, so all of it may be called from any thread.

An `Evaluation` is shared by all lookups that come to the same result, so it keeps its public form (`evaluation.view`),
with the stamp of the ruleset that it was built under. A lookup returns that form if the stamp is its own ruleset's.
`config` and `experiment` have this check written out, which saves them a call.
"""

import logging
import random
import time
from collections.abc import Callable, Container, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import attrs

from asyncsdk._lookups.exposures import Exposures
from asyncsdk._model.results import DynamicConfig, Experiment, FeatureGate, Layer, LookupResult, ParameterStore
from asyncsdk._model.users import User
from asyncsdk._model.validation import describe_type
from asyncsdk._rules import public_results as views
from asyncsdk._rules.compiler.evaluate import INVALID_USER, Evaluation, Program, evaluate
from asyncsdk._rules.language.overrides import Overrides
from asyncsdk._rules.language.shared_context import SharedContext
from asyncsdk._rules.parameters import Parameter, evaluate_parameter
from asyncsdk._rules.ruleset import Kind, Ruleset, empty_ruleset

if TYPE_CHECKING:
    from asyncsdk._lookups.assignments import Assignments
    from asyncsdk._rules.explain import Explanation

logger = logging.getLogger("asyncsdk")

# Maximum number of different warnings that are logged, once each.
_MAX_WARNINGS = 100

Result = TypeVar("Result", bound=LookupResult)


class RulesHolder(Protocol):
    """Holds the current ruleset: one attribute, which a refresh replaces."""

    @property
    def rules(self) -> Ruleset:
        """The ruleset that lookups read."""
        ...

    def use_overrides(self, overrides: Overrides) -> None:
        """Apply these overrides to all later lookups."""
        ...


class NoRules:
    """The rules holder of a client without a source of rules: lookups get fallbacks, and overrides work."""

    def __init__(self) -> None:
        """Create an empty ruleset."""
        self.rules = empty_ruleset(
            SharedContext(clock=lambda: int(time.time() * 1000), random=random.random), "NoValues"
        )

    def use_overrides(self, overrides: Overrides) -> None:
        """Apply these overrides to all later lookups."""
        self.rules = self.rules.with_context(attrs.evolve(self.rules.shared_context, overrides=overrides))


@attrs.define(eq=False, repr=False)
class Lookups:
    """Evaluates names under a given ruleset, and reports exposures if `exposure` is true.

    `exposure` is positional here: passing it as a keyword makes a lookup a tenth slower.

    Attributes:
        exposures: Reports exposures.
        assignments: The sticky assignments; None without a store for them. Experiments and layers then go straight to
            the ruleset, at no extra cost.
    """

    exposures: Exposures
    assignments: "Assignments | None" = None
    _find_experiment: Callable[[Ruleset, User, str], Evaluation] = attrs.field(init=False)
    _find_layer: Callable[[Ruleset, User, str], Evaluation] = attrs.field(init=False)
    _warned: set[str] = attrs.field(init=False, factory=set)

    # Chosen once per client: without a store, lookups do not even ask whether there is one.
    @_find_experiment.default
    def _experiment_finder(self) -> Callable[[Ruleset, User, str], Evaluation]:
        return Ruleset.experiment if self.assignments is None else self.assignments.experiment

    @_find_layer.default
    def _layer_finder(self) -> Callable[[Ruleset, User, str], Evaluation]:
        return Ruleset.layer if self.assignments is None else self.assignments.layer

    def program_of_no_name(self, rules: Ruleset, kind: Kind, name: object) -> Program:
        """Return the program of a name that is no text, and say so in the log, once for each type."""
        if type(text := _as_plain_text(name)) is str:  # of a kind that cannot be hashed or compared
            return rules.find(kind, text)
        self.exposures.warn_once(f"names are text, but that of the {kind} is {describe_type(name)}")
        return rules.find(kind, name)

    def plain_name(self, rules: Ruleset, name: object) -> str:
        """Return a name as plain text; for one that is no text, one that no rules have."""
        text = _as_plain_text(name)
        return text if type(text) is str else self.program_of_no_name(rules, "gate", name).name

    def find(self, rules: Ruleset, kind: Kind, user: User, name: str) -> Evaluation:
        """Evaluate a name of any kind, without reporting an exposure."""
        if kind == "experiment":
            return self._find_experiment(rules, user, name)
        return self._find_layer(rules, user, name) if kind == "layer" else rules.lookup(kind, user, name)

    def gate(self, rules: Ruleset, user: User, name: str, exposure: bool) -> Evaluation:
        """Evaluate a gate."""
        try:
            # `gates` has the programs compiled so far; `find` compiles the others.
            program = rules.gates.get(name) or rules.find("gate", name)
        except Exception:  # noqa: BLE001 -- a name that cannot be hashed
            program = self.program_of_no_name(rules, "gate", name)
        evaluation = ((memo := user._memo) and memo.get(program)) or evaluate(program, user)
        if exposure:
            if self.exposures.is_due(user, evaluation):
                self.exposures.report(rules, user, evaluation, None)
        elif evaluation.outcome is INVALID_USER:
            self.exposures.warn_of_user(user)
        return evaluation

    def config(self, rules: Ruleset, user: User, name: str, exposure: bool) -> DynamicConfig:
        """Evaluate a dynamic config."""
        try:
            program = rules.configs.get(name) or rules.find("config", name)
        except Exception:  # noqa: BLE001 -- a name that cannot be hashed
            program = self.program_of_no_name(rules, "config", name)
        evaluation = memo.get(program) if (memo := user._memo) else None
        if evaluation is None:
            evaluation = evaluate(program, user)
            if evaluation.outcome is INVALID_USER:
                self.exposures.warn_of_user(user)
        if exposure and self.exposures.is_due(user, evaluation):
            self.exposures.report(rules, user, evaluation, None)
        view: tuple[object, DynamicConfig] | None = evaluation.view
        return view[1] if view is not None and view[0] is rules.stamp else views.config(rules, evaluation)

    def experiment(self, rules: Ruleset, user: User, name: str, exposure: bool) -> Experiment:
        """Evaluate an experiment."""
        if type(name) is not str:
            name = _as_plain_text(name)
        evaluation = self._find_experiment(rules, user, name)
        if exposure:
            if self.exposures.is_due(user, evaluation):
                self.exposures.report(rules, user, evaluation, None)
        elif evaluation.outcome is INVALID_USER:
            self.exposures.warn_of_user(user)
        view: tuple[object, Experiment] | None = evaluation.view
        return view[1] if view is not None and view[0] is rules.stamp else views.experiment(rules, evaluation)

    def layer(self, rules: Ruleset, user: User, name: str, exposure: bool) -> Layer:
        """Evaluate a layer. A parameter's exposure is reported when it is read."""
        if type(name) is not str:
            name = _as_plain_text(name)
        evaluation = self._find_layer(rules, user, name)
        if evaluation.outcome is INVALID_USER:
            self.exposures.warn_of_user(user)
            exposure = False
        return views.layer(
            rules, evaluation, partial(self.exposures.report_parameter, rules, user, evaluation) if exposure else None
        )

    def store(self, rules: Ruleset, user: User, name: str, exposure: bool) -> ParameterStore:
        """Return a parameter store. Reading a parameter evaluates and reports what it refers to."""
        name = self.plain_name(rules, name)

        def find(parameter_name: str, kinds: Container[type]) -> Any:
            parameter = evaluate_parameter(rules, user, name, parameter_name, self.find)
            # A value of another type is not returned, so it is not an exposure either.
            if parameter.value.__class__ not in kinds:
                return None
            if parameter.evaluation is not None:  # else it is a constant
                self._on_reference_read(rules, user, parameter, parameter.evaluation, exposure=exposure)
            return parameter.value

        return ParameterStore(name, find)

    def _on_reference_read(
        self, rules: Ruleset, user: User, parameter: Parameter, evaluation: Evaluation, *, exposure: bool
    ) -> None:
        """Report that a parameter was read that refers to a gate, config, experiment or layer."""
        if exposure:
            self._report(rules, user, parameter.kind or "gate", evaluation, parameter.name)

    def log_exposure(self, rules: Ruleset, user: User, name: str, parameter_name: str | None) -> None:
        """Report a manual exposure, even if an automatic one was reported."""
        name = self.plain_name(rules, name)
        if not issubclass(type(parameter_name), str | None):  # `isinstance` may raise
            self._warn_once(f"log_exposure of {name!r}: the parameter is {describe_type(parameter_name)}, not text")
            return
        kinds = rules.kinds_of(name)
        # A parameter belongs to a layer, otherwise to a store, whose name a gate may have too.
        if rules.has_store(name) and (not kinds or (parameter_name is not None and "layer" not in kinds)):
            self._log_store_exposure(rules, user, name, parameter_name)
            return
        kind = kind_of(rules, name)
        self.exposures.report_manual(rules, user, kind, self.find(rules, kind, user, name), parameter_name or "")

    def _log_store_exposure(self, rules: Ruleset, user: User, store: str, parameter_name: str | None) -> None:
        """Report a manual exposure to what a parameter of a store refers to; a constant has none."""
        if parameter_name is None:
            self._warn_once(f"log_exposure of the parameter store {store!r} needs the parameter that the user saw")
            return
        parameter = evaluate_parameter(rules, user, store, parameter_name, self.find)
        if parameter.evaluation is not None and parameter.kind is not None:
            self.exposures.report_manual(rules, user, parameter.kind, parameter.evaluation, parameter.name)
        elif parameter.value is None:
            self._warn_once(f"log_exposure: the parameter store {store!r} has no parameter {parameter_name!r}")

    def _warn_once(self, message: str) -> None:
        if message not in self._warned and len(self._warned) < _MAX_WARNINGS:
            self._warned.add(message)
            logger.warning("%s; no exposure is reported", message)

    def explain(self, rules: Ruleset, user: User, name: str) -> "Explanation":
        """Return the whole decision as a tree, without reporting an exposure."""
        from asyncsdk._rules.explain import explain as explain_tree  # noqa: PLC0415 -- see `MODULES_FOR_RULES`

        name = self.plain_name(rules, name)
        kind = kind_of(rules, name)
        evaluation = self.find(rules, kind, user, name)
        if evaluation.outcome == INVALID_USER:
            self.exposures.warn_of_user(user)
        return explain_tree(rules, kind, user, name, evaluation)

    def _report(self, rules: Ruleset, user: User, kind: Kind, evaluation: Evaluation, name: str) -> None:
        if kind == "layer":
            self.exposures.report_parameter(rules, user, evaluation, name)
        elif self.exposures.is_due(user, evaluation):
            self.exposures.report(rules, user, evaluation, None)


def _as_plain_text(name: Any) -> Any:
    """Return text of a subclass, such as a `StrEnum`, as plain text; anything else as it is."""
    return str.__str__(name) if issubclass(type(name), str) else name  # `isinstance` may raise


@attrs.define(eq=False, repr=False)
class WatchedLookups(Lookups):
    """Lookups that notify watchers of their results. A client uses these once `on_evaluation` was called.

    Attributes:
        watchers: Called with the user and the result; they must not raise.
    """

    watchers: tuple[Callable[[User, LookupResult], object], ...] = ()

    def gate(self, rules: Ruleset, user: User, name: str, exposure: bool) -> Evaluation:
        """Evaluate a gate."""
        # `gate` returns the evaluation, from which `check_gate` needs only the value: the view is built for watchers.
        evaluation = super().gate(rules, user, name, exposure)
        self._notify(user, show_gate(rules, evaluation))
        return evaluation

    def config(self, rules: Ruleset, user: User, name: str, exposure: bool) -> DynamicConfig:
        """Evaluate a dynamic config."""
        return self._notify(user, super().config(rules, user, name, exposure))

    def experiment(self, rules: Ruleset, user: User, name: str, exposure: bool) -> Experiment:
        """Evaluate an experiment."""
        return self._notify(user, super().experiment(rules, user, name, exposure))

    def layer(self, rules: Ruleset, user: User, name: str, exposure: bool) -> Layer:
        """Evaluate a layer. Watchers get a copy that reports no exposure when they read it."""
        layer = super().layer(rules, user, name, exposure)
        self._notify(user, layer.with_on_read(None))
        return layer

    def _on_reference_read(
        self, rules: Ruleset, user: User, parameter: Parameter, evaluation: Evaluation, *, exposure: bool
    ) -> None:
        super()._on_reference_read(rules, user, parameter, evaluation, exposure=exposure)
        self._notify(user, _VIEWS[parameter.kind or "gate"](rules, evaluation))

    def _notify(self, user: User, result: Result) -> Result:
        for watcher in self.watchers:
            watcher(user, result)
        return result


_VIEWS: Mapping[Kind, Callable[[Ruleset, Evaluation], LookupResult]] = {
    "gate": views.gate,
    "config": views.config,
    "experiment": views.experiment,
    "layer": lambda rules, evaluation: views.layer(rules, evaluation, None),
}


def show_gate(rules: Ruleset, evaluation: Evaluation) -> FeatureGate:
    """Return a gate's result in its public form."""
    return views.gate(rules, evaluation)


def show_experiment(rules: Ruleset, evaluation: Evaluation) -> Experiment:
    """Return an experiment's result in its public form."""
    return views.experiment(rules, evaluation)


def kind_of(rules: Ruleset, name: str) -> Kind:
    """Return the kind of a name in a ruleset; an unknown name counts as a gate."""
    return next(iter(rules.kinds_of(name)), "gate")
