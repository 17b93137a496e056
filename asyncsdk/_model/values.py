"""Equality, hash and text of attrs classes, written once.

attrs generates and compiles these for each class: half of the time that importing the package took.
"""

from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Any, ClassVar

import attrs


class Shown:
    """Shows its fields. A base of classes that are declared with `repr=False`."""

    __slots__ = ()
    __attrs_attrs__: ClassVar[Any]

    def __repr__(self) -> str:
        kind = type(self)
        shown = [
            f"{field.name}={(field.repr if callable(field.repr) else repr)(getattr(self, field.name))}"
            for field in attrs.fields(kind)
            if field.repr
        ]
        return f"{kind.__qualname__.rsplit('>.', 1)[-1]}({', '.join(shown)})"


class Comparable(Shown):
    """Equals another one of its class with equal fields. A base of classes declared with `eq=False, repr=False`."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        compared = _compared(type(self))
        return bool(compared(self) == compared(other))

    __hash__: ClassVar[Any] = None  # it may change


class Value(Comparable):
    """Can be a key, too. A base of frozen classes declared with `eq=False, repr=False`."""

    __slots__ = ()

    def __hash__(self) -> int:
        kind: type = type(self)
        return hash((kind, _compared(kind)(self)))


@cache
def _compared(kind: type) -> Callable[[object], object]:
    """Return a function that reads the fields which are compared."""
    names = [field.name for field in attrs.fields(kind) if field.eq]
    return attrgetter(*names) if names else type
