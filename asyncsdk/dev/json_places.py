"""Where each value of a JSON text is, so that a mistake can be shown at its place. Pure."""

import re
from collections.abc import Mapping

import orjson

_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+)', re.DOTALL)


def places(text: str) -> Mapping[str, int]:
    """Return the offset of each value by its path, such as `rules.0.passPercentage`; `""` is the whole text.

    Args:
        text: JSON that has been parsed without an error.
    """
    found: dict[str, int] = {"": 0}
    # A level is a path, and the number of the next item of a list; None in an object.
    levels: list[tuple[str, int | None]] = []
    path = ""
    is_key = False
    position = 0
    while match := _TOKEN.match(text, position):
        piece, start, position = match[1], match.start(1), match.end()
        if piece in "}]":
            levels.pop()
        elif piece == ",":
            parent, number = levels[-1]
            is_key = number is None
            if number is not None:
                levels[-1] = (parent, number + 1)
                path = _join(parent, str(number + 1))
        elif is_key:
            path, is_key = _join(levels[-1][0], orjson.loads(piece)), False
        elif piece != ":":
            found.setdefault(path, start)
            if piece == "{":
                levels.append((path, None))
                is_key = True
            elif piece == "[":
                levels.append((path, 0))
                path = _join(path, "0")
        if piece == "}":
            is_key = False
    return found


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Return the line and the column of an offset, both from 1."""
    before = text[:offset]
    return before.count("\n") + 1, offset - before.rfind("\n")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
