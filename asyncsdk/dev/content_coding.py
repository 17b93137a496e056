"""Decompress the bodies of requests: gzip, deflate, and with the extra `asyncsdk[dev-server]` zstd and br too.

An SDK names the coding in the header `Content-Encoding`; Statsig's SDKs for browsers name it in the query, where the
header would need a preflight request: `gz=1` for gzip, `se=1` for base64 in reverse.

Source: @statsig/client-core 3.35, @statsig/statsig-node-core 0.24 and statsig-python-core 0.24.2, as packaged. Pure.
"""

import base64
import binascii
import zlib
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from asyncsdk.dev.messages import MAX_BODY, BrokenBodyError, OversizedBodyError, UnsupportedCodingError, gunzip

EXTRA = "pip install 'asyncsdk[dev-server]'"
_PIECE = 64 * 1024
_ZSTD_PIECE = 256
"""Bytes that are decompressed at a time: four bytes may stand for 128 kB."""
_GZIP = ("gzip", "x-gzip")


def decode(body: bytes, header: str, query: Mapping[str, str]) -> bytes:
    """Return a body as it was before its codings were applied, the last one first.

    Args:
        body: The body as sent.
        header: Value of `Content-Encoding`: codings in the order in which they were applied; `""` for none.
        query: Parameters of the query.

    Raises:
        BrokenBodyError: It is not what its codings say, or it is truncated.
        OversizedBodyError: The decoded body is larger than `MAX_BODY` bytes.
        UnsupportedCodingError: A coding is unknown, or needs a package that is not installed.
    """
    codings = [coding.strip().lower() for coding in header.split(",") if coding.strip()]
    if not codings:
        codings = [name for parameter, name in (("gz", "gzip"), ("se", "reversed")) if query.get(parameter) == "1"]
    for coding in reversed(codings):
        decoder = _DECODERS.get(coding)
        if decoder is None:
            raise UnsupportedCodingError(coding)
        body = decoder(body)
    return body


def _inflate(body: bytes) -> bytes:
    """Decompress zlib data, or raw deflate data as some clients send it."""
    state = zlib.decompressobj(15 if body[:1] and body[0] & 15 == zlib.DEFLATED else -15)
    try:
        plain = state.decompress(body, MAX_BODY + 1)
    except zlib.error as error:
        raise BrokenBodyError(str(error)) from error
    if len(plain) > MAX_BODY:
        raise OversizedBodyError
    if not state.eof:
        msg = "the deflate stream ends early"
        raise BrokenBodyError(msg)
    return plain


def _unzstd(body: bytes) -> bytes:
    """Decompress one or more zstd frames."""
    zstandard = _package("zstandard", "zstd")
    plain = bytearray()
    try:
        while body:
            frame = zstandard.ZstdDecompressor(max_window_size=MAX_BODY).decompressobj()
            position = 0
            while position < len(body) and not frame.eof:
                _append(plain, frame.decompress(body[position : position + _ZSTD_PIECE]))
                position += _ZSTD_PIECE
            if not frame.eof:
                msg = "the zstd frame ends early"
                raise BrokenBodyError(msg)
            body = frame.unused_data + body[position:]
    except zstandard.ZstdError as error:
        raise BrokenBodyError(str(error)) from error
    return bytes(plain)


def _unbrotli(body: bytes) -> bytes:
    brotli = _package("brotli", "br")
    state, plain = brotli.Decompressor(), bytearray()
    try:
        _append(plain, state.process(body, output_buffer_limit=_PIECE))
        while not state.can_accept_more_data():
            _append(plain, state.process(b"", output_buffer_limit=_PIECE))
    except brotli.error as error:
        raise BrokenBodyError(str(error)) from error
    if not state.is_finished():
        msg = "the br stream ends early"
        raise BrokenBodyError(msg)
    return bytes(plain)


def _unreverse(body: bytes) -> bytes:
    try:
        return base64.b64decode(body[::-1], validate=True)
    except binascii.Error as error:
        raise BrokenBodyError(str(error)) from error


def _append(plain: bytearray, piece: bytes) -> None:
    plain += piece
    if len(plain) > MAX_BODY:
        raise OversizedBodyError


def _package(name: str, coding: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        msg = f"{coding}: {EXTRA}"
        raise UnsupportedCodingError(msg) from None


_DECODERS: Mapping[str, Callable[[bytes], bytes]] = {
    "identity": bytes,
    **dict.fromkeys(_GZIP, gunzip),
    "deflate": _inflate,
    "zstd": _unzstd,
    "br": _unbrotli,
    "reversed": _unreverse,
}
