"""The conversion of a caller's values to JSON.

| value | JSON |
|---|---|
| NaN, Infinity | `null` |
| datetime | RFC 3339, `Z` for UTC; without a time zone it is UTC; `NaT` is `null` |
| date, time | ISO 8601 |
| timedelta | seconds |
| Decimal | a number (`null` if not finite) |
| UUID, path | text |
| Enum, named tuple | its value, a list |
| dataclass, attrs class, pydantic model | an object; names that begin with `_` are left out |
| IP addresses and networks; URLs (yarl, httpx, Starlette, pydantic) | text |
| numpy's scalars and arrays | those of the Python types that they stand for; lists |
| set, frozenset, deque, other sequences | a list (sets sorted by their items' text) |
| other mappings | an object |
| bytes | text, if they are UTF-8 |
| an int beyond 64 bits | text |
| other number types | a number |
| a lone surrogate | U+FFFD |
| int, float, bool and None as keys | text, as JSON writes them |

Each row holds for subclasses, too. Any other value, a cycle, and more than 254 levels raise `InvalidEventError` with
the path to the value. RudderStack documents a maximum of 200 levels, but does not check it.

There are two passes. `to_json` first lets orjson encode the value, with `_encode_unknown` as its hook for the types
that it does not know. Only if that fails, `_normalise` copies the value in Python, converts what orjson cannot encode
at all (keys, large ints, surrogates), and finds the path of the value at fault.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from numbers import Integral, Real
from os import PathLike, fsdecode
from typing import Any
from uuid import UUID

import attrs
import orjson

from asyncsdk._model.validation import describe_type
from asyncsdk.errors import InvalidEventError

# Maximum nesting that orjson encodes.
MAX_LEVELS = 254
_OPTIONS = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
# URLs are recognised by the names of their base classes: none of the libraries that define them has to be installed.
_URL_CLASSES = frozenset({"URL", "AnyUrl", "_BaseUrl", "Url"})
# The range of a signed or unsigned 64-bit integer.
_MIN_INT, _MAX_INT = -(2**63), 2**64 - 1


def to_json(value: object, what: str = "event") -> bytes:
    """Encode a value as JSON.

    The result owns the encoder's buffer, which is several times larger: slice or join it before storing it.

    Args:
        value: Any value; it is not changed.
        what: Name of the value in errors.

    Raises:
        InvalidEventError: Part of the value has no JSON form. The message has the path to it, never the value.
    """
    try:
        return orjson.dumps(value, _encode_unknown, _OPTIONS)
    except Exception:  # noqa: BLE001 -- a value's own methods may raise anything
        return _to_json_slowly(value, what)


def _to_json_slowly(value: object, what: str) -> bytes:
    try:
        return orjson.dumps(_normalise(value, what, 0), _encode_unknown, _OPTIONS)
    except InvalidEventError:
        raise
    except Exception as error:
        msg = f"`{what}` cannot be encoded: {type(error).__name__}"
        raise InvalidEventError(msg) from error


def _encode_unknown(value: object) -> object:
    """Return a simpler form of a value whose type orjson does not know.

    Raises:
        TypeError: There is none.
    """
    kind = type(value)
    if kind.__module__ == "numpy":  # first: its durations claim to be integers
        return _from_numpy(value)
    for base, convert in _CONVERTERS:
        if isinstance(value, base):
            return convert(value)
    found = as_fields(value)
    if found is not None:
        return found
    if any(base.__name__ in _URL_CLASSES or base.__module__ == "ipaddress" for base in kind.__mro__):
        return str(value)
    raise TypeError


def as_fields(value: object) -> dict[str, Any] | None:
    """Return the fields of a dataclass, attrs instance or pydantic model by name; None for anything else.

    As orjson does for dataclasses, names that begin with `_` are left out. Our own classes have no such form: a `User`
    among the properties would take its private attributes along.
    """
    kind = type(value)
    if kind.__module__.split(".")[0] == "asyncsdk":
        return None
    if is_dataclass(kind):
        names = [field.name for field in fields(kind)]
    elif attrs.has(kind):
        names = [field.name for field in attrs.fields(kind)]
    else:
        # pydantic 2 has `model_dump`; pydantic 1 has `dict`, and `__fields__` to know it by.
        dump = getattr(kind, "model_dump", None) or (hasattr(kind, "__fields__") and getattr(kind, "dict", None))
        return dict(dump(value)) if callable(dump) else None
    return {name: getattr(value, name) for name in names if name[0] != "_"}


def replace_unknown(value: Any, default: Callable[[Any], Any]) -> Any:
    """Return a copy of a value in which `default` has converted what has no form in JSON of its own.

    Args:
        value: Any value; it is not changed.
        default: Returns a value with a form in JSON, as the function of that name does for `json.dumps`.
    """
    if isinstance(value, Mapping):
        return {key: replace_unknown(item, default) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [replace_unknown(item, default) for item in value]
    try:
        orjson.dumps(value, _encode_unknown, _OPTIONS)
    except TypeError:
        if isinstance(value, str | int):
            return value  # a surrogate, or more than 64 bits: these have a form
        known = as_fields(value)
        return replace_unknown(default(value) if known is None else known, default)
    return value


def _from_numpy(value: Any) -> object:
    """Return the Python value of one of numpy's types, which are recognised by name: numpy may not be installed."""
    if type(value).__name__ in ("datetime64", "timedelta64"):
        value = value.astype(f"{type(value).__name__}[us]")  # nanoseconds would become an int
    return value.tolist()


