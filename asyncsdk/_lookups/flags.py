"""A user and one version of the rules, tied together for as long as a request lasts."""

from collections.abc import Callable
from typing import Any, TypeVar, Unpack

import attrs

from asyncsdk._lookups.evaluator import Lookups, show_gate
from asyncsdk._model.events import Event, Options, Properties, Track
from asyncsdk._model.receipts import Receipt
from asyncsdk._model.results import DynamicConfig, Experiment, FeatureGate, Layer, ParameterStore
from asyncsdk._model.users import User
from asyncsdk._rules.compiler.evaluate import Evaluation
from asyncsdk._rules.ruleset import Kind, Ruleset

Answer = TypeVar("Answer")


@attrs.define(eq=False)
class Flags:
    """What `client.bind(user)` gives: lookups that need no `await`, and never change their mind.

    For templates, properties and hot loops. A refresh that comes in between is not seen; each name is evaluated once.

    Attributes:
        user: Who.
        accessed: What was read so far: a gate's answer, or the group (else the rule) of a config, experiment or layer.
    """

    user: User
    _rules: Ruleset = attrs.field(repr=False)
    _lookups: Lookups = attrs.field(repr=False)
    _put: Callable[[Event], Receipt] = attrs.field(repr=False)
    accessed: dict[str, bool | str] = attrs.field(init=False, factory=dict)
    # Of gates by name, and of others by kind and name.
    _memory: dict[str | tuple[str, str], Any] = attrs.field(init=False, factory=dict, repr=False)

    def check_gate(self, name: str, *, exposure: bool = True) -> bool:
        """Say whether a gate is open for the user; False for an unknown one."""
        found: Evaluation | None = self._memory.get(name)
        if found is None:
            found = self._memory[name] = self._lookups.gate(self._rules, self.user, name, exposure)
        value: bool = found.value
        self.accessed[name] = value
        return value

    def get_gate(self, name: str, *, exposure: bool = True) -> FeatureGate:
        """Give a gate's answer with its reasons."""
        self.check_gate(name, exposure=exposure)
        return show_gate(self._rules, self._memory[name])

    def get_config(self, name: str, *, exposure: bool = True) -> DynamicConfig:
        """Give a dynamic config's answer; an unknown one is empty."""
        config = self._once(
            "config", name, lambda: self._lookups.config(self._rules, self.user, name, exposure=exposure)
        )
        self.accessed[name] = config.rule_id
        return config

    def get_experiment(self, name: str, *, exposure: bool = True) -> Experiment:
        """Give an experiment's answer; an unknown one is empty."""
        experiment = self._once(
            "experiment", name, lambda: self._lookups.experiment(self._rules, self.user, name, exposure=exposure)
        )
        self.accessed[name] = experiment.group or experiment.rule_id
        return experiment

    def get_layer(self, name: str, *, exposure: bool = True) -> Layer:
        """Give a layer's answer; reading a parameter reports it."""
        layer = self._once("layer", name, lambda: self._lookups.layer(self._rules, self.user, name, exposure=exposure))
        self.accessed[name] = layer.group or layer.rule_id
        return layer

    def get_parameter_store(self, name: str, *, exposure: bool = True) -> ParameterStore:
        """Give a parameter store; reading a parameter reports what it stands for."""
        return self._once("store", name, lambda: self._lookups.store(self._rules, self.user, name, exposure=exposure))

    def kinds_of(self, name: str) -> tuple[Kind, ...]:
        """Say what the rules know by a name, some of `config`, `experiment`, `layer`, `gate`, without evaluating it."""
        return self._rules.kinds_of(name)

    def track(self, event: str, properties: Properties | None = None, **options: Unpack[Options]) -> Receipt:
        """Track an event of the user without waiting; it carries what was read as the property `feature_flags`.

        Raises:
            InvalidEventError: No vendor could take it, or an async middleware waits for something.
            QueueFullError: A destination with `overflow="raise"` or `"wait"` is full.
            ClientClosedError: The client was not started, or is closed.
        """
        if self.accessed:
            properties = {"feature_flags": self.accessed.copy(), **(properties or {})}
        return self._put(Track(self.user, event, properties, **options))

    def _once(self, kind: str, name: str, ask: Callable[[], Answer]) -> Answer:
        found: Answer | None = self._memory.get((kind, name))
        if found is None:
            found = self._memory[kind, name] = ask()
        return found
