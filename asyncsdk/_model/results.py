"""What lookups answer: gates, configs, experiments and layers, with typed getters.

A getter never raises. It gives the parameter when it is there and of the asked type, else the fallback; a parameter
that is `null` counts as missing. Lists and objects are given as copies, so that nobody changes the rules.
"""

from collections.abc import Callable, Container, Mapping
from typing import Any, Literal, TypeVar, overload

import attrs

Fallback = TypeVar("Fallback")
Cause = Literal["", "static", "targeting_match", "split", "default", "disabled"]

# Values come out of JSON, so these are all the types there are.
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


@attrs.frozen
class Details:
    """Why a lookup came out as it did.

    Attributes:
        reason: Where the rules are from, `Network`, `Bootstrap` or `Adapter(DataStore)` (the cache), and what they say:
            `Network:Recognized`; `Network:Unrecognized`, an unknown name; `Network:Unsupported`, rules of a kind that
            this version does not know. Or one of these alone: `LocalOverride:Recognized`; `Persisted`, a sticky
            assignment; `Uninitialized`, nobody was asked for rules yet; `NoValues`, nobody had any;
            `Error:Statsig Evaluation Depth Exceeded`, gates nested too deep.
        time_ms: When the project was last changed, as the ruleset says; 0 without a ruleset.
        received_at_ms: When that ruleset arrived; 0 without one.
        version: Version of the gate or config.
        cause: What decided, in the words of OpenFeature and OpenTelemetry: `targeting_match`, a rule that looks at
            the user; `split`, a percentage or an experiment's group; `static`, the same for everybody, and local
            overrides; `default`, no rule matched; `disabled`; "" when nothing could decide.
    """

    reason: str
    time_ms: int = 0
    received_at_ms: int = 0
    version: int | None = None
    cause: Cause = ""


@attrs.frozen
class FeatureGate:
    """A gate's answer.

    Attributes:
        name: The gate.
        value: True when it is open for the user.
        rule_id: The rule that decided; `default` or `disabled` when none did, "" for an unknown gate.
        group_name: The name of that rule's group.
        id_type: Which id the gate counts by.
        details: Why.
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
    """The getters that configs, experiments and layers share."""

    __slots__ = ()

    def _read(self, name: str, kinds: Container[type], fallback: Any) -> Any:
        """Give a parameter of one of these types, else the fallback."""
        raise NotImplementedError

    @overload
    def get(self, name: str) -> Any: ...
    @overload
    def get(self, name: str, fallback: Fallback) -> Any | Fallback: ...
    def get(self, name: str, fallback: Any = None) -> Any:
        """Give a parameter of any type; with a fallback, only one of the fallback's JSON type."""
        value = self._read(name, _ANY_TYPE if fallback is None else _accepted_types(fallback), None)
        return fallback if value is None else _copy(value)

    @overload
    def get_string(self, name: str) -> str | None: ...
    @overload
    def get_string(self, name: str, fallback: Fallback) -> str | Fallback: ...
    def get_string(self, name: str, fallback: Any = None) -> Any:
        """Give a text."""
        return self._read(name, _TEXT, fallback)

    @overload
    def get_number(self, name: str) -> float | None: ...
    @overload
    def get_number(self, name: str, fallback: Fallback) -> float | Fallback: ...
    def get_number(self, name: str, fallback: Any = None) -> Any:
        """Give a number, whole or not, as the rules hold it; a bool is none."""
        return self._read(name, _NUMBER, fallback)

    @overload
    def get_bool(self, name: str) -> bool | None: ...
    @overload
    def get_bool(self, name: str, fallback: Fallback) -> bool | Fallback: ...
    def get_bool(self, name: str, fallback: Any = None) -> Any:
        """Give True or False."""
        return self._read(name, _BOOL, fallback)

    @overload
    def get_array(self, name: str) -> list[Any] | None: ...
    @overload
    def get_array(self, name: str, fallback: Fallback) -> list[Any] | Fallback: ...
    def get_array(self, name: str, fallback: Any = None) -> Any:
        """Give a list, as a copy."""
        value = self._read(name, _ARRAY, None)
        return fallback if value is None else _copy(value)

    @overload
    def get_object(self, name: str) -> dict[str, Any] | None: ...
    @overload
    def get_object(self, name: str, fallback: Fallback) -> dict[str, Any] | Fallback: ...
    def get_object(self, name: str, fallback: Any = None) -> Any:
        """Give an object, as a copy."""
        value = self._read(name, _OBJECT, None)
        return fallback if value is None else _copy(value)


@attrs.define
class DynamicConfig(Parameters):
    """A dynamic config's answer.

    Attributes:
        name: The config.
        rule_id: The rule that decided.
        id_type: Which id it counts by.
        details: Why.
    """

    name: str
    _value: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    rule_id: str = ""
    id_type: str = ""
    details: Details = Details("Uninitialized")

    @property
    def value(self) -> dict[str, Any]:
        """All parameters, as a copy."""
        return _copy(self._value)  # type: ignore[no-any-return]

    def _read(self, name: str, kinds: Container[type], fallback: Any) -> Any:
        value = self._value.get(name)
        return value if value.__class__ in kinds else fallback


@attrs.define
class Experiment(Parameters):
    """An experiment's answer.

    Attributes:
        name: The experiment.
        rule_id: The rule that decided.
        id_type: Which id it counts by.
        group: The group the user is in; None outside of the experiment.
        details: Why.
    """

    name: str
    _value: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    rule_id: str = ""
    id_type: str = ""
    group: str | None = None
    details: Details = Details("Uninitialized")

    @property
    def value(self) -> dict[str, Any]:
        """All parameters, as a copy."""
        return _copy(self._value)  # type: ignore[no-any-return]

    def _read(self, name: str, kinds: Container[type], fallback: Any) -> Any:
        value = self._value.get(name)
        return value if value.__class__ in kinds else fallback


def _ignore_read(_: str) -> None:
    """Report nothing."""


@attrs.define
class Layer(Parameters):
    """A layer's answer. Reading a parameter reports the user's exposure to it; reading `value` does not.

    Attributes:
        name: The layer.
        rule_id: The rule that decided.
        id_type: Which id it counts by.
        group: The group the user is in.
        allocated_experiment: The experiment that decided, if one did.
        details: Why.
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
        """All parameters, as a copy, without reporting anything."""
        return _copy(self._value)  # type: ignore[no-any-return]

    def with_on_read(self, on_read: Callable[[str], None] | None) -> "Layer":
        """Give the same answer, of which `on_read` is told what is read; None tells nobody."""
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
        if value.__class__ not in kinds:
            return fallback
        self._on_read(name)
        return value


def _find_nothing(_: str, __: Container[type]) -> Any:
    """Know no parameter."""


@attrs.define
class ParameterStore(Parameters):
    """A parameter store: names that stand for a value, a gate, or a parameter of a config, experiment or layer.

    Reading a parameter reports the user's exposure to what it stands for.

    Attributes:
        name: The store.
    """

    name: str
    _find: Callable[[str, Container[type]], Any] = attrs.field(default=_find_nothing, repr=False, eq=False)

    def _read(self, name: str, kinds: Container[type], fallback: Any) -> Any:
        value = self._find(name, kinds)
        return fallback if value is None else value


LookupResult = FeatureGate | DynamicConfig | Experiment | Layer
"""What a lookup of a name answers."""


def _accepted_types(fallback: Any) -> Container[type]:
    """Give the types of a fallback's JSON type; one that JSON does not know accepts anything."""
    return next((kinds for known, kinds in _TYPES_OF_FALLBACK if isinstance(fallback, known)), _ANY_TYPE)


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value
