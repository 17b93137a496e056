"""The text of validation errors: the field, what it must be and what is wrong; never the value itself."""

from datetime import datetime
from decimal import Decimal
from typing import NoReturn

from asyncsdk.errors import InvalidEventError


def raise_invalid(field: str, expected: str, value: object) -> NoReturn:
    """Raise the error for an invalid value.

    Args:
        field: Name of the field.
        expected: What the field must be, such as "text".
        value: The invalid value; only its type or emptiness is shown.

    Raises:
        InvalidEventError: Always.
    """
    msg = f"`{field}` must be {expected}{_describe_fault(value)}"
    raise InvalidEventError(msg)


def describe_type(value: object) -> str:
    """Return the name of a value's type with its article: `a list`, `an int`."""
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeioAEIO' else 'a'} {name}"


def _describe_fault(value: object) -> str:
    if value is None:
        return ", not None"
    if isinstance(value, str) and not any(letter.isprintable() and not letter.isspace() for letter in value):
        return "; it is blank" if value else "; it is empty"
    name = type(value).__name__
    # Numbers and dates may have the right type but be out of range.
    may_be_out_of_range = isinstance(value, int | float | Decimal | datetime) and not isinstance(value, bool)
    return f"; this {name} is not" if may_be_out_of_range else f", not {name}"
