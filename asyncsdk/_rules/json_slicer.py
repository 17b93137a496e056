"""Finds the members of a JSON object without parsing them.

JSON values are self-delimiting, so a large body can be cut into raw slices for a fraction of the cost of parsing it,
and each slice can be parsed when it is first used.

Theory of operation. `iter_members` walks the body once, member by member. Nearly all of it is objects in sections, and
an object ends where as many braces were closed as opened, provided that braces in strings are not counted. There are
two ways to find that end:

1. *Guess and prove* (fast: `bytes.find` and `bytes.count` do the work). `_guess_objects` finds the ends of the next
   objects, some `_GUESS_BYTES` of them, as if no string held a brace. `_has_plain_strings` then proves the guess for
   all of them at once: delete every byte that is not a quote, a backslash or a brace; if each string is an empty pair
   of quotes now, no string held a brace, and every brace was counted rightly. If the proof fails, the members of that
   guess are tried again one by one.
2. *Scan* (slow: a match of a regular expression per bracket). `_scan_to_end` skips strings properly. It is used for a
   single object whose own proof fails, and for lists.

Invariants: a slice is never reported before its end is proven or scanned; malformed JSON raises `MalformedError` or
gives a slice that does not parse, never an endless loop, as each step moves forward.

Example: `iter_members(b'{"time":1,"gates":{"a":{"x":"}"}}}', frozenset({"gates"}))` yields ("", b"time", 8, 9) and
("gates", b"a", 23, 32). The guess for `a` ends at the brace in the string; the proof rejects it, and the scan finds 32.
"""

import re
from collections.abc import Generator, Iterator

from asyncsdk._rules.language.specs import MalformedError

# The inside of a string. Possessive quantifiers: no backtracking on a string that does not end.
_STRING = rb'[^"\\]*+(?:\\.[^"\\]*+)*+'
_MEMBER = re.compile(rb'\s*"(%b)"\s*:\s*' % _STRING, re.DOTALL)
_OBJECT_MEMBER = re.compile(_MEMBER.pattern + rb"(?=\{)", re.DOTALL)
_OBJECT_ELEMENT = re.compile(rb"()\s*(?=\{)")
_SEPARATOR = re.compile(rb"\s*([,}\]])")
_SPACE = re.compile(rb"\s*")
_SCALAR = re.compile(rb'"%b"|[^\s,{}\[\]"]++' % _STRING, re.DOTALL)
_UP_TO_BRACKET = re.compile(rb'[^"{}\[\]]*+(?:"%b"[^"{}\[\]]*+)*+([{}\[\]])' % _STRING, re.DOTALL)
_CLOSING = {b"{": b"}", b"[": b"]"}
_NOT_SKELETON = bytes(set(range(256)) - set(b'"\\{}'))
"""The bytes that a proof deletes."""
_GUESS_BYTES = 8_000
"""Bytes of objects that are guessed, and then proven, at once: the proof has a fixed cost."""
_MAX_CLOSINGS = 200
"""Closing braces after which a guess gives up. An opening brace in a string would take it to the end of the body."""

Member = tuple[str, bytes, int, int]
"""Section, raw key without quotes, and the start and end of the value in the body."""


def iter_members(raw: bytes, sections: frozenset[str]) -> Iterator[Member]:
    """Yield the members of each section of an object, and the other members of the object itself (section "").

    Members come in the order of the body, and each is found when it is requested.

    Args:
        raw: JSON of an object.
        sections: Keys of the object whose values (objects or lists) are cut further. List elements have the key b"".

    Raises:
        MalformedError: The body is not a JSON object.
    """
    at, last = _enter(raw, 0, b"{", b"}")
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
        at, last = _skip_separator(raw, end, b"}")
    if raw[at:].strip():
        raise _malformed(at)


