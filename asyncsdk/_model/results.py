"""The results of lookups: gates, configs, experiments and layers, with typed getters.

A getter never raises. It returns the parameter if it exists and has the requested type, otherwise the fallback. A
parameter that is `null` counts as missing. Lists and objects are returned as copies, so changing one cannot change the
rules.
"""

from collections.abc import Callable, Container, Mapping
from typing import Any, Literal, TypeVar, overload

import attrs

from asyncsdk._model.values import Comparable, Value

Fallback = TypeVar("Fallback")
Cause = Literal["", "static", "targeting_match", "split", "default", "disabled"]

# Values come from JSON, so they have exactly these types; `kinds` are sets of them.
_TEXT, _NUMBER, _BOOL = frozenset({str}), frozenset({int, float}), frozenset({bool})
_ARRAY, _OBJECT = frozenset({list}), frozenset({dict})
_ANY_TYPE = _TEXT | _NUMBER | _BOOL | _ARRAY | _OBJECT
_TYPES_OF_FALLBACK: tuple[tuple[Any, Container[type]], ...] = (
    (bool, _BOOL),
    ((int, float), _NUMBER),
    (str, _TEXT),
    (list, _ARRAY),
    (Mapping, _OBJECT),
)


@attrs.frozen(eq=False, repr=False)
class Details(Value):
    """Why a lookup had its result.

    Attributes:
        reason: One of these, in Statsig's terms:
            `<source>:Recognized`, where the source of the rules is `Network`, `Bootstrap` or `Adapter(DataStore)` (the
            cache);
            `<source>:Unrecognized` for an unknown name;
            `<source>:Unsupported` for rules of a kind that this version does not implement;
            `<source>:InvalidUser` for a user that rules cannot read: neither a user nor an id, or a field of a wrong
            type; the log says which, once for each;
            `LocalOverride:Recognized`;
            `Persisted` for a sticky assignment;
            `Uninitialized` before any source of rules has been asked, and `NoValues` if none of them had rules;
            `Error:Statsig Evaluation Depth Exceeded` for gates nested too deeply.
        time_ms: Time of the project's last change according to the ruleset, in milliseconds since 1970; 0 without one.
        received_at_ms: Time at which that ruleset arrived, in milliseconds since 1970; 0 without one.
        version: Version of the gate or config; None if it has none.
        cause: What decided, in the terms of OpenFeature and OpenTelemetry: `targeting_match`, a rule that depends on
            the user; `split`, a percentage or an experiment's group; `static`, a rule that is the same for all users,
            or a local override; `default`, no rule matched; `disabled`; "" if there was nothing to evaluate.
    """

    reason: str
    time_ms: int = 0
    received_at_ms: int = 0
    version: int | None = None
    cause: Cause = ""


@attrs.frozen(eq=False, repr=False)
class FeatureGate(Value):
    """The result of a gate; true or false in a condition, as its `value`.

    Attributes:
        name: Name of the gate.
        value: Whether the gate is open for the user.
        rule_id: Id of the rule that decided; `default` or `disabled` if none did, "" for an unknown gate.
        group_name: Name of that rule's group; None if it has none.
        id_type: Type of the id that the gate is evaluated by, such as `userID`.
        details: Why the gate has this value.
    """

    name: str
    value: bool = False
    rule_id: str = ""
    group_name: str | None = None
    id_type: str = ""
    details: Details = Details("Uninitialized")

    def __bool__(self) -> bool:
        return self.value


class Parameters:
    """The getters shared by configs, experiments, layers and parameter stores."""

    __slots__ = ()

    def _read(self, name: str, kinds: Container[type], fallback: Any) -> Any:
        """Return a parameter if its type is in `kinds`, otherwise the fallback."""
        raise NotImplementedError

    @overload
    def get(self, name: str) -> Any: ...
    @overload
    def get(self, name: str, fallback: Fallback) -> Any | Fallback: ...
    def get(self, name: str, fallback: Any = None) -> Any:
        """Return a parameter.

        Args:
            name: Name of the parameter.
            fallback: Returned if the parameter is missing or has another JSON type than the fallback. None accepts
                any type.
        """
        value = self._read(name, _ANY_TYPE if fallback is None else _accepted_types(fallback), None)
        return fallback if value is None else copy_value(value)

    @overload
    def get_string(self, name: str) -> str | None: ...
    @overload
    def get_string(self, name: str, fallback: Fallback) -> str | Fallback: ...
    def get_string(self, name: str, fallback: Any = None) -> Any:
        """Return a string parameter, otherwise the fallback."""
        return self._read(name, _TEXT, fallback)

    @overload
    def get_number(self, name: str) -> float | None: ...
    @overload
    def get_number(self, name: str, fallback: Fallback) -> float | Fallback: ...
    def get_number(self, name: str, fallback: Any = None) -> Any:
        """Return a number parameter, an int or a float, otherwise the fallback. A boolean is not a number."""
        return self._read(name, _NUMBER, fallback)

    @overload
    def get_bool(self, name: str) -> bool | None: ...
    @overload
    def get_bool(self, name: str, fallback: Fallback) -> bool | Fallback: ...
    def get_bool(self, name: str, fallback: Any = None) -> Any:
        """Return a boolean parameter, otherwise the fallback."""
        return self._read(name, _BOOL, fallback)

    @overload
    def get_array(self, name: str) -> list[Any] | None: ...
    @overload
    def get_array(self, name: str, fallback: Fallback) -> list[Any] | Fallback: ...
    def get_array(self, name: str, fallback: Any = None) -> Any:
        """Return a copy of a list parameter, otherwise the fallback."""
        value = self._read(name, _ARRAY, None)
        return fallback if value is None else copy_value(value)

    @overload
    def get_object(self, name: str) -> dict[str, Any] | None: ...
    @overload
    def get_object(self, name: str, fallback: Fallback) -> dict[str, Any] | Fallback: ...
    def get_object(self, name: str, fallback: Any = None) -> Any:
        """Return a copy of an object parameter, otherwise the fallback."""
        value = self._read(name, _OBJECT, None)
        return fallback if value is None else copy_value(value)


