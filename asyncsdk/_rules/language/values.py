"""The views that Statsig's operators take of a JSON value: as text, as a number, as an instant.

None means that a value has no such view; a missing attribute is None itself. Anything that JSON does not know
(a caller may put any object into a user) has no view at all, so that no user value can break a rule.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import orjson

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_INT64 = range(-(2**63), 2**63)
_EXACT = range(-(2**53), 2**53 + 1)
_FLOAT = re.compile(
    r"[+-]?(?:(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:e[+-]?[0-9]++)?|inf|infinity|nan)", re.IGNORECASE | re.ASCII
)
_INTEGER = re.compile(r"[+-]?[0-9]{1,30}", re.ASCII)
_INSTANT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[Tt ]([0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]+)?(Z|z|[+-][0-9]{2}:[0-9]{2})"
    r"| ([0-9]{2}:[0-9]{2}:[0-9]{2}))",
    re.ASCII,
)


def as_text(value: object) -> str | None:
    """See a value as text: numbers in decimals without an exponent, lists as compact JSON; objects have none."""
    if value.__class__ is str:
        return value
    if value is None:
        return None
    view = _TEXT.get(value.__class__)
    return view(value) if view is not None else _text_of_odd(value)


def _text_of_number(value: float) -> str | None:
    if value.__class__ is int and value in _EXACT:
        return str(value)
    try:
        shortest = repr(float(value))
    except OverflowError:
        return None
    if shortest.endswith(".0"):
        return shortest[:-2]
    return format(Decimal(shortest), "f").removesuffix(".0") if "e" in shortest else shortest


def _text_of_list(value: Sequence[object]) -> str | None:
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return None


def _text_of_odd(value: object) -> str | None:
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, (int, float)):
        return _text_of_number(plain_number(value))
    return None


_TEXT: dict[type, Callable[[object], str | None]] = {
    bool: lambda value: "true" if value else "false",
    int: _text_of_number,  # type: ignore[dict-item]
    float: _text_of_number,  # type: ignore[dict-item]
    list: _text_of_list,  # type: ignore[dict-item]
    tuple: _text_of_list,  # type: ignore[dict-item]
}


def plain_number(value: float) -> float:
    """Take an enum member or another subclass of a number back to the number itself."""
    return int.__int__(value) if isinstance(value, int) else float.__float__(value)


def as_number(value: object) -> float | None:
    """See a value as a number. Text counts when it is a plain literal (`1e1`, `+10`, `inf`); bools do not."""
    kind = value.__class__
    if kind is float:
        return value  # type: ignore[return-value]
    if kind is int or (isinstance(value, (int, float)) and kind is not bool):
        try:
            return float(value if kind is int else plain_number(value))  # type: ignore[arg-type]
        except OverflowError:
            return None
    if isinstance(value, str) and _FLOAT.fullmatch(value):
        return float(value)
    return None


def as_integer(value: object) -> int | None:
    """See a value as a signed 64-bit integer; 10.0 is one, `"10.0"` is not."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        found = int(value) if _INTEGER.fullmatch(value) else None
    elif isinstance(value, float):
        found = int(value) if value.is_integer() else None
    else:
        found = int.__int__(value) if isinstance(value, int) else None
    return found if found is not None and found in _INT64 else None


def as_instant(value: object, *, bounded: bool = True) -> int | None:
    """See text as milliseconds since 1970.

    Whole numbers count as they are; otherwise RFC 3339, or `YYYY-MM-DD hh:mm:ss` in UTC.

    Args:
        value: Any JSON value; only text has this view.
        bounded: Refuse texts over 20 bytes, as Statsig does for a user's values, though not for targets:
            `2023-07-01T17:10:00.000Z` is too long.
    """
    if not isinstance(value, str):
        return None
    whole = as_integer(value)
    if whole is not None:
        return whole
    if bounded and not 8 <= len(value) <= 20:
        return None
    match = _INSTANT.fullmatch(value)
    if match is None:
        return None
    day, clock, fraction, zone, bare = match.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{clock or bare}{(fraction or '')[:7]}{(zone or 'Z').upper()}")
        return (moment - _EPOCH) // _MILLISECOND
    except ValueError:
        return None


def as_list(value: object) -> Sequence[object] | None:
    """See a value as a list; text is none."""
    return value if isinstance(value, (list, tuple)) else None


def as_object(value: object) -> Mapping[str, object] | None:
    """See a value as a JSON object."""
    return value if isinstance(value, Mapping) else None
