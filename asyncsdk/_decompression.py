"""Decompresses the body of a response piece by piece, in whatever parts it arrives."""

import zlib
from collections.abc import Iterator

CANNOT_DECOMPRESS = "answer cannot be decompressed"
# Decompressing this many bytes takes about 0.2 ms: the loop gets a turn in between.
_PIECE = 96 * 1024
_CODINGS = ("gzip", "x-gzip", "deflate")
_GZIP_MAGIC = b"\x1f\x8b"
_MAX_TRAILING = 65_536
"""Maximum number of bytes after the end of the compressed data that are ignored, as browsers ignore them."""


class UnreadableError(Exception):
    """Raised for an answer that cannot be read; the message is the `error` of the response."""


class Plain:
    """Passes an uncompressed body through."""

    is_complete = True

    def pieces(self, part: bytes) -> Iterator[bytes]:
        """Yield `part` unchanged."""
        yield part


class Decompressor:
    """Decompresses gzip and deflate, the latter with its zlib header or, as some servers send it, without.

    A gzip body may consist of several members (RFC 1952, section 2.2); zero bytes may pad each. What follows the data
    is ignored, up to a limit.
    """

    def __init__(self, coding: str) -> None:
        self._is_gzip = coding != "deflate"
        self._state = zlib.decompressobj(47)  # 32 + 15: detects a gzip or zlib header
        self._begun = False
        self._rest = b""  # the start of what follows a member, too short to tell
        self._trailing = 0

    @property
    def is_complete(self) -> bool:
        """Whether the end of the stream was seen, or the body is empty."""
        return self._state.eof or not self._begun

    def pieces(self, part: bytes) -> Iterator[bytes]:
        """Decompress `part`, at most `_PIECE` bytes at a time.

        Raises:
            UnreadableError: It is not compressed data, or too much follows the data.
        """
        if part and not self._begun:
            self._begun = True
            if not self._is_gzip and part[0] & 15 != zlib.DEFLATED:
                self._state = zlib.decompressobj(-15)
        part = self._next_member(part)
        while part:
            yield from self._inflated(part)
            part = self._next_member(self._state.unused_data)

    def _inflated(self, part: bytes) -> Iterator[bytes]:
        try:
            piece = self._state.decompress(part, _PIECE)
            yield piece
            while len(piece) == _PIECE:  # zlib may hold more output, even if `part` is used up
                piece = self._state.decompress(self._state.unconsumed_tail, _PIECE)
                yield piece
        except zlib.error as error:
            raise UnreadableError(CANNOT_DECOMPRESS) from error

    def _next_member(self, part: bytes) -> bytes:
        """Return the bytes to decompress next: `part`, or, after the end of a member, those of another one."""
        if not self._state.eof:
            return part
        part = self._rest + part
        self._rest = b""
        if self._is_gzip:
            found = part.lstrip(b"\0")
            if found.startswith(_GZIP_MAGIC):
                self._state = zlib.decompressobj(31)
                return found
            if found == _GZIP_MAGIC[:1]:
                self._rest = found
                return b""
            # Not another member: everything from here on is ignored.
            self._is_gzip = not found
        self._trailing += len(part)
        if self._trailing > _MAX_TRAILING:
            raise UnreadableError(CANNOT_DECOMPRESS)
        return b""


def decompressor_for(coding: str) -> Plain | Decompressor | None:
    """Return the decompressor for a `Content-Encoding`; None if it is unknown."""
    name = coding.strip().lower()
    if name in ("", "identity"):
        return Plain()
    return Decompressor(name) if name in _CODINGS else None
