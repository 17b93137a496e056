"""Find the members of a JSON object without parsing them.

JSON values delimit themselves, so a big body can be cut into raw slices at a fraction of the price of a parse, and
each slice parsed when somebody asks for it. The fast way counts braces, some members at a time, and then proves that no
text among them held a brace (which would have been counted); where one did, a scanner that knows texts takes over.
"""

import re
from collections.abc import Generator, Iterator

from asyncsdk._rules.language.specs import MalformedError

# What is between the quotes of a text, without a choice per character.
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
_GUESS_BYTES = 8_000
# A brace in a text can lead the count astray, as far as the end of the body.
_MAX_CLOSINGS = 200

Member = tuple[str, bytes, int, int]
"""Section, raw key, and where the value starts and ends."""


def iter_members(raw: bytes, sections: frozenset[str]) -> Iterator[Member]:
    """Give each member of the sections of an object, and each other member of the object itself (section "").

    A section may be an object or a list; elements of a list have the key b"". The pieces come in the order of the
    body, each found when it is asked for.

    Raises:
        MalformedError: The body is no JSON object.
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
    """Give each member of an object or a list; returns the place after it."""
    opening = raw[start : start + 1]
    closing = _CLOSING[opening]
    pattern, fast = (_MEMBER, _OBJECT_MEMBER) if opening == b"{" else (_SPACE, _OBJECT_ELEMENT)
    at, last = _enter(raw, start, opening, closing)
    slow_until = 0
    while not last:
        if at >= slow_until and (some := _guess_objects(raw, at, fast)):
            until = some[-1][2]
            if _has_plain_strings(raw, at, until):
                for name, begin, end in some:
                    yield section, name, begin, end
                at, last = _skip_separator(raw, until, closing)
                continue
            slow_until = until
        key = pattern.match(raw, at)
        if key is None:
            raise _malformed(at)
        end = value_end(raw, key.end())
        yield section, key[1] if opening == b"{" else b"", key.end(), end
        at, last = _skip_separator(raw, end, closing)
    return at


def _guess_objects(raw: bytes, at: int, pattern: re.Pattern[bytes]) -> list[tuple[bytes, int, int]]:
    """Find objects that follow each other as if texts held no braces; gives raw key, start and end of each."""
    found: list[tuple[bytes, int, int]] = []
    until, match = at + _GUESS_BYTES, pattern.match
    while at < until and (key := match(raw, at)) is not None:
        start = key.end()
        end = _find_closing_brace(raw, start)
        if end < 0:
            break
        found.append((key[1], start, end))
        if raw[end : end + 1] != b",":
            break
        at = end + 1
    return found


def _has_plain_strings(raw: bytes, start: int, end: int) -> bool:
    """Say whether no text holds a brace or an escape: it leaves a pair of quotes then, and nothing between them."""
    return b'"' not in raw[start:end].translate(None, _NOT_SKELETON).replace(b'""', b"")


def value_end(raw: bytes, start: int) -> int:
    """Find the place after the value that begins at `start`.

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
    """Find the closing brace as if texts held none; -1 when it is not near, or nowhere."""
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
    """Find the end of an object or array bracket by bracket, passing over texts."""
    at, depth = start, 0
    while (found := _UP_TO_BRACKET.match(raw, at)) is not None:
        at = found.end()
        depth += 1 if found[1] in b"{[" else -1
        if depth == 0:
            return at
    raise _malformed(start)


def _enter(raw: bytes, start: int, opening: bytes, closing: bytes) -> tuple[int, bool]:
    """Step into an object or list; says whether it is empty."""
    at = start + len(raw[start : start + 64]) - len(raw[start : start + 64].lstrip())
    if raw[at : at + 1] != opening:
        raise _malformed(at)
    mark = _SEPARATOR.match(raw, at + 1)
    return (mark.end(), True) if mark is not None and mark[1] == closing else (at + 1, False)


def _skip_separator(raw: bytes, end: int, closing: bytes) -> tuple[int, bool]:
    """Step over what follows a value: a comma, or the end; in compact JSON it follows at once."""
    following = raw[end : end + 1]
    if following in (b",", closing):
        return end + 1, following == closing
    mark = _SEPARATOR.match(raw, end)
    if mark is None or mark[1] not in (b",", closing):
        raise _malformed(end)
    return mark.end(), mark[1] == closing


def _malformed(place: int) -> MalformedError:
    return MalformedError(f"the ruleset is not JSON at byte {place}")
