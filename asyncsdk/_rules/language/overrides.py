"""Local overrides: values that a developer or a test sets to be returned instead of the rules' answers."""

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from asyncsdk._model.user_view import ids_of, prepare
from asyncsdk._model.users import User
from asyncsdk._model.values import Value

Kind = Literal["gate", "config", "experiment", "layer", "parameter_store"]
KINDS: tuple[Kind, ...] = ("gate", "config", "experiment", "layer", "parameter_store")


@attrs.frozen(eq=False, repr=False)
class GroupOverride(Value):
    """The value that an experiment gives to one of its groups.

    Attributes:
        name: The group's name.
    """

    name: str


_ByUnit = Mapping[str | None, Any]
"""Overrides of one name, by unit id; None is the override for every user."""


@attrs.frozen(eq=False, repr=False)
class Overrides(Value):
    """Overridden values by kind, name and unit id. Immutable: the methods return a changed copy."""

    _by_name: Mapping[tuple[str, str], _ByUnit] = attrs.Factory(dict)

    def set(self, kind: Kind, name: str, value: Any, unit: str | None = None) -> Self:
        """Return a copy with one override more.

        Args:
            kind: What is overridden.
            name: Its name.
            value: The value to return, or a `GroupOverride`.
            unit: The user id or custom id it is for; None is every user.
        """
        by_unit = {**self._by_name.get((kind, name), {}), unit: value}
        return attrs.evolve(self, by_name={**self._by_name, (kind, name): by_unit})

    def remove(self, kind: Kind, name: str, unit: str | None = None) -> Self:
        """Return a copy without the override for one unit id; None removes all overrides of the name."""
        kept = {key: value for key, value in self._by_name.get((kind, name), {}).items() if unit not in (None, key)}
        others = {key: by_unit for key, by_unit in self._by_name.items() if key != (kind, name)}
        return attrs.evolve(self, by_name={**others, (kind, name): kept} if kept else others)

    def of(self, kind: str, name: str) -> _ByUnit:
        """Return the overrides of a name by unit id, empty if there are none."""
        return self._by_name.get((kind, name), {})

    def names(self, kind: Kind) -> tuple[str, ...]:
        """Return the overridden names of a kind."""
        return tuple(name for known, name in self._by_name if known == kind)


def find_unit(overrides: _ByUnit, user: User) -> str | None:
    """Return the key of the override that applies to a user.

    The user id comes first, then the custom ids, then None, the override for every user.

    Raises:
        KeyError: No override applies.
    """
    for unit in _units(user):
        if unit in overrides:
            return unit
    if None in overrides:
        return None
    raise KeyError


def _units(user: User) -> list[str]:
    """Return a user's ids as text, in the order in which overrides are looked for; none of a user without a form."""
    if not (user._view.is_ready or prepare(user)):
        return []
    ids = [*(ids_of(user) or {}).values()]
    return ids if user._user_id is None else [user._user_id, *ids]
