"""Finds the members of a JSON object without parsing them.

JSON values are self-delimiting, so a large body can be cut into raw slices for a fraction of the cost of parsing it,
and each slice can be parsed when it is first used.

Theory of operation. `iter_members` walks the body once, member by member. Nearly all of it is objects in sections, and
an object ends where as many braces have been closed as opened, not counting braces in strings. There are two ways to
find that end:

1. *Guess and prove* (fast: `bytes.find` and `bytes.count` do the work). `_guess_objects` finds the ends of the next
   objects, about `_GUESS_BYTES` of them, as if no string held a brace. `_has_plain_strings` then proves the guess for
   all of them at once: delete every byte that is not a quote, a backslash or a brace. If each string is now an empty
   pair of quotes, no string held a brace, and every brace was counted correctly. If the proof fails, the members of
   that guess are tried again one by one.
2. *Scan* (slow: a match of a regular expression per bracket). `_scan_to_end` skips strings properly. It is used for a
   single object whose own proof fails, for large objects, and for lists.

Invariants: a slice is never reported before its end is proven or scanned; malformed JSON raises `MalformedError` or
gives a slice that does not parse, never an endless loop, as each step moves forward. No step looks at more than about
`_WINDOW` bytes or `_BRACKETS_PER_STEP` brackets, however long the strings or deep the lists of a hostile body are: a
scan that takes longer yields `None` in between, so that its caller can let other tasks run.

Example: `iter_members(b'{"time":1,"gates":{"a":{"x":"}"}}}', frozenset({"gates"}))` yields ("", b"time", 8, 9),
("", b"gates", 18, 19), the opening of the section, and ("gates", b"a", 23, 32). The guess for `a` ends at the brace in
the string; the proof rejects it, and the scan finds 32.
"""

import re
from collections.abc import Generator, Iterator
from math import inf

from asyncsdk._rules.language.specs import MalformedError

# The inside of a string. Possessive quantifiers: no backtracking on a string that does not end.
STRING = rb'[^"\\]*+(?:\\.[^"\\]*+)*+'
# White space between two tokens that is skipped without a step of its own; `skip_space` skips more.
_MAX_GAP = 4_000
_GAP = rb"[ \t\r\n]{0,%d}+" % _MAX_GAP
_MEMBER = re.compile(rb'%b"(%b)"%b:%b' % (_GAP, STRING, _GAP, _GAP), re.DOTALL)
_OBJECT_MEMBER = re.compile(_MEMBER.pattern + rb"(?=\{)", re.DOTALL)
_OBJECT_ELEMENT = re.compile(rb"()%b(?=\{)" % _GAP)
_SPACE = re.compile(_GAP)
_SCALAR = re.compile(rb'[^\s,{}\[\]"]++')
_STRING_PART = re.compile(STRING, re.DOTALL)
_UP_TO_BRACKET = re.compile(rb'[^"{}\[\]]*+(?:"%b"[^"{}\[\]]*+)*+([{}\[\]])?' % STRING, re.DOTALL)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_OPENINGS = (b"{", b"[")
_NOT_SKELETON = bytes(set(range(256)) - set(b'"\\{}'))
"""The bytes that a proof deletes."""
_GUESS_BYTES = 8_000
"""Bytes of objects that are guessed, and then proven, at once: the proof has a fixed cost."""
_MAX_CLOSINGS = 200
"""Closing braces after which a guess gives up. An opening brace in a string would take it to the end of the body."""
_WINDOW = 65_536
"""Bytes that one step examines at most."""
_BRACKETS_PER_STEP = 500
"""Brackets that one step of a scan passes at most."""

Member = tuple[str, bytes, int, int]
"""Section, raw key without quotes, and the start and end of the value in the body."""
Steps = Generator[None, None, int]
"""A scan: yields between steps and returns the position that it looked for."""


