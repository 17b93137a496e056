"""Work in steps: parses long JSON and runs generators, so that no step of loading rules takes long.

A value of some megabytes is parsed piece by piece: runs of plain elements of a list at once, as many as a window holds,
and every other member by itself. What comes out is what `parse` returns.
"""

import re
from collections.abc import Generator
from typing import Any, TypeVar

import orjson

from asyncsdk._rules.json_slicer import STRING, find_key, skip_separator, skip_space, value_end
from asyncsdk._rules.language.specs import MalformedError, parse

_WINDOW = 65_536
"""Bytes that are parsed at once."""
_MEMBERS_PER_STEP = 50
_MAX_LEVELS = 40
"""Levels of values that are longer than the window. They count for the 254 levels of JSON that a response can have."""
_MAX_DEPTH = 254
"""Levels of one value. It is looked at before the value is cut: cutting each of its levels would take minutes."""
_PLAIN_ELEMENTS = re.compile(rb'(?:[ \t\r\n]*+(?:"%b"|[^\s,{}\[\]"]++)[ \t\r\n]*+,)*+' % STRING, re.DOTALL)

Result = TypeVar("Result")
Steps = Generator[None, None, Result]
"""Yields between steps, and returns the result."""


def run_to_end(steps: Steps[Result]) -> Result:
    """Run a generator to its end without yielding, and return its result."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            result: Result = stop.value
            return result


def parse_in_steps(raw: bytes, name: str, level: int = 0) -> Steps[Any]:
    """Parse JSON of any length, as `parse` does.

    Args:
        raw: The JSON.
        name: What the error message calls it.
        level: How many longer values it is in.

    Raises:
        MalformedError: It is not JSON, or nested too deeply.
    """
    start = yield from skip_space(raw, 0)
    if len(raw) <= _WINDOW or raw[start : start + 1] not in (b"[", b"{"):
        return _parse_piece(raw, name, level)
    if level >= _MAX_LEVELS:
        msg = f"{name} is nested too deeply"
        raise MalformedError(msg)
    if raw[start : start + 1] == b"[":
        return (yield from _parse_list(raw, start + 1, name, level))
    return (yield from _parse_object(raw, start + 1, name, level))


def _parse_piece(raw: bytes, name: str, level: int) -> Any:
    value = nested = parse(raw, name)
    if not level or not isinstance(value, dict | list):
        return value
    # Alone it is not too deep; within longer values it may be.
    for _ in range(level):
        nested = [nested]
    try:
        orjson.dumps(nested)
    except TypeError as error:
        msg = f"{name} is nested too deeply"
        raise MalformedError(msg) from error
    return value


def _parse_list(raw: bytes, at: int, name: str, level: int) -> Steps[list[Any]]:
    values: list[Any] = []
    count = 0
    while True:
        # 1. Texts, numbers and the like, up to the last comma in the window.
        plain = _PLAIN_ELEMENTS.match(raw, at, at + _WINDOW)
        if plain is not None and plain.end() > at:
            values += parse(b"[%b]" % raw[at : plain.end() - 1], name)
            at = plain.end()
            yield
            continue
        # 2. The last element, a long one, or a list or object.
        begin = yield from skip_space(raw, at)
        if raw[begin : begin + 1] == b"]" and not values:
            return values
        end = yield from value_end(raw, begin, _MAX_DEPTH)
        values.append((yield from parse_in_steps(raw[begin:end], name, level + 1)))
        at, is_last = yield from skip_separator(raw, end, b"]")
        if is_last:
            return values
        count += 1
        if count % _MEMBERS_PER_STEP == 0:
            yield


def _parse_object(raw: bytes, at: int, name: str, level: int) -> Steps[dict[str, Any]]:
    fields: dict[str, Any] = {}
    at = yield from skip_space(raw, at)
    is_last = raw[at : at + 1] == b"}"
    while not is_last:
        key, begin = yield from find_key(raw, at)
        end = yield from value_end(raw, begin, _MAX_DEPTH)
        fields[parse(b'"%b"' % key, name)] = yield from parse_in_steps(raw[begin:end], name, level + 1)
        at, is_last = yield from skip_separator(raw, end, b"}")
        if len(fields) % _MEMBERS_PER_STEP == 0:
            yield
    return fields
