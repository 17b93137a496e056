"""Convert JSON values as Statsig's operators do: to text, a number, an integer or an instant.

None means that a value has no such form; a missing value is None itself. Anything that is not JSON has none of them (a
caller may put any object into a user), so that no user can break a rule.

| value | `as_text` | `as_number` | `as_integer` | `as_instant` |
|---|---|---|---|---|
| `None` | None | None | None | None |
| `True` | `true` | None | None | None |
| `10.0` | `10` | 10.0 | 10 | None |
| `"10"` | `10` | 10.0 | 10 | 10 |
| `"1e1"` | `1e1` | 10.0 | None | None |
| `["a", 1]` | `["a",1]` | None | None | None |
"""

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

import orjson

from asyncsdk._model.wire_values import Instant
from asyncsdk._rules.language.instants import read_instant

_INT64 = range(-(2**63), 2**63)
# Ints that a double represents exactly; Statsig reads larger ones as doubles.
_EXACT = range(-(2**53), 2**53 + 1)
# Possessive quantifiers (`++`) never backtrack, so that no text takes more than linear time.
_FLOAT = re.compile(
    r"[+-]?(?:(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:e[+-]?[0-9]++)?|inf|infinity|nan)", re.IGNORECASE | re.ASCII
)
# 30 digits are more than 64 bits hold; longer texts would only cost time in `int`.
_INTEGER = re.compile(r"[+-]?[0-9]{1,30}", re.ASCII)
# An exponent of orjson's, or a JSON string, which is left as it is.
_EXPONENT = re.compile(r'"(?:[^"\\]|\\.)*+"|e\+')


def as_text(value: object) -> str | None:
    """Convert a value to text: numbers to decimals without exponent, lists to compact JSON; objects have none."""
    if value.__class__ is str:
        return value
    if value is None:
        return None
    convert = _TEXT.get(value.__class__)
    return convert(value) if convert is not None else _text_of_subclass(value)


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
        text = orjson.dumps(value).decode()
    except TypeError:
        return None
    # Statsig writes `1e21`, orjson `1e+21`.
    return _EXPONENT.sub(lambda found: "e" if found[0] == "e+" else found[0], text) if "e+" in text else text


def _text_of_subclass(value: object) -> str | None:
    # Not `str(value)`: an enum member or another subclass may define it otherwise, or raise.
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
    """Return the plain int or float that an enum member or another subclass of a number represents."""
    return int.__int__(value) if isinstance(value, int) else float.__float__(value)


def as_number(value: object) -> float | None:
    """Convert a value to a double. Text must be a plain literal (`1e1`, `+10`, `inf`); bools have none."""
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
    """Convert a value to a signed 64-bit integer; 10.0 is one, `"10.0"` is not."""
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
    """Convert text to milliseconds since 1970.

    A whole number is returned as it is; other text is a date and time, see `instants`.

    Args:
        value: Any JSON value; only text has this form.
        bounded: Reject dates of fewer than 8 or more than 20 bytes, such as `2023-07-01T17:10:00.000Z`. Statsig does so
            for users' values, but not for targets.
    """
    if not isinstance(value, str):
        return None
    whole = as_integer(value)
    if whole is not None:
        return whole
    if bounded and value.__class__ is not Instant and not 8 <= len(value.encode(errors="replace")) <= 20:
        return None
    return read_instant(value)


def as_list(value: object) -> Sequence[object] | None:
    """Return a list as it is; text is not a list."""
    return value if isinstance(value, (list, tuple)) else None


def as_object(value: object) -> Mapping[str, object] | None:
    """Return a JSON object as it is."""
    return value if isinstance(value, Mapping) else None