def iter_members(raw: bytes, sections: frozenset[str]) -> Iterator[Member | None]:
    """Yield the members of each section of an object, and the other members of the object itself (section "").

    Members come in the order of the body, and each is found when it is requested. A section is itself a member of the
    object, whose value ends after its opening bracket; what is in it follows.

    Args:
        raw: JSON of an object; a byte order mark before it is skipped.
        sections: Keys of the object whose values (objects or lists) are cut further. List elements have the key b"".

    Yields:
        A member, or None where the search for the next one takes so long that other work should have a turn.

    Raises:
        MalformedError: The body is not a JSON object.
    """
    start = yield from skip_space(raw, len(_BYTE_ORDER_MARK) if raw.startswith(_BYTE_ORDER_MARK) else 0)
    at, last = yield from _enter(raw, start, b"{", b"}")
    while not last:
        key, start = yield from find_key(raw, at)
        name = key.decode("utf-8", "replace")
        if name in sections and raw[start : start + 1] in _OPENINGS:
            yield "", key, start, start + 1
            end = yield from _members(raw, start, name)
        else:
            end = yield from value_end(raw, start)
            yield "", key, start, end
        at, last = yield from skip_separator(raw, end, b"}")
    if (yield from skip_space(raw, at)) < len(raw):
        raise _malformed(at)


def _members(raw: bytes, start: int, section: str) -> Generator[Member | None, None, int]:
    """Yield the members of an object or a list; return the position after it."""
    is_object = raw[start : start + 1] == b"{"
    closing, fast = (b"}", _OBJECT_MEMBER) if is_object else (b"]", _OBJECT_ELEMENT)
    at, last = yield from _enter(raw, start, raw[start : start + 1], closing)
    slow_until = 0
    while not last:
        # 1. Several members at once, unless this position is within a guess that failed.
        if at >= slow_until and (guessed := _guess_objects(raw, at, fast)):
            until = guessed[-1][2]
            if _has_plain_strings(raw, at, until):
                for name, begin, end in guessed:
                    yield section, name, begin, end
                at, last = yield from skip_separator(raw, until, closing)
                continue
            slow_until = until
        # 2. One member, proven alone or scanned.
        key, begin = (yield from find_key(raw, at)) if is_object else (b"", (yield from skip_space(raw, at)))
        end = yield from value_end(raw, begin)
        yield section, key, begin, end
        at, last = yield from skip_separator(raw, end, closing)
    return at


def find_key(raw: bytes, at: int) -> Generator[None, None, tuple[bytes, int]]:
    """Return the raw key of the member at a position, and the position of its value."""
    member = _MEMBER.match(raw, at, at + _WINDOW)
    if member is not None and member.end() < at + _WINDOW:
        return member[1], member.end()
    # A long key, or much white space around it.
    start = yield from skip_space(raw, at)
    if raw[start : start + 1] != b'"':
        raise _malformed(start)
    end = yield from _string_end(raw, start)
    colon = yield from skip_space(raw, end)
    if raw[colon : colon + 1] != b":":
        raise _malformed(colon)
    return raw[start + 1 : end - 1], (yield from skip_space(raw, colon + 1))


def _guess_objects(raw: bytes, at: int, pattern: re.Pattern[bytes]) -> list[tuple[bytes, int, int]]:
    """Return raw key, start and end of consecutive objects, found as if no string held a brace. Unproven."""
    guessed: list[tuple[bytes, int, int]] = []
    until, match = at + _GUESS_BYTES, pattern.match
    while at < until and (key := match(raw, at, at + _WINDOW)) is not None:
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
    """Return whether no string holds a brace or an escape: each is then reduced to an empty pair of quotes."""
    return b'"' not in raw[start:end].translate(None, _NOT_SKELETON).replace(b'""', b"")


