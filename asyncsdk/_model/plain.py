"""The plain form of reports: dicts, lists and simple values, which any JSON encoder takes."""

import math
from collections.abc import Mapping
from typing import Any

import attrs


class Plain:
    """A report that can be returned from a handler, or logged as JSON."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the report as dicts, lists, text, numbers, booleans and None; `json.dumps` takes it as it is."""
        plain: dict[str, Any] = _plain(self)
        return plain


def _plain(value: Any) -> Any:
    if isinstance(value, Plain):
        return {field.name: _plain(getattr(value, field.name)) for field in attrs.fields(type(value))}  # type: ignore[arg-type] # each is a class of attrs
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    # JSON has no infinity; a number that is not finite is none.
    return None if isinstance(value, float) and not math.isfinite(value) else value
