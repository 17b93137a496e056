"""Statsig's ID lists: how the bytes of a file change a list, and how a list is kept in a cache.

Each line of a file adds (`+`) or removes (`-`) an entry: the first 8 characters of the SHA-256 of a unit id in base64.
A list keeps each entry as a key of 6 bytes, which is the same in binary. Other lines match no unit, and are ignored.

A file may have 100 MB and more (Statsig documents 10 million ids), so it is read while it arrives, piece by piece, and
each piece in slices. A list of up to `SMALL` ids is a set, a larger one `CompactIds`.

Sources: statsig-python-core 0.24.0, statsig 0.72.1 (Python), statsig-node 6.
"""

from binascii import Error, a2b_base64, b2a_base64
from collections.abc import Generator, Iterator
from io import BytesIO
from itertools import islice
from struct import Struct

import attrs
import orjson

from asyncsdk._model.compact_ids import KEY_BYTES, SMALL, CompactIds, compacted
from asyncsdk._model.values import Comparable
from asyncsdk.vendors._base import ListFile

# Work between two yields to the event loop: bytes when reading a list, entries when writing one.
_SLICE_BYTES = 6_000
_SLICE_ENTRIES = 1_000
_TRAILER_MARK = b"# "
_MARKS = b"+-"
_ENTRY_BYTES = 8
_MAX_LINE = 1_000
"""Maximum length of a line. A file with a longer one is not a list."""
_LINE_BYTES = 1 + _ENTRY_BYTES + 1
_ENTRIES = Struct(f"x{_ENTRY_BYTES}sx").iter_unpack


class BadListError(ValueError):
    """Raised for bytes that are not a manifest, or not a list; the message says which."""


@attrs.define(eq=False, repr=False)
class IdList(Comparable):
    """The current contents of a list.

    Attributes:
        generation: Generation of the file that was read.
        created_ms: Creation time of that generation, in milliseconds since 1970.
        size: Number of bytes read so far: whole lines only.
        entries: Keys of the ids. Another object once there are more than `SMALL`.
    """

    generation: str
    created_ms: int
    size: int = 0
    entries: set[bytes] | CompactIds = attrs.field(factory=set, repr=False)


def new_list(file: ListFile) -> IdList:
    """Return an empty list for a file, with memory for as many entries as the file's size suggests."""
    expected = file.size // _LINE_BYTES
    return IdList(file.generation, file.created_ms, 0, CompactIds(expected) if expected > SMALL else set())


def apply_lines(target: IdList, body: bytes) -> Generator[None, None, bytes]:
    """Apply the whole lines of `body` to a list; yields between slices, so that the event loop is not blocked.

    Args:
        target: The list, changed in place. Between two slices its `size` fits its entries.
        body: The bytes of the file from `target.size` on.

    Returns:
        The incomplete last line, which comes again with what follows it: a file may be cut within a line.

    Raises:
        BadListError: The bytes are not a list: an error page, for example.
    """
    if body and body[0] not in _MARKS and not target.size:
        msg = "the file of an ID list begins with neither + nor -"
        raise BadListError(msg)
    end = body.rfind(b"\n") + 1
    if len(body) - end > _MAX_LINE:
        msg = f"the file of an ID list has a line of more than {_MAX_LINE:,} bytes"
        raise BadListError(msg)
    for start, until in _slices(body, end):
        _apply(body[start:until], target.entries)
        target.size += until - start
        if isinstance(target.entries, set):
            if len(target.entries) > SMALL:
                target.entries = yield from compacted(target.entries)
        elif target.entries.needs_growth:
            yield from target.entries.grow()
        yield
    return body[end:]


def snapshot(current: IdList) -> Generator[None, None, bytes]:
    """Return a list as bytes for a cache; yields between slices.

    The format is that of a file with each entry once, as Statsig's SDKs cache it, and a trailer line that they skip:
    the file's generation, and how many of its bytes were read.
    """
    entries, lines = iter(current.entries), BytesIO()
    while batch := list(islice(entries, _SLICE_ENTRIES)):
        text = b2a_base64(b"".join(batch), newline=False)
        parts = (text[at : at + _ENTRY_BYTES] for at in range(0, len(text), _ENTRY_BYTES))
        lines.write(b"+" + b"\n+".join(parts) + b"\n")
        yield
    trailer = {"fileID": current.generation, "creationTime": current.created_ms, "size": current.size}
    lines.write(_TRAILER_MARK + orjson.dumps(trailer))
    return lines.getvalue()


def restore(body: bytes) -> Generator[None, None, IdList | None]:
    """Return a list from the bytes of `snapshot`, or None without a valid trailer; yields between slices."""
    at = body.rfind(_TRAILER_MARK)
    try:
        match orjson.loads(body[at + len(_TRAILER_MARK) :] if at >= 0 else b""):
            case {"fileID": str(generation), "creationTime": int(created), "size": int(size)}:
                result = new_list(ListFile("", "", generation, created, at))
            case _:
                return None
    except orjson.JSONDecodeError:
        return None
    for start, end in _slices(body, at):
        yield from apply_lines(result, body[start:end])
    result.size = size
    return result


def _slices(body: bytes, end: int) -> Iterator[tuple[int, int]]:
    """Yield the bounds of slices of whole lines, up to `end`."""
    at = 0
    while at < end:
        until = min(body.find(b"\n", at + _SLICE_BYTES) + 1 or end, end)
        yield at, until
        at = until


def _apply(lines: bytes, entries: set[bytes] | CompactIds) -> None:
    """Apply whole lines."""
    # 1. Nearly all slices consist of added entries only, each line of the same length: a few calls for all of them.
    count = len(lines) // _LINE_BYTES
    if lines[::_LINE_BYTES] == b"+" * count and lines[_LINE_BYTES - 1 :: _LINE_BYTES] == b"\n" * count:
        keys = _decoded(b"".join([entry for (entry,) in _ENTRIES(lines)]))
        if len(keys) == KEY_BYTES * count:
            entries.update([keys[at : at + KEY_BYTES] for at in range(0, len(keys), KEY_BYTES)])
            return
    # 2. Any other lines.
    for line in lines.split(b"\n"):
        key = _decoded(line[1:].strip())
        if len(key) == KEY_BYTES and line[:1] == b"+":
            entries.add(key)
        elif len(key) == KEY_BYTES and line[:1] == b"-":
            entries.discard(key)


def _decoded(text: bytes) -> bytes:
    """Decode base64 without padding; return b"" for anything else."""
    try:
        return b"" if len(text) % _ENTRY_BYTES or text[-1:] == b"=" else a2b_base64(text, strict_mode=True)
    except Error:
        return b""
