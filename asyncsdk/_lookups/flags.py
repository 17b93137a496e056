"""Flags: one user's lookups under one ruleset, for the length of a request."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar, Unpack, overload

import attrs

from asyncsdk._lookups.evaluator import Lookups, show_gate
from asyncsdk._model.amplitude import Revenue
from asyncsdk._model.encoding import as_fields
from asyncsdk._model.engines import DatabaseConnection
from asyncsdk._model.event_defaults import EventDefaults, fill
from asyncsdk._model.event_objects import take_apart
from asyncsdk._model.events import Event, EventObject, Options, PropertiesLike, Track, validate_event
from asyncsdk._model.receipts import Receipt
from asyncsdk._model.results import DynamicConfig, Experiment, FeatureGate, Layer, ParameterStore
from asyncsdk._model.users import User
from asyncsdk._model.values import Shown
from asyncsdk._rules.compiler.evaluate import Evaluation
from asyncsdk._rules.ruleset import Kind, Ruleset

Result = TypeVar("Result")


@attrs.define(eq=False, repr=False)
class Flags(Shown):
    """Lookups of one user under one ruleset, without `await`: what `client.bind(user)` returns.

    For templates, properties and hot loops. Each name is evaluated once, so its result does not change, even if the
    rules are refreshed. Like the client's lookups, these never raise.

    Attributes:
        user: The user.
        accessed: What was read so far, by name: the value of a gate, the group of an experiment or layer (the rule id
            outside of a group), the rule id of a config.
    """

    user: User
    _rules: Ruleset = attrs.field(repr=False)
    _lookups: Lookups = attrs.field(repr=False)
    _put: Callable[[Event], Receipt] = attrs.field(repr=False)
    # Writes an event in a transaction of the caller's.
    _put_in: Callable[[DatabaseConnection, Event], Coroutine[Any, Any, Receipt]] = attrs.field(repr=False)
    _defaults: EventDefaults | None = attrs.field(default=None, repr=False)
    accessed: dict[str, bool | str] = attrs.field(init=False, factory=dict)
    # Evaluations of gates by name, and results of the others by kind and name.
    _memory: dict[str | tuple[str, str], Any] = attrs.field(init=False, factory=dict, repr=False)

    def check_gate(self, name: str, *, exposure: bool = True) -> bool:
        """Return whether a gate is open for the user.

        Args:
            name: The gate. An unknown one is closed.
            exposure: False reports no exposure.
        """
        try:
            evaluation: Evaluation | None = self._memory.get(name)
        except Exception:  # noqa: BLE001 -- a name that cannot be hashed
            name = self._text(name)
            evaluation = self._memory.get(name)
        if evaluation is None:
            evaluation = self._memory[name] = self._lookups.gate(self._rules, self.user, name, exposure)
        value: bool = evaluation.value
        self.accessed[name] = value
        return value

    def get_gate(self, name: str, *, exposure: bool = True) -> FeatureGate:
        """Return a gate's value with the reason for it; see `check_gate`."""
        name = self._text(name)
        self.check_gate(name, exposure=exposure)
        return show_gate(self._rules, self._memory[name])

    def get_config(self, name: str, *, exposure: bool = True) -> DynamicConfig:
        """Return a dynamic config.

        Args:
            name: The config. An unknown one has no parameters.
            exposure: False reports no exposure.
        """
        name = self._text(name)
        config = self._once(
            "config", name, lambda: self._lookups.config(self._rules, self.user, name, exposure=exposure)
        )
        self.accessed[name] = config.rule_id  # configs have no groups
        return config

    def get_experiment(self, name: str, *, exposure: bool = True) -> Experiment:
        """Return an experiment.

        Args:
            name: The experiment. An unknown one has no parameters and no group.
            exposure: False reports no exposure.
        """
        name = self._text(name)
        experiment = self._once(
            "experiment", name, lambda: self._lookups.experiment(self._rules, self.user, name, exposure=exposure)
        )
        self.accessed[name] = experiment.group or experiment.rule_id
        return experiment

    def get_layer(self, name: str, *, exposure: bool = True) -> Layer:
        """Return a layer. Reading one of its parameters reports the exposure to that parameter.

        Args:
            name: The layer. An unknown one has no parameters.
            exposure: False reports no exposures.
        """
        name = self._text(name)
        layer = self._once("layer", name, lambda: self._lookups.layer(self._rules, self.user, name, exposure=exposure))
        self.accessed[name] = layer.group or layer.rule_id
        return layer

    def get_parameter_store(self, name: str, *, exposure: bool = True) -> ParameterStore:
        """Return a parameter store. Reading a parameter reports the exposure to what it refers to.

        Args:
            name: The store. An unknown one has no parameters.
            exposure: False reports no exposures.
        """
        name = self._text(name)
        return self._once("store", name, lambda: self._lookups.store(self._rules, self.user, name, exposure=exposure))

    def kinds_of(self, name: str) -> tuple[Kind, ...]:
        """Return the kinds that have a name, some of `config`, `experiment`, `layer`, `gate`; nothing is evaluated."""
        return self._rules.kinds_of(name)

    @overload
    def track(
        self,
        event: str | Revenue | EventObject,
        properties: PropertiesLike | None = None,
        *,
        connection: None = None,
        **options: Unpack[Options],
    ) -> Receipt: ...

    @overload
    def track(
        self,
        event: str | Revenue | EventObject,
        properties: PropertiesLike | None = None,
        *,
        connection: DatabaseConnection,
        **options: Unpack[Options],
    ) -> Coroutine[Any, Any, Receipt]: ...

    def track(
        self,
        event: str | Revenue | EventObject,
        properties: PropertiesLike | None = None,
        *,
        connection: DatabaseConnection | None = None,
        **options: Unpack[Options],
    ) -> Receipt | Coroutine[Any, Any, Receipt]:
        """Record what the user did, without waiting. The event has the property `feature_flags`: what was `accessed`.

        With `connection` it has to be awaited: `await flags.track("Order Completed", connection=session)`.

        Args:
            event: The event's name, not empty; or a `Revenue`, or an event object, as for the client's `track`.
            properties: Details of the event. None sends `feature_flags` only. Your own `feature_flags` win.
            connection: Write the event in this transaction, as the client's verbs do. None admits it at once.
            **options: The keywords that all event verbs take.

        Returns:
            The receipt of the admitted event; with `connection`, a coroutine that returns it.

        Raises:
            InvalidEventError: No vendor could accept the event, or an async middleware waits for something.
            QueueFullError: The queue of a destination with `overflow="raise"` or `"wait"` is full.
            ClientClosedError: The client is not started, or it is closed.
            ForkedProcessError: The client was started in the parent process.
            TransactionError: The connection cannot write the event.
        """
        if self.accessed:
            event, properties = self._with_accessed(event, properties)
        made = Track(self.user, event, properties, **options)  # type: ignore[arg-type] # a model: `validate_event` converts it to a mapping
        filled = made if self._defaults is None else self._with_defaults(made, self._defaults)
        return self._put(filled) if connection is None else self._put_in(connection, filled)

    def _with_defaults(self, event: Track, defaults: EventDefaults) -> Event:
        """Return an event with the defaults of these flags; one that is invalid as it is, for admission to refuse."""
        try:
            validate_event(event)
        except Exception:  # noqa: BLE001 -- a value of the caller's may raise anything
            return event
        # Admission refuses what is not a mapping, and names it.
        for name in ("properties", "context"):
            given: Any = getattr(defaults, name)
            if given is not None and not isinstance(given, Mapping):
                return attrs.evolve(event, **{name: given})
        return fill(event, (defaults,))

    def _with_accessed(self, event: Any, properties: Any) -> tuple[Any, Any]:
        """Return an event's name and properties, with `feature_flags` if admission would not refuse them anyway."""
        if type(event) is str and type(properties) is dict:  # the usual types, at a third of the cost
            return event, {"feature_flags": self.accessed.copy(), **properties}
        given = {} if properties is None else properties
        try:
            mine = given if isinstance(given, Mapping) else as_fields(given)
            name, own = (None if isinstance(event, str) else take_apart(event)) or (event, {})
            if mine is not None:
                # A copy: the receipt keeps the event, and more may be read later.
                return name, {"feature_flags": self.accessed.copy(), **own, **mine}
        except Exception:  # noqa: BLE001 -- a value of the caller's may raise anything
            return event, properties
        return event, properties

    def _text(self, name: object) -> str:
        """Return a name as it is; for one that is no text, and may not be hashable, one that no rules have."""
        return name if type(name) is str else self._lookups.plain_name(self._rules, name)

    def _once(self, kind: str, name: str, look_up: Callable[[], Result]) -> Result:
        result: Result | None = self._memory.get((kind, name))
        if result is None:
            result = self._memory[kind, name] = look_up()
        return result