@attrs.define(eq=False, repr=False)
class DynamicConfig(Parameters, Comparable):
    """The result of a dynamic config.

    Attributes:
        name: Name of the config.
        rule_id: Id of the rule that decided; `default` or `disabled` if none did, "" for an unknown config.
        id_type: Type of the id that the config is evaluated by, such as `userID`.
        details: Why the config has this value.
    """

    name: str
    _value: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    rule_id: str = ""
    id_type: str = ""
    details: Details = Details("Uninitialized")

    @property
    def value(self) -> dict[str, Any]:
        """A copy of all parameters."""
        return copy_value(self._value)  # type: ignore[no-any-return]

    def _read(self, name: str, kinds: Container[type], fallback: Any) -> Any:
        value = self._value.get(name)
        # The exact class, not `isinstance`: a boolean is not a number.
        return value if value.__class__ in kinds else fallback


@attrs.define(eq=False, repr=False)
class Experiment(Parameters, Comparable):
    """The result of an experiment.

    Attributes:
        name: Name of the experiment.
        rule_id: Id of the rule that decided; "" for an unknown experiment.
        id_type: Type of the id that the experiment is evaluated by, such as `userID`.
        group: Name of the user's group; None if the user is not in the experiment.
        details: Why the experiment has this value.
    """

    name: str
    _value: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    rule_id: str = ""
    id_type: str = ""
    group: str | None = None
    details: Details = Details("Uninitialized")

    @property
    def value(self) -> dict[str, Any]:
        """A copy of all parameters."""
        return copy_value(self._value)  # type: ignore[no-any-return]

    def _read(self, name: str, kinds: Container[type], fallback: Any) -> Any:
        value = self._value.get(name)
        return value if value.__class__ in kinds else fallback


def _ignore_read(_: str) -> None:
    """Do nothing: the `on_read` of a layer without exposures."""


@attrs.define(eq=False, repr=False)
class Layer(Parameters, Comparable):
    """The result of a layer. Reading a parameter reports an exposure of the user; reading `value` does not.

    Attributes:
        name: Name of the layer.
        rule_id: Id of the rule that decided; "" for an unknown layer.
        id_type: Type of the id that the layer is evaluated by, such as `userID`.
        group: Name of the user's group; None if there is none.
        allocated_experiment: Name of the experiment that decided; None if none did.
        details: Why the layer has this value.
    """

    name: str
    _value: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    _on_read: Callable[[str], None] = attrs.field(default=_ignore_read, repr=False, eq=False)
    rule_id: str = ""
    id_type: str = ""
    group: str | None = None
    allocated_experiment: str | None = None
    details: Details = Details("Uninitialized")

    @property
    def value(self) -> dict[str, Any]:
        """A copy of all parameters; reading it reports no exposure."""
        return copy_value(self._value)  # type: ignore[no-any-return]

    def with_on_read(self, on_read: Callable[[str], None] | None) -> "Layer":
        """Return a copy with another `on_read`.

        Args:
            on_read: Called with the name of each parameter that is read; None for no call.
        """
        return Layer(
            self.name,
            self._value,
            on_read or _ignore_read,
            self.rule_id,
            self.id_type,
            self.group,
            self.allocated_experiment,
            self.details,
        )

    def _read(self, name: str, kinds: Container[type], fallback: Any) -> Any:
        value = self._value.get(name)
        # A parameter of another type counts as missing, so reading it reports no exposure.
        if value.__class__ not in kinds:
            return fallback
        self._on_read(name)
        return value


def _find_nothing(_: str, __: Container[type]) -> Any:
    """Return None: the `_find` of an unknown parameter store."""


@attrs.define(eq=False, repr=False)
class ParameterStore(Parameters, Comparable):
    """A parameter store: each name maps to a value, a gate, or a parameter of a config, experiment or layer.

    Reading a parameter reports an exposure of the user to the gate, config, experiment or layer behind it.

    Attributes:
        name: Name of the parameter store.
    """

    name: str
    _find: Callable[[str, Container[type]], Any] = attrs.field(default=_find_nothing, repr=False, eq=False)

    def _read(self, name: str, kinds: Container[type], fallback: Any) -> Any:
        value = self._find(name, kinds)
        return fallback if value is None else value


LookupResult = FeatureGate | DynamicConfig | Experiment | Layer
"""The result of a lookup by name."""


def _accepted_types(fallback: Any) -> Container[type]:
    """Return the types that match a fallback's JSON type; any type, if the fallback has no JSON type."""
    return next((kinds for known, kinds in _TYPES_OF_FALLBACK if isinstance(fallback, known)), _ANY_TYPE)


def copy_value(value: Any) -> Any:
    """Copy a JSON value, so that changing the copy cannot change the rules."""
    if isinstance(value, Mapping):
        return {key: copy_value(item) for key, item in value.items()}
    return [copy_value(item) for item in value] if isinstance(value, list) else value
