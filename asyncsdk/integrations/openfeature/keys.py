"""Resolve a flag key: find the gate, config, experiment or layer that it names, and convert its value.

A key is `[kind:]name[.parameter]`. Names may contain dots, so `a.b.c` is the first of these whose name the rules know:

1. the name `a.b.c`
2. the parameter `c` of `a.b`
3. the parameter `b.c` of `a`

Without a kind, gates come first for booleans and last for other types (`GATE_FIRST`, `GATE_LAST`); layers need theirs.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import attrs
from openfeature.exception import (
    FlagNotFoundError,
    InvalidContextError,
    ParseError,
    TargetingKeyMissingError,
    TypeMismatchError,
)
from openfeature.flag_evaluation import FlagValueType

from asyncsdk import DynamicConfig, FeatureGate, Flags, LookupResult, User

T = TypeVar("T")
Structure = Sequence[FlagValueType] | Mapping[str, FlagValueType]

GATE_FIRST, GATE_LAST = ("gate", "config", "experiment"), ("config", "experiment", "gate")
_LOOKUPS: Mapping[str, Callable[[Flags, str], LookupResult]] = {
    "gate": Flags.get_gate,
    "config": Flags.get_config,
    "experiment": Flags.get_experiment,
    "layer": Flags.get_layer,
}


@attrs.define
class Found:
    """The result of resolving a key.

    Attributes:
        key: The flag key.
        kind: `"gate"`, `"config"`, `"experiment"` or `"layer"`.
        result: The result of the lookup.
        value: The value of the flag; None if there is no such parameter.
    """

    key: str
    kind: str
    result: LookupResult
    value: Any

    @property
    def group(self) -> str | None:
        """The group of the user; None if there is none."""
        match self.result:
            case FeatureGate(group_name=group):
                return group
            case DynamicConfig():
                return None
            case result:
                return result.group

    @property
    def variant(self) -> str:
        """The name of the value: that of the group, else the id of the rule."""
        return self.group or self.result.rule_id

    def metadata(self) -> dict[str, str | int]:
        """Return the flag's metadata: where its value comes from."""
        details = self.result.details
        known = {
            "kind": self.kind,
            "ruleId": self.result.rule_id,
            "group": self.group,
            "idType": self.result.id_type,
            "version": details.version,
            "rulesetTime": details.time_ms,
            "cause": details.cause,
        }
        return {name: value for name, value in known.items() if value not in (None, "")}

    def check(self, user: User) -> None:
        """Check that the rules decided, and could assign the user to a bucket.

        Raises:
            FlagNotFoundError: The name is known only by an override for another user.
            InvalidContextError: The rules cannot read the user.
            ParseError: The rules are broken, or of a kind that this version does not know.
            TargetingKeyMissingError: The user lacks the id that users are split by.
        """
        details, id_type = self.result.details, self.result.id_type
        if not details.cause and details.reason.endswith("Unrecognized"):
            raise _not_found(self.key)
        if details.reason.endswith("InvalidUser"):
            msg = "a field of the context has a wrong type; the log says which"
            raise InvalidContextError(msg)
        if not details.cause:
            msg = f"the rules of {self.key} cannot be evaluated: {details.reason}"
            raise ParseError(msg)
        if details.cause == "split" and id_type and not user.unit_id(id_type):
            msg = f"{self.key} is split by {id_type}, which the context does not have"
            raise TargetingKeyMissingError(msg)

    def converted(self, accept: Callable[[Any], T | None]) -> T | None:
        """Return the value as the requested type; None if the flag is disabled and has no value.

        Args:
            accept: Returns a value as the requested type; None if it is of another type.

        Raises:
            FlagNotFoundError: There is no such parameter.
            TypeMismatchError: The value is of another type.
        """
        value = None if self.value is None else accept(self.value)
        if value is not None or self.result.details.cause == "disabled":
            return value
        if self.value is None:
            raise _not_found(self.key)
        msg = f"flag {self.key} is of another type: {type(self.value).__name__}"
        raise TypeMismatchError(msg)


def find(flags: Flags, key: str, kinds: Sequence[str]) -> Found:
    """Look up a key, which records an exposure of the user.

    Args:
        flags: The flags of the user.
        key: The flag key.
        kinds: Kinds to look for, in this order, if the key has none.

    Raises:
        FlagNotFoundError: The rules do not know such a name.
    """
    prefix, _, rest = key.partition(":")
    kinds, path = ((prefix,), rest) if rest and prefix in _LOOKUPS else (kinds, key)
    for name, parameter in _splits(path):
        known = flags.kinds_of(name)
        for kind in kinds:
            if kind in known and not (kind == "gate" and parameter):
                result = _LOOKUPS[kind](flags, name)
                return Found(key, kind, result, _read(result, parameter))
    raise _not_found(key)


def _splits(path: str) -> Iterator[tuple[str, str]]:
    """Yield every split of a path into a name and a parameter, the longest name first."""
    end = len(path)
    while end > 0:
        yield path[:end], path[end + 1 :]
        end = path.rfind(".", 0, end)


def _read(result: LookupResult, parameter: str) -> Any:
    if isinstance(result, FeatureGate):
        return result.value
    if parameter:
        return result.get(parameter)
    value = result.get("value")
    return result.value if value is None else value


def _not_found(key: str) -> FlagNotFoundError:
    return FlagNotFoundError(f"flag {key} not found")


# --- values -----------------------------------------------------------------------------------------------------------


def as_boolean(value: Any) -> bool | None:
    """Return a boolean; None for a value of another type."""
    return value if isinstance(value, bool) else None


def as_string(value: Any) -> str | None:
    """Return a string; None for a value of another type."""
    return value if isinstance(value, str) else None


def as_integer(value: Any) -> int | None:
    """Return an integer, also for a float such as 10.0; None for other values."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def as_float(value: Any) -> float | None:
    """Return a float, also for an integer that a float is equal to; None for other values."""
    if isinstance(value, int) and not isinstance(value, bool) and int(float(value)) == value:
        return float(value)
    return value if isinstance(value, float) else None


def as_structure(value: Any) -> Structure | None:
    """Return an object or a list; None for a value of another type."""
    return value if isinstance(value, dict | list) else None