def value_end(raw: bytes, start: int, max_depth: float = inf) -> Steps:
    """Return the position after the value that begins at `start`.

    Raises:
        MalformedError: The value does not end, or it is long and has more than `max_depth` levels.
    """
    first = raw[start : start + 1]
    if first == b"{":
        end = _find_closing_brace(raw, start)
        is_proven = end > 0 and _has_plain_strings(raw, start, end)
        return end if is_proven else (yield from _scan_to_end(raw, start, max_depth))
    if first == b"[":
        return (yield from _scan_to_end(raw, start, max_depth))
    if first == b'"':
        return (yield from _string_end(raw, start))
    scalar = _SCALAR.match(raw, start, start + _WINDOW)
    # No vendor writes a number or word of this length.
    if scalar is None or scalar.end() == start + _WINDOW:
        raise _malformed(start)
    return scalar.end()


def _find_closing_brace(raw: bytes, start: int) -> int:
    """Return the position after the closing brace, found as if no string held one; -1 if it is too far or missing."""
    find, count = raw.find, raw.count
    at, depth, until = start, 0, start + _WINDOW
    for _ in range(_MAX_CLOSINGS):
        end = find(b"}", at, until)
        if end < 0:
            break
        depth += count(b"{", at, end) - 1
        at = end + 1
        if depth == 0:
            return at
    return -1


def _scan_to_end(raw: bytes, start: int, max_depth: float) -> Steps:
    """Return the position after an object or array, found bracket by bracket, skipping strings."""
    at, depth, passed, until = start, 0, 0, start + _WINDOW
    while True:
        found = _UP_TO_BRACKET.match(raw, at, until)
        at, bracket = found.end(), found[1]  # type: ignore[union-attr,index] # it matches nothing, too
        if bracket is not None:
            depth += 1 if bracket in b"{[" else -1
            if depth == 0:
                return at
            if depth > max_depth:
                msg = f"a value at byte {start} is nested too deeply"
                raise MalformedError(msg)
            passed += 1
            if passed < _BRACKETS_PER_STEP:
                continue
        elif at >= len(raw):
            raise _malformed(start)
        elif at < until:  # a string that the window cuts off
            at = yield from _string_end(raw, at)
        passed, until = 0, at + _WINDOW
        yield


def _string_end(raw: bytes, start: int) -> Steps:
    """Return the position after the string that begins at `start`."""
    at = start + 1
    while True:
        end = _STRING_PART.match(raw, at, at + _WINDOW).end()  # type: ignore[union-attr] # it matches nothing, too
        if raw[end : end + 1] == b'"':
            return end + 1
        if end == at:  # the body ends, or ends with a backslash
            raise _malformed(start)
        at = end
        yield


def skip_space(raw: bytes, at: int) -> Steps:
    """Return the position of the next byte that is not white space."""
    while True:
        end = _SPACE.match(raw, at).end()  # type: ignore[union-attr] # it matches nothing, too
        if end - at < _MAX_GAP:
            return end
        at = end
        yield


def _enter(raw: bytes, start: int, opening: bytes, closing: bytes) -> Generator[None, None, tuple[int, bool]]:
    """Return the position after the opening bracket and False, or, if it is empty, after the closing one and True."""
    if raw[start : start + 1] != opening:
        raise _malformed(start)
    at = yield from skip_space(raw, start + 1)
    return (at + 1, True) if raw[at : at + 1] == closing else (at, False)


def skip_separator(raw: bytes, end: int, closing: bytes) -> Generator[None, None, tuple[int, bool]]:
    """Return the position after the comma or closing bracket that follows a value, and whether it was the bracket."""
    # Without a regular expression first: in compact JSON the separator follows at once.
    following = raw[end : end + 1]
    if following not in (b",", closing):
        end = yield from skip_space(raw, end)
        following = raw[end : end + 1]
        if following not in (b",", closing):
            raise _malformed(end)
    return end + 1, following == closing


def _malformed(position: int) -> MalformedError:
    return MalformedError(f"the ruleset is not JSON at byte {position}")