def _members(raw: bytes, start: int, section: str) -> Generator[Member, None, int]:
    """Yield the members of an object or a list; return the position after it."""
    opening = raw[start : start + 1]
    closing = _CLOSING[opening]
    pattern, fast = (_MEMBER, _OBJECT_MEMBER) if opening == b"{" else (_SPACE, _OBJECT_ELEMENT)
    at, last = _enter(raw, start, opening, closing)
    slow_until = 0
    while not last:
        # 1. Several members at once, unless this position is within a guess that failed.
        if at >= slow_until and (guessed := _guess_objects(raw, at, fast)):
            until = guessed[-1][2]
            if _has_plain_strings(raw, at, until):
                for name, begin, end in guessed:
                    yield section, name, begin, end
                at, last = _skip_separator(raw, until, closing)
                continue
            slow_until = until
        # 2. One member, proven alone or scanned.
        key = pattern.match(raw, at)
        if key is None:
            raise _malformed(at)
        end = value_end(raw, key.end())
        yield section, key[1] if opening == b"{" else b"", key.end(), end
        at, last = _skip_separator(raw, end, closing)
    return at


def _guess_objects(raw: bytes, at: int, pattern: re.Pattern[bytes]) -> list[tuple[bytes, int, int]]:
    """Return raw key, start and end of consecutive objects, found as if no string held a brace. Unproven."""
    guessed: list[tuple[bytes, int, int]] = []
    until, match = at + _GUESS_BYTES, pattern.match
    while at < until and (key := match(raw, at)) is not None:
        start = key.end()
        end = _find_closing_brace(raw, start)
        if end < 0:
            break
        guessed.append((key[1], start, end))
        if raw[end : end + 1] != b",":
            break
        at = end + 1
    return guessed


def _has_plain_strings(raw: bytes, start: int, end: int) -> bool:
    """Return whether no string holds a brace or an escape: only an empty pair of quotes is left of each then."""
    return b'"' not in raw[start:end].translate(None, _NOT_SKELETON).replace(b'""', b"")


def value_end(raw: bytes, start: int) -> int:
    """Return the position after the value that begins at `start`.

    Raises:
        MalformedError: The value does not end.
    """
    first = raw[start : start + 1]
    if first == b"{":
        end = _find_closing_brace(raw, start)
        return end if end > 0 and _has_plain_strings(raw, start, end) else _scan_to_end(raw, start)
    if first == b"[":
        return _scan_to_end(raw, start)
    scalar = _SCALAR.match(raw, start)
    if scalar is None:
        raise _malformed(start)
    return scalar.end()


def _find_closing_brace(raw: bytes, start: int) -> int:
    """Return the position after the closing brace, found as if no string held one; -1 if it is too far or missing."""
    find, count = raw.find, raw.count
    at, depth = start, 0
    for _ in range(_MAX_CLOSINGS):
        end = find(b"}", at)
        if end < 0:
            break
        depth += count(b"{", at, end) - 1
        at = end + 1
        if depth == 0:
            return at
    return -1


def _scan_to_end(raw: bytes, start: int) -> int:
    """Return the position after an object or array, found bracket by bracket, skipping strings."""
    at, depth = start, 0
    while (bracket := _UP_TO_BRACKET.match(raw, at)) is not None:
        at = bracket.end()
        depth += 1 if bracket[1] in b"{[" else -1
        if depth == 0:
            return at
    raise _malformed(start)


def _enter(raw: bytes, start: int, opening: bytes, closing: bytes) -> tuple[int, bool]:
    """Return the position after the opening bracket and False, or, if it is empty, after the closing one and True."""
    at = start + len(raw[start : start + 64]) - len(raw[start : start + 64].lstrip())
    if raw[at : at + 1] != opening:
        raise _malformed(at)
    mark = _SEPARATOR.match(raw, at + 1)
    return (mark.end(), True) if mark is not None and mark[1] == closing else (at + 1, False)


def _skip_separator(raw: bytes, end: int, closing: bytes) -> tuple[int, bool]:
    """Return the position after the comma or closing bracket that follows a value, and whether it was the bracket."""
    # Without a regular expression first: in compact JSON the separator follows at once.
    following = raw[end : end + 1]
    if following in (b",", closing):
        return end + 1, following == closing
    mark = _SEPARATOR.match(raw, end)
    if mark is None or mark[1] not in (b",", closing):
        raise _malformed(end)
    return mark.end(), mark[1] == closing


def _malformed(position: int) -> MalformedError:
    return MalformedError(f"the ruleset is not JSON at byte {position}")