def _normalise(value: Any, path: str, level: int) -> Any:
    """Return a copy of a value in which orjson can encode everything.

    Raises:
        InvalidEventError: Something at `path` or below has no JSON form.
    """
    # Also ends the recursion for a cycle.
    if level >= MAX_LEVELS and isinstance(value, Mapping | list | tuple):
        msg = f"`{path.split('[', 1)[0]}` has a cycle, or more than {MAX_LEVELS} levels"
        raise InvalidEventError(msg)
    if isinstance(value, str):
        return replace_surrogates(value)
    # orjson encodes ints of up to 64 bits; larger ones become text.
    if isinstance(value, int) and not _MIN_INT <= value <= _MAX_INT:
        return _digits(value, path)
    if isinstance(value, Mapping):
        return {
            json_key(key, path): _normalise(item, f"{path}[{key!r}]", level + 1) for key, item in _items(value, path)
        }
    if isinstance(value, list | tuple):
        return [_normalise(item, f"{path}[{n}]", level + 1) for n, item in enumerate(value)]
    # A value of any other type: keep it if orjson can encode it, otherwise convert one level and continue.
    try:
        orjson.dumps(value, _encode_unknown, _OPTIONS)
    except Exception:  # noqa: BLE001 -- a value's own methods may raise anything
        return _normalise(_convert(value, path), path, level + 1)
    return value


def replace_surrogates(text: str) -> str:
    """Return text with U+FFFD in place of lone surrogates, which UTF-8 cannot encode; pairs become one character."""
    return str.encode(text, "utf-16", "surrogatepass").decode("utf-16", "replace")


def _convert(value: object, path: str) -> object:
    try:
        return _encode_unknown(value)
    except (TypeError, ValueError):
        msg = f"`{path}` is {describe_type(value)}, which has no form in JSON: convert it first"
        raise InvalidEventError(msg) from None
    except Exception as error:
        msg = f"`{path}` is {describe_type(value)}, which raised {type(error).__name__} when it was converted"
        raise InvalidEventError(msg) from error


def _items(value: Mapping[Any, Any], path: str) -> list[tuple[Any, Any]]:
    try:
        return list(value.items())
    except Exception as error:
        msg = f"`{path}` is {describe_type(value)}, which raised {type(error).__name__} when it was read"
        raise InvalidEventError(msg) from error


def json_key(key: object, path: str) -> str:
    """Return a key of a mapping as it is in JSON.

    Raises:
        InvalidEventError: It is neither text, a number, a bool nor None.
    """
    if isinstance(key, str):
        return str(_normalise(key, path, 0))
    if key is None or isinstance(key, bool):
        return orjson.dumps(key).decode()
    if isinstance(key, Integral):
        return _digits(key, path)
    if isinstance(key, Real):
        return orjson.dumps(float(key)).decode()
    msg = f"a key of `{path}` is {describe_type(key)}: keys are text"
    raise InvalidEventError(msg)


def _digits(value: Integral | int, path: str) -> str:
    try:
        return str(int(value))
    except ValueError:
        msg = f"a number in `{path}` has more digits than Python converts"
        raise InvalidEventError(msg) from None


def _plain_datetime(value: datetime) -> object:
    """Return a datetime of a subclass (pandas, pendulum, freezegun) as one that orjson knows."""
    if value != value:  # noqa: PLR0124 -- pandas' NaT
        return None
    if type(value) is datetime:
        return value.isoformat()  # pragma: no cover -- orjson before 3.13 does not know every time zone
    parts = value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond
    return datetime(*parts, value.tzinfo, fold=value.fold)  # noqa: DTZ001 -- it may have none


def _finite_float(value: Decimal) -> float | None:
    return float(value) if value.is_finite() and math.isfinite(float(value)) else None


# The first match wins: an `IntEnum`, for example, is encoded as an `Enum`.
_CONVERTERS: tuple[tuple[Any, Callable[[Any], object]], ...] = (
    (Decimal, _finite_float),
    (Enum, lambda value: value.value),
    (Integral, int),
    (Real, float),
    (datetime, _plain_datetime),
    (date | time, lambda value: value.isoformat()),
    (UUID, UUID.__str__),  # asyncpg's, for example
    (Mapping, dict),
    (AbstractSet, lambda value: sorted(value, key=str)),
    (bytes | bytearray, lambda value: value.decode()),
    (timedelta, timedelta.total_seconds),
    (PathLike, fsdecode),
    (Sequence, list),
)
