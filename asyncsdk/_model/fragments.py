"""Checks JSON that a caller has written: orjson embeds an `orjson.Fragment` as it is, whatever it contains.

One that is not JSON would spoil the whole request that carries its event. orjson has neither an option nor a hook for
it, and looking at every value takes as long as encoding them all. But each fragment refers to its class: as long as
that has as many references as it had without any fragment, there is none to look for. (A fragment that was made before
this module was imported passes unchecked, until the number of references has fallen once.)
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from sys import getrefcount
from typing import Any

from orjson import Fragment, dumps, loads

from asyncsdk._model.encoding import MAX_LEVELS, as_fields, to_json
from asyncsdk.errors import InvalidEventError

_PLAIN = frozenset({str, int, float, bool, type(None)})


class _References:
    """The number of references to `Fragment` while no caller's fragment exists.

    Negative, and so never equal to the actual number, if another version of orjson does not count fragments there.
    """

    def __init__(self) -> None:
        before = getrefcount(Fragment)
        kept = Fragment(b"1")
        self.idle = before if getrefcount(Fragment) == before + 1 else -(10**6)
        del kept


def own_fragment(text: bytes) -> Fragment:
    """Return a fragment of ours that is kept for good, and that is JSON."""
    _REFERENCES.idle += 1
    return Fragment(text)


def may_exist() -> bool:
    """Return whether there may be a caller's fragment anywhere in this process."""
    references = getrefcount(Fragment)
    if references == _REFERENCES.idle:
        return False
    if references < _REFERENCES.idle:  # some references were those of others, which are gone
        _REFERENCES.idle = references
        return False
    return True


def check(value: object, path: str) -> None:
    """Check each fragment in a value.

    Args:
        value: Any value.
        path: Where it is, for the error.

    Raises:
        InvalidEventError: One is not JSON.
    """
    _check(value, path, 0)


def copy_as_json(value: object, path: str) -> Any:
    """Return a copy of a value as JSON has it.

    Raises:
        InvalidEventError: Part of it has no form in JSON.
    """
    if may_exist():
        check(value, path)
    return loads(to_json(value, path))


def _check(value: Any, path: str, level: int) -> None:
    if type(value) in _PLAIN or level > MAX_LEVELS:  # beyond that, encoding fails
        return
    if type(value) is Fragment:
        try:
            loads(dumps(value))
        except ValueError:
            msg = f"`{path}` is an orjson.Fragment that is not JSON"
            raise InvalidEventError(msg) from None
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _check(item, f"{path}[{key!r}]", level + 1)
    elif isinstance(value, list | tuple | AbstractSet):
        for position, item in enumerate(value):
            _check(item, f"{path}[{position}]", level + 1)
    else:
        _check(as_fields(value), path, level + 1)


_REFERENCES = _References()  # last: annotations above are references, too
