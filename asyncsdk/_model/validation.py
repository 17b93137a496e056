"""How a value that cannot be sent is refused: which field, what it should be, what is wrong; never the value."""

from datetime import datetime
from decimal import Decimal
from typing import NoReturn

from asyncsdk.errors import InvalidEventError


def raise_invalid(field: str, expected: str, value: object) -> NoReturn:
    """Say what `field` must be, and what `value` is instead.

    Raises:
        InvalidEventError: Always.
    """
    msg = f"`{field}` must be {expected}{_describe_fault(value)}"
    raise InvalidEventError(msg)


def describe_type(value: object) -> str:
    """Name the type of a value, with its article."""
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeioAEIO' else 'a'} {name}"


def _describe_fault(value: object) -> str:
    if value is None:
        return ", not None"
    if isinstance(value, str) and not any(letter.isprintable() and not letter.isspace() for letter in value):
        return "; it is blank" if value else "; it is empty"
    name = type(value).__name__
    # Its type may be the right one.
    is_range = isinstance(value, int | float | Decimal | datetime) and not isinstance(value, bool)
    return f"; this {name} is not" if is_range else f", not {name}"
