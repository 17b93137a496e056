"""What a flag key stands for, and what the rules answer to it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import attrs
from openfeature.exception import FlagNotFoundError, ParseError, TargetingKeyMissingError, TypeMismatchError
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
    """What the rules answer to a key; a `value` of None is a parameter that is not there."""

    key: str
    kind: str
    answer: LookupResult
    value: Any

    @property
    def group(self) -> str | None:
        """The group that the user is in."""
        match self.answer:
            case FeatureGate(group_name=group):
                return group
            case DynamicConfig():
                return None
            case answer:
                return answer.group

    @property
    def variant(self) -> str:
        """What names the value among the others: the group, else the rule."""
        return self.group or self.answer.rule_id

    def metadata(self) -> dict[str, str | int]:
        """Say where the value is from."""
        details = self.answer.details
        known = {
            "kind": self.kind,
            "ruleId": self.answer.rule_id,
            "group": self.group,
            "idType": self.answer.id_type,
            "version": details.version,
            "rulesetTime": details.time_ms,
            "cause": details.cause,
        }
        return {name: value for name, value in known.items() if value not in (None, "")}

    def check(self, user: User) -> None:
        """Make sure that something decided, and knew by whom to split.

        Raises:
            FlagNotFoundError: The rules know the name for others only, by an override.
            ParseError: The rules are of a kind that this version does not know, or broken.
            TargetingKeyMissingError: The user does not have the id that buckets are counted by.
        """
        details, id_type = self.answer.details, self.answer.id_type
        if not details.cause and details.reason.endswith("Unrecognized"):
            raise _not_found(self.key)
        if not details.cause:
            msg = f"the rules of {self.key} cannot be understood: {details.reason}"
            raise ParseError(msg)
        if details.cause == "split" and id_type and not _unit(user, id_type):
            msg = f"{self.key} is split by {id_type}, which the context does not have"
            raise TargetingKeyMissingError(msg)

    def converted(self, accept: Callable[[Any], T | None]) -> T | None:
        """Give the value as the asked type; None if it is disabled and has none.

        Raises:
            FlagNotFoundError: There is no such parameter.
            TypeMismatchError: It is of another type.
        """
        value = None if self.value is None else accept(self.value)
        if value is not None or self.answer.details.cause == "disabled":
            return value
        if self.value is None:
            raise _not_found(self.key)
        msg = f"flag {self.key} is of another type: {type(self.value).__name__}"
        raise TypeMismatchError(msg)


def find(flags: Flags, key: str, kinds: Sequence[str]) -> Found:
    """Look up what a key stands for; the lookup is reported as the user's exposure.

    Raises:
        FlagNotFoundError: The rules know no such name.
    """
    prefix, _, rest = key.partition(":")
    kinds, path = ((prefix,), rest) if rest and prefix in _LOOKUPS else (kinds, key)
    for name, parameter in _splits(path):
        known = flags.kinds_of(name)
        for kind in kinds:
            if kind in known and not (kind == "gate" and parameter):
                answer = _LOOKUPS[kind](flags, name)
                return Found(key, kind, answer, _read(answer, parameter))
    raise _not_found(key)


def _splits(path: str) -> Iterator[tuple[str, str]]:
    """Split a path into a name and a parameter in every way, the longest name first."""
    end = len(path)
    while end > 0:
        yield path[:end], path[end + 1 :]
        end = path.rfind(".", 0, end)


def _read(answer: LookupResult, parameter: str) -> Any:
    if isinstance(answer, FeatureGate):
        return answer.value
    if parameter:
        return answer.get(parameter)
    value = answer.get("value")
    return answer.value if value is None else value


def _not_found(key: str) -> FlagNotFoundError:
    return FlagNotFoundError(f"flag {key} not found")


def _unit(user: User, id_type: str) -> object:
    if id_type.lower() == "userid":
        return user.user_id
    ids = user.custom_ids or {}
    return ids.get(id_type) or ids.get(id_type.lower())


# --- values -----------------------------------------------------------------------------------------------------------


def as_boolean(value: Any) -> bool | None:
    """True or False; None is another type."""
    return value if isinstance(value, bool) else None


def as_string(value: Any) -> str | None:
    """Text; None is another type."""
    return value if isinstance(value, str) else None


def as_integer(value: Any) -> int | None:
    """A whole number; 10.0 is one; None is another type."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def as_float(value: Any) -> float | None:
    """A number; a whole one only if a float is equal to it; None is another type."""
    if isinstance(value, int) and not isinstance(value, bool) and int(float(value)) == value:
        return float(value)
    return value if isinstance(value, float) else None


def as_structure(value: Any) -> Structure | None:
    """An object or a list; None is another type."""
    return value if isinstance(value, dict | list) else None
