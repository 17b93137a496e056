"""A user's values in the form in which they are sent: what vendors receive and what rules see is the same.

| value | on the wire |
|---|---|
| an id: text, a whole number (numpy's, too), a UUID | its text |
| a value of `custom`, `custom_ids` and so on | as `encoding` writes it |
| a lone surrogate in text | U+FFFD |

Nothing here trusts a value: one whose truth, comparison or conversion raises is an `InvalidEventError`, too.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from numbers import Integral
from typing import Any
from uuid import UUID

import orjson

from asyncsdk._model.encoding import json_key, replace_surrogates, to_json
from asyncsdk._model.validation import raise_invalid
from asyncsdk.errors import InvalidEventError

PLAIN_TYPES = frozenset({str, int, bool, type(None)})
"""Types of the values that are on the wire as they are; for text and numbers, `is_plain` looks at the value, too."""
_64_BITS = range(-(2**63), 2**64)


class Instant(str):
    """The text of a datetime, which rules read as a time at any precision; they limit the length of other texts."""

    __slots__ = ()


def text_id(value: object, field: str) -> str | None:
    """Return an id as text; None if it is None or blank.

    Args:
        value: The id: text, a whole number or a UUID.
        field: Name of the field, for the error.

    Raises:
        InvalidEventError: The value has another type, or is a number with too many digits to convert.
    """
    if value is None:
        return None
    if isinstance(value, str):
        # The usual id is printable and not blank; `is_visible` costs twice as much.
        return value if (value.isprintable() and value.strip()) or is_visible(value) else None
    return _text_of_other(value, field)


def unit_id(value: object, field: str) -> str | None:
    """Return an id as rules count by it: its text, blank or not, without lone surrogates; None if it is None.

    Raises:
        InvalidEventError: As `text_id`.
    """
    if value is None:
        return None
    return valid_text(str.__str__(value)) if isinstance(value, str) else _text_of_other(value, field)


def _text_of_other(value: object, field: str) -> str:
    if not isinstance(value, bool):
        try:
            if isinstance(value, UUID):
                return UUID.__str__(value)
            if isinstance(value, int):
                return int.__repr__(value)  # `str` of an IntEnum may be its name
            if isinstance(value, Integral):  # numpy's
                return int.__repr__(int(value))
        except ValueError:
            msg = f"`{field}` is a number with too many digits for an id"
            raise InvalidEventError(msg) from None
        except TypeError:
            pass  # numpy's durations claim to be whole numbers
    msg = f"`{field}` must be text or a whole number, not {type(value).__name__}: convert it with str() first"
    raise InvalidEventError(msg)


def is_visible(text: str) -> bool:
    """Return whether text has at least one visible character.

    RudderStack's gateway rejects the whole batch if one event has only invisible ids (rudder-server, read 2026-08).
    """
    if text.isascii():
        return bool(text.strip()) and (text.isprintable() or any(c.isprintable() and c != " " for c in text))
    return any(c.isprintable() and not c.isspace() for c in text)


def valid_text(text: str) -> str:
    """Return text with U+FFFD in place of each lone surrogate, which UTF-8 cannot represent."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return replace_surrogates(text)
    return text


def wire_text(value: object, field: str) -> str | None:
    """Return a text field of a user as plain, valid text.

    Raises:
        InvalidEventError: It is neither text nor None.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise_invalid(field, "text", value)
    return valid_text(str.__str__(value))


def is_plain(value: object) -> bool:
    """Return whether a value is on the wire as it is."""
    kind = type(value)
    if kind is str:
        return value.isascii()  # type: ignore[attr-defined, no-any-return]
    if kind is float:
        return value - value == 0  # type: ignore[operator, no-any-return] # NaN and infinities are null
    return (value in _64_BITS) if kind is int else kind in PLAIN_TYPES


def wire_value(value: object, path: str) -> Any:
    """Return a value as it is on the wire.

    Args:
        value: Any value.
        path: Where it is, for the error.

    Raises:
        InvalidEventError: It has no form in JSON.
    """
    if is_plain(value):
        return value
    if type(value) is str:
        return valid_text(value)
    try:
        plain = orjson.loads(to_json(value, path))
        is_time = isinstance(value, datetime) or type(value).__name__ == "datetime64"  # numpy's
        return Instant(plain) if is_time and type(plain) is str else plain  # pandas' NaT is null
    except InvalidEventError:
        raise
    except Exception as error:  # a value of any type may raise anything
        msg = f"`{path}` is {type(value).__name__}, which has no form in JSON: convert it first"
        raise InvalidEventError(msg) from error


def own_mapping(value: object, field: str) -> dict[Any, Any] | None:
    """Return a copy of a mapping; its values are as they are.

    Raises:
        InvalidEventError: It is neither a mapping nor None.
    """
    if value is None:
        return None
    if type(value) is dict:
        return value.copy()
    if not isinstance(value, Mapping):
        raise_invalid(field, "an object (a mapping)", value)
    try:
        return dict(value)
    except Exception as error:
        msg = f"`{field}` is a mapping that cannot be read"
        raise InvalidEventError(msg) from error


def wire_ids(value: object, field: str) -> dict[str, str] | None:
    """Return ids by name as text; None if there are none. An id that is null in JSON, as NaN is, is left out.

    Raises:
        InvalidEventError: It is not a mapping of ids.
    """
    given = own_mapping(value, field)
    if not given:
        return None
    ids: dict[str, str] = {}
    for name, unit in given.items():
        key = wire_key(name, field)
        text = _text_of_float(unit) if isinstance(unit, float) else unit_id(unit, f"{field}[{key!r}]")
        if text is not None:
            ids[key] = text
    return ids


def wire_key(key: object, path: str) -> str:
    """Return a name in a mapping as it is on the wire.

    Raises:
        InvalidEventError: It is neither text, a number, a bool nor None.
    """
    return valid_text(key) if type(key) is str else json_key(key, path)


def _text_of_float(value: float) -> str | None:
    if value - value != 0:  # NaN and infinities are null
        return None
    shortest = float.__repr__(value)
    if shortest.endswith(".0"):
        return shortest[:-2]
    return format(Decimal(shortest), "f") if "e" in shortest else shortest
