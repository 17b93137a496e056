"""Find the members of a JSON object without parsing them.

JSON values delimit themselves, so a big body can be cut into raw slices at a fraction of the price of a parse, and
each slice parsed when somebody asks for it. The fast way counts braces, and then proves that no text between them
held a brace (which would have been counted); where it did, a scanner that knows texts takes over.
"""

import re
from collections.abc import Generator, Iterator

from asyncsdk._rules.specs import MalformedError

_MEMBER = re.compile(rb'\s*"((?:[^"\\]|\\.)*+)"\s*:\s*', re.DOTALL)
_NEXT = re.compile(rb"\s*([,}\]])")
_SPACE = re.compile(rb"\s*")
_SCALAR = re.compile(rb'"(?:[^"\\]|\\.)*+"|[^\s,{}\[\]"]++', re.DOTALL)
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|[{}\[\]"]', re.DOTALL)
_CLOSING = {b"{": b"}", b"[": b"]"}
_NOT_SKELETON = bytes(set(range(256)) - set(b'"\\{}'))

Slice = tuple[str, bytes, int, int]
"""Section, raw key, and where the value starts and ends."""


def walk(raw: bytes, sections: frozenset[str]) -> Iterator[Slice]:
    """Give each member of the sections of an object, and each other member of the object itself (section "").

    A section may be an object or a list; elements of a list have the key b"". The pieces come in the order of the
    body, each found when it is asked for.

    Raises:
        MalformedError: The body is no JSON object.
    """
    at, last = _opening(raw, 0, b"{", b"}")
    while not last:
        member = _MEMBER.match(raw, at)
        if member is None:
            raise _malformed(at)
        start, name = member.end(), member[1].decode("utf-8", "replace")
        if name in sections and raw[start : start + 1] in _CLOSING:
            end = yield from _members(raw, start, name)
        else:
            end = value_end(raw, start)
            yield "", member[1], start, end
        at, last = _step(raw, end, b"}")
    if raw[at:].strip():
        raise _malformed(at)


def _members(raw: bytes, start: int, section: str) -> Generator[Slice, None, int]:
    """Give each member of an object or a list; returns the place after it."""
    opening = raw[start : start + 1]
    closing, pattern = _CLOSING[opening], _MEMBER if opening == b"{" else _SPACE
    at, last = _opening(raw, start, opening, closing)
    while not last:
        key = pattern.match(raw, at)
        if key is None:
            raise _malformed(at)
        end = value_end(raw, key.end())
        yield section, key[1] if opening == b"{" else b"", key.end(), end
        at, last = _step(raw, end, closing)
    return at


def value_end(raw: bytes, start: int) -> int:
    """Find the place after the value that begins at `start`.

    Raises:
        MalformedError: The value does not end.
    """
    first = raw[start : start + 1]
    if first == b"{":
        end = _balanced(raw, start)
        # A text free of braces and escapes leaves a pair of quotes and nothing between them.
        if end > 0 and b'"' not in raw[start:end].translate(None, _NOT_SKELETON).replace(b'""', b""):
            return end
        return _scanned(raw, start)
    if first == b"[":
        return _scanned(raw, start)
    scalar = _SCALAR.match(raw, start)
    if scalar is None:
        raise _malformed(start)
    return scalar.end()


def _balanced(raw: bytes, start: int) -> int:
    """Find the closing brace as if texts held none; -1 when there is none."""
    find, count = raw.find, raw.count
    at, depth = start, 0
    while (end := find(b"}", at)) >= 0:
        depth += count(b"{", at, end) - 1
        at = end + 1
        if depth == 0:
            return at
    return -1


def _scanned(raw: bytes, start: int) -> int:
    """Find the end of an object or array token by token."""
    depth = 0
    for token in _TOKEN.finditer(raw, start):
        mark = token[0]
        if mark in b"{[":
            depth += 1
        elif mark in b"}]":
            depth -= 1
            if depth == 0:
                return token.end()
        elif mark == b'"':
            break
    raise _malformed(start)


def _opening(raw: bytes, start: int, opening: bytes, closing: bytes) -> tuple[int, bool]:
    """Step into an object or list; says whether it is empty."""
    at = start + len(raw[start : start + 64]) - len(raw[start : start + 64].lstrip())
    if raw[at : at + 1] != opening:
        raise _malformed(at)
    mark = _NEXT.match(raw, at + 1)
    return (mark.end(), True) if mark is not None and mark[1] == closing else (at + 1, False)


def _step(raw: bytes, end: int, closing: bytes) -> tuple[int, bool]:
    """Step over what follows a value: a comma, or the end; in compact JSON it follows at once."""
    following = raw[end : end + 1]
    if following in (b",", closing):
        return end + 1, following == closing
    mark = _NEXT.match(raw, end)
    if mark is None or mark[1] not in (b",", closing):
        raise _malformed(end)
    return mark.end(), mark[1] == closing


def _malformed(place: int) -> MalformedError:
    return MalformedError(f"the ruleset is not JSON at byte {place}")
